//! The shape of a stream's chunks, and the bytes that all chunks have in common.
//!
//! The types here are what `docs/openapi.json` describes, and every chunk that the router writes is one of them. The
//! chunks of most streams differ in four values only, so they are not serialized one by one: a [`Frame`] serializes
//! each form of chunk once in a process, with those values empty, and cuts its bytes there. A chunk with 12 bytes of text
//! costs 300 instructions this way and 2 920 when it is serialized (release build, counted with callgrind).

use std::sync::LazyLock;

use serde::Serialize;
use utoipa::ToSchema;

use super::counts::TokenCounts;
use super::schema::TextChoice;
use super::splice::{string, write_json};
use crate::model::{RequestKind, Verdict};

/// An empty text in JSON: the place of a value.
const EMPTY: &str = "\"\"";

/// A part of a streamed answer. An upstream's chunk carries whatever else the upstream said.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct Chunk<'a, C> {
    /// The answer's id, the same in all chunks of it.
    pub(super) id: &'a str,
    /// `chat.completion.chunk` or `text_completion`
    pub(super) object: &'static str,
    /// Unix seconds.
    pub(super) created: u64,
    /// The model that answers.
    pub(super) model: &'a str,
    /// The choices: one, and none in the chunk that carries the usage.
    pub(super) choices: &'a [C],
    /// `true` where the answer starts over: what was said before it is void.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) restart: Option<bool>,
    /// How several answers compare, in a chunk behind the answer, where several miners answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) verdict: Option<&'a Verdict>,
    /// Token counts in the last chunk and `null` before it, where `stream_options.include_usage` asks for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TokenCounts>, required = false)]
    #[allow(clippy::option_option, reason = "without the option there is no member, and with an empty one it is null")]
    pub(super) usage: Option<Option<TokenCounts>>,
}

/// One choice of a chat's chunk.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct ChatPiece<'a> {
    /// Its place among the choices.
    pub(super) index: u64,
    /// The part of the message that the chunk adds.
    pub(super) delta: Delta<'a>,
    /// Log probabilities, where an upstream told them.
    #[schema(value_type = Option<serde_json::Value>)]
    pub(super) logprobs: Option<()>,
    /// `stop`, `length`, `tool_calls` or a word of the upstream's in the last chunk of the choice, else `null`.
    pub(super) finish_reason: Option<&'a str>,
}

/// The part of a message that a chunk adds.
#[derive(Default, Serialize, ToSchema)]
pub(in crate::listener) struct Delta<'a> {
    /// `assistant`, in the first chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) role: Option<&'static str>,
    /// More of its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) content: Option<&'a str>,
}

/// One choice of a chunk, in the shape of its route.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Piece<'a> {
    Chat(ChatPiece<'a>),
    Text(TextChoice<'a>),
}

impl<'a> Piece<'a> {
    /// The choice that adds this text, or nothing, on the route of that kind.
    pub(super) fn of(kind: RequestKind, text: Option<&'a str>, finish_reason: Option<&'a str>) -> Self {
        match kind {
            RequestKind::Chat => Self::chat(Delta { role: None, content: text }, finish_reason),
            _ => Self::Text(TextChoice { text: text.unwrap_or_default(), index: 0, logprobs: None, finish_reason }),
        }
    }

    fn chat(delta: Delta<'a>, finish_reason: Option<&'a str>) -> Self {
        Self::Chat(ChatPiece { index: 0, delta, logprobs: None, finish_reason })
    }
}

impl<'a> Chunk<'a, Piece<'a>> {
    /// A chunk with these choices and nothing else.
    pub(super) fn new(kind: RequestKind, id: &'a str, created: u64, model: &'a str, choices: &'a [Piece<'a>]) -> Self {
        let object = if kind == RequestKind::Chat { "chat.completion.chunk" } else { "text_completion" };
        Self { id, object, created, model, choices, restart: None, verdict: None, usage: None }
    }
}

/// The bytes that the chunks of one route have in common, cut where their values stand.
pub(super) struct Frame {
    /// The bytes before the id, before the time and before the model.
    head: [String; 3],
    /// A chat's first chunk, behind the head.
    opening: String,
    /// A chunk of text, behind the head: the bytes before the text and those after it.
    text: [String; 2],
    /// The last chunk, behind the head: the bytes before the finish reason and those after it.
    ending: [String; 2],
    /// The bytes behind the list of choices.
    tail: String,
}

/// The frames of chats and completions, without and with a place for the usage.
static FRAMES: LazyLock<[[Frame; 2]; 2]> = LazyLock::new(|| {
    [RequestKind::Chat, RequestKind::Completion].map(|kind| [false, true].map(|usage| Frame::new(kind, usage)))
});

