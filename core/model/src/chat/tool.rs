//! The tools that a model may call.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A tool, as a chat offers it to the model.
#[derive(Debug, Clone, Serialize)]
pub struct Tool {
    /// `function`; other kinds belong to single servers.
    pub r#type: String,
    /// The function.
    pub function: ToolFunction,
}

/// A function that the model may call.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ToolFunction {
    /// Its name.
    pub name: String,
    /// The words that tell the model when to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON schema of its arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Box<RawValue>>,
    /// Whether the arguments must follow the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// The rule for which tools the model calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// The one with that name.
    Named(String),
}

impl Tool {
    /// The tool of a function.
    pub fn function(function: ToolFunction) -> Self {
        Self { r#type: "function".to_owned(), function }
    }
}

impl Serialize for ToolChoice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Named<'a> {
            r#type: &'static str,
            function: Name<'a>,
        }
        #[derive(Serialize)]
        struct Name<'a> {
            name: &'a str,
        }
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::None => serializer.serialize_str("none"),
            Self::Required => serializer.serialize_str("required"),
            Self::Named(name) => Named { r#type: "function", function: Name { name } }.serialize(serializer),
        }
    }
}
