//! The part of a request that its answer repeats.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::tools::Called;

/// The members of a request that the response repeats. The store keeps them with the task, so that the response can be
/// read again later.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// The items of the input, as a list.
    pub input: Vec<Value>,
    /// The rules of this turn.
    pub instructions: Option<Value>,
    /// The response before this one.
    pub previous_response_id: Option<String>,
    /// The tools.
    pub tools: Vec<Value>,
    /// The rule for which tools are called.
    pub tool_choice: Option<Value>,
    /// Whether the model may call several tools at once.
    pub parallel_tool_calls: Option<bool>,
    /// How an input that is too long is cut.
    pub truncation: Option<String>,
    /// The form of the text.
    pub text: Option<Value>,
    /// How the model reasons.
    pub reasoning: Option<Value>,
    /// Sampling.
    pub temperature: Option<f64>,
    /// Sampling.
    pub top_p: Option<f64>,
    /// Sampling.
    pub presence_penalty: Option<f64>,
    /// Sampling.
    pub frequency_penalty: Option<f64>,
    /// Log probabilities.
    pub top_logprobs: Option<u64>,
    /// The most tokens to generate.
    pub max_output_tokens: Option<u64>,
    /// The most calls of hosted tools; there are none here.
    pub max_tool_calls: Option<u64>,
    /// Whether the response can be read again.
    pub store: Option<bool>,
    /// Whether the caller reads the response later.
    pub background: bool,
    /// The caller's own notes.
    pub metadata: Option<Value>,
    /// The caller's user.
    pub user: Option<String>,
    /// The caller's user, under its newer name.
    pub safety_identifier: Option<String>,
    /// A name that callers give to prompts with one beginning.
    pub prompt_cache_key: Option<String>,
    /// The class of service that was asked for.
    pub service_tier: Option<String>,
}

impl Asked {
    /// Whether the response can be read again, which is the default.
    pub fn is_stored(&self) -> bool {
        self.store.unwrap_or(true)
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
