//! The reasons why a message ends.

use crate::FinishReason;
use crate::word::words;

words! {
    /// The reason why a message ends, in the words of the Messages API.
    StopReason in "stop_reason" {
        /// The model came to its end.
        EndTurn = "end_turn",
        /// The limit of tokens was reached.
        MaxTokens = "max_tokens",
        /// The model wrote a stop sequence.
        StopSequence = "stop_sequence",
        /// The model calls tools.
        ToolUse = "tool_use",
        /// The server paused a long turn; the request is sent again with the answer so far.
        PauseTurn = "pause_turn",
        /// The model, or a filter, refused to answer.
        Refusal = "refusal",
        /// The context of the model is full.
        ContextWindow = "model_context_window_exceeded",
    }
}

impl StopReason {
    /// The reason in a chat's words. `calls`: the answer calls tools, `stopped`: the model wrote a stop sequence,
    /// `refused`: the model gave a reason for not answering.
    pub fn of_chat(reason: &FinishReason, calls: bool, stopped: bool, refused: bool) -> Self {
        match reason {
            FinishReason::Length => Self::MaxTokens,
            FinishReason::ToolCalls => Self::ToolUse,
            FinishReason::Other(word) if matches!(word.as_str(), "content_filter" | "refusal") => Self::Refusal,
            FinishReason::Other(word) if matches!(word.as_str(), "function_call" | "tool_use") => Self::ToolUse,
            // Some servers say `stop` where the model calls tools.
            _ if calls => Self::ToolUse,
            _ if refused => Self::Refusal,
            _ if stopped => Self::StopSequence,
            _ => Self::EndTurn,
        }
    }
}