impl Frame {
    /// The frame of a stream of that kind.
    pub(super) fn of(kind: RequestKind, include_usage: bool) -> &'static Self {
        &FRAMES[usize::from(kind != RequestKind::Chat)][usize::from(include_usage)]
    }

    fn new(kind: RequestKind, include_usage: bool) -> Self {
        let serialized = |choice: Piece<'_>| {
            let (choices, mut out) = ([choice], Vec::new());
            let usage = include_usage.then_some(None);
            event(&Chunk { usage, ..Chunk::new(kind, "", 0, "", &choices) }, &mut out);
            String::from_utf8(out).unwrap_or_default()
        };
        let whole = serialized(Piece::of(kind, Some(""), None));
        let (id, rest) = cut(whole.split_once(EMPTY));
        let (created, rest) = cut(rest.split_once('0'));
        let (model, text) = cut(rest.split_once(EMPTY));
        let behind_head = whole.len() - text.len();
        let opening = serialized(Piece::chat(Delta { role: Some("assistant"), content: Some("") }, None));
        let ending = serialized(Piece::of(kind, None, Some("")));
        let owned = |(before, after): (&str, &str)| [before.to_owned(), after.to_owned()];
        Self {
            head: [id, created, model].map(str::to_owned),
            opening: opening[behind_head..].to_owned(),
            text: owned(cut(text.split_once(EMPTY))),
            // The reason is the last member of its choice: an empty text may stand before it.
            ending: owned(cut(ending[behind_head..].rsplit_once(EMPTY))),
            tail: cut(text.split_once(']')).1.to_owned(),
        }
    }

    /// Makes the head of a stream's chunks: it ends behind the model.
    pub(super) fn head(&self, id: &str, created: u64, model: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + model.len());
        let [before_id, before_time, before_model] = &self.head;
        out.extend_from_slice(before_id.as_bytes());
        string(&mut out, id);
        out.extend_from_slice(before_time.as_bytes());
        write_json(&mut out, &created);
        out.extend_from_slice(before_model.as_bytes());
        string(&mut out, model);
        out
    }

    /// Writes the first event of a chat, which names the role.
    pub(super) fn opening(&self, head: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(head);
        out.extend_from_slice(self.opening.as_bytes());
    }

    /// Writes the event of a piece of text.
    pub(super) fn text(&self, head: &[u8], text: &str, out: &mut Vec<u8>) {
        around(head, &self.text, text, out);
    }

    /// Writes the event of an answer's end.
    pub(super) fn ending(&self, head: &[u8], finish_reason: &str, out: &mut Vec<u8>) {
        around(head, &self.ending, finish_reason, out);
    }

    /// Writes an event whose choices are members that somebody else wrote.
    pub(super) fn members(&self, head: &[u8], members: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(head);
        out.push(b',');
        on_one_line(out, |out| out.extend_from_slice(members));
        out.extend_from_slice(self.tail.as_bytes());
    }
}

fn around(head: &[u8], [before, after]: &[String; 2], value: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(head);
    out.extend_from_slice(before.as_bytes());
    string(out, value);
    out.extend_from_slice(after.as_bytes());
}

/// The halves of a serialized chunk. The types above have every place that a frame is cut at, as the tests prove.
fn cut<'a>(halves: Option<(&'a str, &'a str)>) -> (&'a str, &'a str) {
    halves.unwrap_or_default()
}

/// Writes the event of a chunk.
pub(super) fn event(chunk: &Chunk<'_, Piece<'_>>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    write_json(out, chunk);
    out.extend_from_slice(b"\n\n");
}

/// Writes JSON without its line breaks. Inside a JSON string a line break is escaped, and a bare one can only be a blank
/// between tokens.
pub(super) fn on_one_line(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let from = out.len();
    write(out);
    for byte in &mut out[from..] {
        // Every byte is written, so that the compiler takes sixteen of them together.
        *byte = if matches!(*byte, b'\n' | b'\r') { b' ' } else { *byte };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn serialized(chunk: &Chunk<'_, Piece<'_>>) -> Vec<u8> {
        let mut out = Vec::new();
        event(chunk, &mut out);
        out
    }

    proptest! {
        /// The bytes of a frame are those that the described type is serialized to, whatever the values are.
        #[test]
        fn a_frame_writes_what_its_type_is_serialized_to(
            (id, model, text, reason) in any::<(String, String, String, String)>(),
            created in any::<u64>(),
            (is_chat, include_usage) in any::<(bool, bool)>(),
        ) {
            let kind = if is_chat { RequestKind::Chat } else { RequestKind::Completion };
            let frame = Frame::of(kind, include_usage);
            let head = frame.head(&id, created, &model);
            let usage = include_usage.then_some(None);
            let whole = |choice| serialized(&Chunk { usage, ..Chunk::new(kind, &id, created, &model, &[choice]) });
            let mut out = Vec::new();
            frame.text(&head, &text, &mut out);
            prop_assert_eq!(&out, &whole(Piece::of(kind, Some(&text), None)));
            out.clear();
            frame.ending(&head, &reason, &mut out);
            prop_assert_eq!(&out, &whole(Piece::of(kind, None, Some(&reason))));
            if is_chat {
                out.clear();
                frame.opening(&head, &mut out);
                let opening = Delta { role: Some("assistant"), content: Some("") };
                prop_assert_eq!(&out, &whole(Piece::chat(opening, None)));
                out.clear();
                frame.members(&head, b"\"choices\":[{\"index\":0,\n\"delta\":{}}]", &mut out);
                let event = String::from_utf8(out).unwrap();
                let chunk: serde_json::Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
                prop_assert_eq!(&chunk["choices"], &serde_json::json!([{"index":0,"delta":{}}]));
                prop_assert_eq!(chunk.get("usage"), include_usage.then_some(&serde_json::Value::Null));
                prop_assert!(!event.trim_end().contains('\n'));
            }
        }
    }
}
