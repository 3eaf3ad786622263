//! The messages of a chat.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::Content;
use crate::word::words;
use crate::{Error, Result, ToolCall};

words! {
    /// The speaker of a message.
    #[derive(Default)]
    Role in "role" {
        /// The program that gives the model its rules.
        System = "system",
        /// The program, under the newer name of its messages.
        Developer = "developer",
        /// The person or the program that asks.
        #[default]
        User = "user",
        /// The model.
        Assistant = "assistant",
        /// A tool that the model called.
        Tool = "tool",
    }
}

/// One message of a chat.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Message {
    /// The speaker.
    pub role: Role,
    /// The words; `None` where the model calls tools alone.
    #[serde(default)]
    pub content: Option<Content>,
    /// The reasoning of the model before its words.
    #[serde(default, alias = "reasoning", skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// The reason that the model gave for not answering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The tools that the model called.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// The call that a tool answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

/// Reads a list; `null` is an empty one.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<ToolCall>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl Message {
    /// A message of that speaker with that content.
    pub fn new(role: Role, content: Option<Content>) -> Self {
        Self { role, content, ..Self::default() }
    }

    /// A message of one text.
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, Some(Content::Text(text.into())))
    }

    /// The answer of a tool to the call with that id.
    pub fn tool(call: impl Into<String>, content: Content) -> Self {
        Self { tool_call_id: Some(call.into()), ..Self::new(Role::Tool, Some(content)) }
    }

    /// Whether the message of the model says nothing.
    pub fn is_silent(&self) -> bool {
        self.content.is_none()
            && self.reasoning_content.is_none()
            && self.refusal.is_none()
            && self.tool_calls.is_empty()
    }
}

/// A value as the raw JSON that a request holds.
///
/// # Errors
/// `Internal` when the value has no JSON form, which no record of this crate lacks.
pub fn into_raw(value: &impl Serialize) -> Result<Box<RawValue>> {
    to_raw_value(value).map_err(Error::internal)
}
