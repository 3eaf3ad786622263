//! Token counts.

use serde::{Deserialize, Serialize};

/// Tokens of one completion, as the miner counted them (or estimated where it does not count).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
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
}

impl Usage {
    /// Usage of a prompt and an answer of so many tokens.
    pub fn new(prompt_tokens: u64, completion_tokens: u64) -> Self {
        Self { completion_tokens, prompt_tokens, total_tokens: prompt_tokens + completion_tokens }
    }
}
