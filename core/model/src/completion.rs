//! The result of a task: the answer of one miner, and the completion that callers get.

use bytes::Bytes;

use super::parts::MessageParts;
use super::shape::{Outline, Outlined};
use super::{FinishReason, Gid, Parts, SessionId, SharedText, TaskId, Usage, Vectors, Verdict, vectors_of};

/// The answer of one miner to one attempt.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The whole text. The answer to an embedding holds the vectors as JSON here, a list of numbers for each input.
    pub text: SharedText,
    /// The parts of a miner's answer other than its text: reasoning and calls of tools. A miner sets this field. To
    /// read the parts of a finished answer, use [`Answer::said`], because the router moves them into `raw`.
    pub parts: Option<Box<Parts>>,
    /// The reason why the text ends.
    pub finish_reason: FinishReason,
    /// Token counts.
    pub usage: Usage,
    /// The model that answered, in the miner's words.
    pub model: Option<String>,
    /// The upstream's own JSON answer, for callers of the OpenAI routes: it carries what the router
    /// has no field for (tool calls, log probabilities, embeddings ...).
    pub raw: Option<Bytes>,
    /// The outline of `raw`, if the reader of the answer has made it.
    #[doc(hidden)]
    pub outline: Outlined,
    /// The type of `raw`, if it is no JSON of a chat, a completion or an embedding.
    #[doc(hidden)]
    pub content_type: Option<String>,
    /// The hexadecimal SHA-256 of the text as the miner streamed it; `None`: the miner named none. The router has
    /// compared it with the text that came.
    pub sha256: Option<String>,
}

impl Answer {
    /// Whether the reader of the answer found text in it and nothing else.
    pub(crate) fn is_text(&self) -> bool {
        self.raw.as_deref().and_then(|raw| self.outline.get(raw)).is_some_and(Outline::is_text)
    }

    /// The parts of the answer other than its text, in one form for all kinds of miners.
    pub fn said(&self) -> Parts {
        match (&self.parts, &self.raw) {
            (Some(parts), _) => (**parts).clone(),
            (None, Some(raw)) => Parts::of_completion(raw),
            (None, None) => Parts::default(),
        }
    }

    /// The parts of the answer other than its text, as members of a message in OpenAI's form.
    #[doc(hidden)]
    pub fn message_parts(&self) -> MessageParts {
        self.raw.as_deref().map(MessageParts::of).unwrap_or_default()
    }

    /// The vectors of an answer to an embedding; `None` for any other answer.
    pub fn vectors(&self) -> Option<Vectors> {
        vectors_of(self.raw.as_deref().unwrap_or(self.text.as_bytes()))
    }
}

crate::record! {
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
    pub miner_address: SharedText,
    /// All answers with their miners' addresses, the winner's first, where several were asked for.
    pub alternatives: Vec<(SharedText, Answer)>,
    /// How the answers compare, where several were asked for.
    pub verdict: Option<Verdict>,
}
}

impl Completion {
    /// A completion with this answer, without ids.
    pub fn new(answer: Answer) -> Self {
        Self {
            session_id: SessionId(0),
            task_id: TaskId(0),
            gid: Gid(0),
            created: 0,
            model: String::new(),
            answer,
            miner_address: SharedText::default(),
            alternatives: Vec::new(),
            verdict: None,
        }
    }

    /// The text of the winner's answer.
    pub fn text(&self) -> &str {
        self.answer.text.as_str()
    }
}

crate::setters! { Answer {
    text: impl Into<SharedText> => text.into(),
    parts: Option<Box<Parts>> => parts,
    finish_reason: FinishReason => finish_reason,
    usage: Usage => usage,
    model: Option<String> => model,
    raw: Option<Bytes> => raw,
    content_type: Option<String> => content_type,
    sha256: Option<String> => sha256,
} }
