//! The part of a request that its answer repeats.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::tools::Called;

/// The members of a request that the response repeats. The store keeps those that were given with the task, so that the
/// response can be read again later.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// The items of the input, as a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Box<RawValue>>,
    /// The rules of this turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<Value>,
    /// The response before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_response_id: Option<String>,
    /// The tools.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// The rule for which tools are called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// Whether the model may call several tools at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// How an input that is too long is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncation: Option<String>,
    /// The form of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Value>,
    /// How the model reasons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Value>,
    /// Sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Sampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Log probabilities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_logprobs: Option<u64>,
    /// The most tokens to generate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// The most calls of hosted tools; there are none here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tool_calls: Option<u64>,
    /// Whether the response can be read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<bool>,
    /// Whether the caller reads the response later.
    pub background: bool,
    /// The caller's own notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The caller's user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The caller's user, under its newer name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
    /// A name that callers give to prompts with one beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_cache_key: Option<String>,
    /// The class of service that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<String>,
}

impl Asked {
    /// The items of the input.
    ///
    /// # Errors
    /// `Internal`, which no list causes.
    pub fn items(&self) -> crate::Result<Vec<&RawValue>> {
        let items = self.input.as_deref().map(|list| serde_json::from_str(list.get()));
        Ok(items.transpose().map_err(crate::Error::internal)?.unwrap_or_default())
    }

    /// Whether the response can be read again, which is the default.
    pub fn is_stored(&self) -> bool {
        self.store.unwrap_or(true)
    }

    /// Whether none of the members is there that the response repeats, but for `max_output_tokens`.
    pub(super) fn is_plain(&self) -> bool {
        let Self {
            input: _,
            instructions: None,
            previous_response_id: None,
            tools,
            tool_choice: None,
            parallel_tool_calls: None,
            truncation: None,
            text: None,
            reasoning: None,
            temperature: None,
            top_p: None,
            presence_penalty: None,
            frequency_penalty: None,
            top_logprobs: None,
            max_output_tokens: _,
            max_tool_calls: None,
            store: None,
            background: false,
            metadata: None,
            user: None,
            safety_identifier: None,
            prompt_cache_key: None,
            service_tier: None,
        } = self
        else {
            return false;
        };
        tools.is_empty()
    }

    /// The tool for which a function stands.
    pub(super) fn called(&self, function: &str) -> Called {
        Called::of(&self.tools, function)
    }

    /// Whether the caller reads the model's reasoning as a summary.
    pub fn wants_summary(&self) -> bool {
        self.reasoning.as_ref().is_some_and(|reasoning| reasoning["summary"].is_string())
    }
}
