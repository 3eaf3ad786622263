//! Completions in the REST API's shape. Published parsers work with exactly this layout.

use std::borrow::Cow;

use serde::Serialize;

use super::parts::MessageParts;
use super::{Completion, Gid, SessionId, TaskId, Usage, Verdict};

/// The text as a message.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = CompletionMessage))]
struct Message<'a> {
    /// `assistant`
    role: &'static str,
    /// The text.
    content: &'a str,
    /// The parts of the answer other than its text. The REST API's own completions leave them out.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(ignore))]
    beside: Option<&'a MessageParts>,
}

/// One answer, or the new piece of it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = CompletionChoice))]
struct Choice<'a> {
    /// `stop`, `length` ...; `null` before the end of a stream.
    finish_reason: Option<&'a str>,
    /// Its place among the choices.
    index: usize,
    /// Always `null`.
    #[cfg_attr(feature = "schema", schema(value_type = Option<serde_json::Value>))]
    logprobs: Option<()>,
    /// The text.
    text: &'a str,
    /// `text` as a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message<'a>>,
    /// Whose answer it is, where several miners answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    miner_address: Option<&'a str>,
}

/// The text again under each name that some published client reads, and `success` for clients that look for it.
#[derive(Debug, Serialize)]
struct Aliases<'a> {
    /// The text.
    text: &'a str,
    /// The text.
    output: &'a str,
    /// The text.
    result: &'a str,
    /// The text.
    response: &'a str,
    /// The text.
    content: &'a str,
    /// `true`
    success: bool,
}

/// A completion on its way out: to REST clients and to the bindings; whole, or one event of a stream.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = Completion))]
pub struct CompletionRecord<'a> {
    /// The answers: one, unless several were asked for.
    choices: Vec<Choice<'a>>,
    /// Unix seconds.
    created: u64,
    /// Unique among all tasks.
    id: Cow<'a, str>,
    /// The model that was asked for.
    model: &'a str,
    /// `text_completion`
    object: &'static str,
    /// The session.
    session_id: u64,
    /// The task in its session.
    task_id: u64,
    /// Token counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    /// The task among all sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    gid: Option<u64>,
    /// The address of the miner whose answer it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    miner_address: Option<&'a str>,
    /// How several answers compare.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'a Verdict>,
    /// In the last event of a stream: the whole text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    /// In an event of a stream: every piece before this one is void.
    #[serde(skip_serializing_if = "Option::is_none")]
    restart: Option<bool>,
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schema(ignore))]
    aliases: Option<Aliases<'a>>,
}

/// The ids and the model of a completion. They are equal in the whole completion and in every event of its stream.
#[derive(Debug, Clone)]
pub struct CompletionIds {
    /// Unique among all tasks of all starts, because the time of the submission is in it.
    pub id: String,
    /// Seconds since the Unix epoch at which the task was submitted.
    pub created: u64,
    /// The model that was asked for.
    pub model: String,
    /// The session.
    pub session_id: SessionId,
    /// The task in its session.
    pub task_id: TaskId,
    /// The task among all sessions.
    pub gid: Gid,
}

impl CompletionIds {
    /// The ids of that task's completion.
    pub fn new(gid: Gid, session_id: SessionId, task_id: TaskId, created: u64, model: String) -> Self {
        Self { id: id_of(gid, created), created, model, session_id, task_id, gid }
    }
}

fn id_of(gid: Gid, created: u64) -> String {
    format!("cmpl-{created:08x}{:016x}", gid.0)
}

impl<'a> CompletionRecord<'a> {
    /// The whole completion. With `aliases` the text is repeated under the other names that published clients read.
    pub fn whole(completion: &'a Completion, aliases: bool) -> Self {
        Self::with_parts(completion, aliases, &[])
    }

    /// The whole completion with the other parts of its answers: `parts` has one element for the winner's answer, or
    /// one for each answer if there are several.
    #[doc(hidden)]
    pub fn with_parts(completion: &'a Completion, aliases: bool, parts: &'a [MessageParts]) -> Self {
        let text = completion.answer.text.as_str();
        let choice = |index: usize, text, reason, miner| Choice {
            finish_reason: Some(reason),
            index,
            logprobs: None,
            text,
            message: Some(Message { role: "assistant", content: text, beside: parts.get(index) }),
            miner_address: miner,
        };
        let choices = if completion.alternatives.is_empty() {
            vec![choice(0, text, completion.answer.finish_reason.as_str(), None)]
        } else {
            let each = completion.alternatives.iter().enumerate();
            each.map(|(index, (miner, answer))| {
                choice(index, answer.text.as_str(), answer.finish_reason.as_str(), Some(miner.as_str()))
            })
            .collect()
        };
        Self {
            choices,
            created: completion.created,
            id: Cow::Owned(id_of(completion.gid, completion.created)),
            model: &completion.model,
            object: "text_completion",
            session_id: completion.session_id.0,
            task_id: completion.task_id.0,
            usage: Some(completion.answer.usage),
            gid: Some(completion.gid.0),
            miner_address: Some(&completion.miner_address),
            verdict: completion.verdict.as_ref(),
            text: None,
            restart: None,
            aliases: aliases.then_some(Aliases {
                text,
                output: text,
                result: text,
                response: text,
                content: text,
                success: true,
            }),
        }
    }

    /// One event of a stream: the new piece, and at the end the whole text and its usage.
    pub fn event(ids: &'a CompletionIds, piece: &'a str, end: Option<&'a Completion>) -> Self {
        Self {
            choices: vec![Choice {
                finish_reason: end.map(|end| end.answer.finish_reason.as_str()),
                index: 0,
                logprobs: None,
                text: piece,
                message: None,
                miner_address: None,
            }],
            created: ids.created,
            id: Cow::Borrowed(&ids.id),
            model: &ids.model,
            object: "text_completion",
            session_id: ids.session_id.0,
            task_id: ids.task_id.0,
            usage: end.map(|end| end.answer.usage),
            gid: end.map(|_| ids.gid.0),
            miner_address: end.map(|end| end.miner_address.as_str()),
            verdict: end.and_then(|end| end.verdict.as_ref()),
            text: end.map(|end| end.answer.text.as_str()),
            restart: None,
            aliases: None,
        }
    }

    /// The event of a stream that makes all pieces before it void. Its own piece is empty, so that a client that does
    /// not know this event reads on.
    pub fn restart(ids: &'a CompletionIds) -> Self {
        Self { restart: Some(true), ..Self::event(ids, "", None) }
    }
}
