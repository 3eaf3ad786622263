//! Token counts.

use serde::{Deserialize, Serialize};

use crate::word::words;

words! {
    /// The parts by which usage is told apart.
    #[derive(Default)]
    UsageBy in "by" {
        /// Days in UTC.
        #[default]
        Day = "day",
        /// Keys.
        Key = "key",
        /// Models.
        Model = "model",
        /// Sessions.
        Session = "session",
        /// Miners.
        Miner = "miner",
    }
}

impl UsageBy {
    /// Whether the parts are numbers, and not texts.
    pub fn is_number(self) -> bool {
        matches!(self, Self::Day | Self::Session)
    }
}

/// Tokens of one completion, as the miner counted them (or estimated where it does not count).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Usage {
    /// Tokens that were generated.
    #[serde(default)]
    pub completion_tokens: u64,
    /// Tokens of the prompt.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Their sum.
    #[serde(default)]
    pub total_tokens: u64,
    /// Tokens of the prompt that the model's server had in its cache, where the server says so.
    #[serde(default, skip_serializing_if = "is_none")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub cached_tokens: u64,
    /// Generated tokens that are not part of the answer's text, where the model's server says so.
    #[serde(default, skip_serializing_if = "is_none")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub reasoning_tokens: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// The greatest whole number that every reader of JSON gets right (RFC 8259, section 6).
pub const MAX_JSON_INTEGER: u64 = (1 << 53) - 1;

impl Usage {
    /// Usage of a prompt and an answer of so many tokens.
    pub fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        let total_tokens = prompt_tokens.saturating_add(completion_tokens);
        Self { completion_tokens, prompt_tokens, total_tokens, ..Self::default() }
    }

    /// These counts with no number above [`MAX_JSON_INTEGER`].
    #[must_use]
    pub fn in_json(self) -> Self {
        Self {
            completion_tokens: self.completion_tokens.min(MAX_JSON_INTEGER),
            prompt_tokens: self.prompt_tokens.min(MAX_JSON_INTEGER),
            total_tokens: self.total_tokens.min(MAX_JSON_INTEGER),
            cached_tokens: self.cached_tokens.min(MAX_JSON_INTEGER),
            reasoning_tokens: self.reasoning_tokens.min(MAX_JSON_INTEGER),
        }
    }
}

crate::setters! { Usage {
    completion_tokens: u64 => completion_tokens,
    prompt_tokens: u64 => prompt_tokens,
    total_tokens: u64 => total_tokens,
    cached_tokens: u64 => cached_tokens,
    reasoning_tokens: u64 => reasoning_tokens,
} }
