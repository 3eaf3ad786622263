//! What a task gives.

use bytes::Bytes;

use super::parts::MessageParts;
use super::{FinishReason, Gid, Parts, SessionId, SharedText, TaskId, Usage, Vectors, Verdict, vectors_of};

/// What one miner answered to one attempt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// The whole text; to an embedding the vectors as JSON, a list of numbers for each input.
    pub text: SharedText,
    /// What the miner says beside the text: reasoning, and calls of tools. Read [`Answer::said`] of an answer that was
    /// given: the router keeps them in `raw`.
    pub parts: Option<Box<Parts>>,
    /// Why it ends.
    pub finish_reason: FinishReason,
    /// Token counts.
    pub usage: Usage,
    /// The model that answered, in the miner's words.
    pub model: Option<String>,
    /// The upstream's own JSON answer, for callers of the OpenAI routes: it carries what the router
    /// has no field for (tool calls, log probabilities, embeddings ...).
    pub raw: Option<Bytes>,
    /// SHA-256 of the text as the miner streamed it, hexadecimal, where the miner committed itself to one; the router
    /// has checked it against what came.
    pub sha256: Option<String>,
}

impl Answer {
    /// What it holds beside its text, whichever kind of miner gave it.
    pub fn said(&self) -> Parts {
        match (&self.parts, &self.raw) {
            (Some(parts), _) => (**parts).clone(),
            (None, Some(raw)) => Parts::of_completion(raw),
            (None, None) => Parts::default(),
        }
    }

    /// The same as members of a message.
    #[doc(hidden)]
    pub fn message_parts(&self) -> MessageParts {
        self.raw.as_deref().map(MessageParts::of).unwrap_or_default()
    }

    /// The vectors that it holds, where it answers an embedding.
    pub fn vectors(&self) -> Option<Vectors> {
        vectors_of(self.raw.as_deref().unwrap_or(self.text.as_bytes()))
    }
}

/// A finished task as a completion.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The session.
    pub session_id: SessionId,
    /// The task in its session.
    pub task_id: TaskId,
    /// The task among all sessions.
    pub gid: Gid,
    /// Seconds since the Unix epoch at which the task was submitted.
    pub created: u64,
    /// The model: the one that was asked for, else the one that answered.
    pub model: String,
    /// The winner's answer.
    pub answer: Answer,
    /// The address of the miner that gave it.
    pub miner_address: String,
    /// All answers with their miners' addresses, the winner's first, where several were asked for.
    pub alternatives: Vec<(String, Answer)>,
    /// How the answers compare, where several were asked for.
    pub verdict: Option<Verdict>,
}

impl Completion {
    /// The text of the winner's answer.
    pub fn text(&self) -> &str {
        self.answer.text.as_str()
    }
}
