//! Token counts in the order of the members in OpenAI's API.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::Usage;

/// Token counts of a text.
#[allow(clippy::struct_field_names, reason = "these are the names on the wire")]
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(super) struct TokenCounts {
    /// Tokens of the prompt.
    prompt_tokens: u64,
    /// Tokens that were generated.
    completion_tokens: u64,
    /// The sum of both.
    total_tokens: u64,
}

impl From<Usage> for TokenCounts {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.total_tokens,
        }
    }
}

/// Token counts of an embedding.
#[derive(Serialize, ToSchema)]
pub(crate) struct EmbeddingCounts {
    /// Tokens of the inputs.
    prompt_tokens: u64,
    /// Equal to `prompt_tokens`: an embedding generates none.
    total_tokens: u64,
}

impl From<Usage> for EmbeddingCounts {
    fn from(usage: Usage) -> Self {
        Self { prompt_tokens: usage.prompt_tokens, total_tokens: usage.prompt_tokens }
    }
}
