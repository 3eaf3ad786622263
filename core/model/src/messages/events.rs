//! The stream of the Messages API.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::answer::{Counts, Message, Wishes, call_id};
use super::stop::StopReason;
use crate::chat::{Piece, Said, original_event, write_event, write_raw_event};
use crate::shape::{Json, last, number};
use crate::{Completion, Error, ToolDelta, compact};

/// Writes one stream: pieces of a chat's answer in, events of the Messages API out.
#[derive(Debug)]
pub struct Events {
    id: String,
    model: String,
    wishes: Wishes,
    said: Said,
    /// Whether `message_start` is out.
    started: bool,
    /// The block that is open, with its place in the content.
    open: Option<(u64, Kind)>,
    /// The number of blocks that were begun.
    blocks: u64,
    /// The places of the calls of tools, by their numbers in the chat.
    calls: BTreeMap<u64, u64>,
    /// Whether text of the answer is out.
    spoke: bool,
    /// Whether anything else of it is out.
    told: bool,
    /// The reason and the counts of the server's own message, which wait for the end of the task.
    held: Vec<u8>,
    /// Whether the server's own events go out.
    passes: bool,
    ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Thinking,
    Text,
    Call,
}

/// The last event.
const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

/// The data of the events that are not written piece by piece.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Data<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: u64, content_block: Empty<'a> },
    ContentBlockStop { index: u64 },
    MessageDelta { delta: End<'a>, usage: Counts },
    Ping,
}

/// A block as it begins.
#[derive(Clone, Copy, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Empty<'a> {
    Thinking { thinking: &'a str, signature: &'a str },
    Text { text: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: NoInput },
}

#[derive(Clone, Copy, Serialize)]
struct NoInput {}

/// The end of a message.
#[derive(Serialize)]
struct End<'a> {
    stop_reason: StopReason,
    stop_sequence: Option<&'a str>,
}

/// A change of a block: the type of the change, and the member with its text. A stream has one for each piece, and they
/// differ from one another in two values, so that their bytes are written here.
#[derive(Clone, Copy)]
struct Change(&'static str);

const THINKING: Change = Change(r#""thinking_delta","thinking":"#);
const TEXT: Change = Change(r#""text_delta","text":"#);
const INPUT: Change = Change(r#""input_json_delta","partial_json":"#);

impl Change {
    fn write(self, index: u64, text: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":");
        // Writing to a vector never fails.
        let _ = compact::write(out, &index);
        out.extend_from_slice(b",\"delta\":{\"type\":");
        out.extend_from_slice(self.0.as_bytes());
        compact::write_text(out, text);
        out.extend_from_slice(b"}}\n\n");
    }
}

impl Events {
    /// A stream of the answer with that id, by that model.
    pub fn new(id: String, model: String, wishes: Wishes) -> Self {
        Self {
            id,
            model,
            wishes,
            said: Said::default(),
            started: false,
            open: None,
            blocks: 0,
            calls: BTreeMap::new(),
            spoke: false,
            told: false,
            held: Vec::new(),
            passes: false,
            ended: false,
        }
    }

    /// Whether the stream is over.
    pub fn is_over(&self) -> bool {
        self.ended
    }

    /// Writes a piece: its text, and the chunk of the model's server.
    pub fn piece(&mut self, text: &str, raw: Option<&[u8]>, out: &mut Vec<u8>) {
        if self.said.repeats(raw) {
            self.start(out);
            return self.text(text, out);
        }
        if let Some(event) = raw.and_then(original_event) {
            return self.pass(event.get(), out);
        }
        self.start(out);
        for piece in self.said.chunk(text, raw) {
            self.take(&piece, out);
        }
    }

    /// Writes a piece of the answer's text.
    fn text(&mut self, text: &str, out: &mut Vec<u8>) {
        if !text.is_empty() {
            self.spoke = true;
            let index = self.block(Kind::Text, Empty::Text { text: "" }, out);
            TEXT.write(index, text, out);
        }
    }

    /// Writes an event of a server that speaks this API, as it came but for the id of the message.
    fn pass(&mut self, event: &str, out: &mut Vec<u8>) {
        self.passes = true;
        let kind = last(event, "type").map(Json::text).unwrap_or_default();
        match &*kind {
            "message_start" => {
                if let Ok(mut event) = serde_json::from_str::<Value>(event)
                    && event["message"].is_object()
                    && !std::mem::replace(&mut self.started, true)
                {
                    event["message"]["id"] = self.id.as_str().into();
                    write_event("message_start", &event, out);
                }
            }
            "message_delta" => write_raw_event(&kind, event, &mut self.held),
            // The router writes its own: signs of life while the server is silent, and one end.
            "ping" | "message_stop" => {}
            _ => {
                self.start(out);
                self.told = true;
                self.follow(&kind, event);
                write_raw_event(&kind, event, out);
            }
        }
    }

    /// Notes which block of a server's own is open, so that it is closed where the stream ends before it.
    fn follow(&mut self, kind: &str, event: &str) {
        match kind {
            "content_block_start" => {
                let index = last(event, "index").and_then(number).unwrap_or_default();
                let block = last(event, "content_block").and_then(|block| last(block.get(), "type"));
                let kind = match block.map(Json::text).as_deref() {
                    Some("text") => Kind::Text,
                    Some("thinking") => Kind::Thinking,
                    _ => Kind::Call,
                };
                (self.open, self.blocks) = (Some((index, kind)), index.saturating_add(1));
            }
            "content_block_stop" => self.open = None,
            _ => {}
        }
    }

    /// A sign of life.
    pub fn ping(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        write_event("ping", &Data::Ping, out);
    }

    /// Begins again: another miner answers from the start. That is possible as long as nothing is out.
    ///
    /// # Errors
    /// `MinerFailed` when a part of the answer is out.
    pub fn restart(&mut self) -> crate::Result<()> {
        (self.said, self.held, self.passes) = (Said::default(), Vec::new(), false);
        if self.spoke || self.told {
            let words = "the miner was lost after its first words, and a stream of this API cannot begin again";
            return Err(Error::new(crate::ErrorKind::MinerFailed, words));
        }
        Ok(())
    }

    /// Writes the end.
    pub fn end(&mut self, completion: &Completion, out: &mut Vec<u8>) {
        self.start(out);
        if !self.held.is_empty() {
            out.append(&mut self.held);
            out.extend_from_slice(STOP);
            self.ended = true;
            return;
        }
        if !self.told && !self.passes {
            // The miner gave its answer, or all of it but the text, in one piece.
            let spoke = self.spoke;
            for piece in self.said.answer(&completion.answer) {
                if !(spoke && matches!(piece, Piece::Text(_))) {
                    self.take(&piece, out);
                }
            }
        }
        self.close(out);
        let stopped = self.wishes.stopped_at(&self.said);
        let reason = &completion.answer.finish_reason;
        let reason = StopReason::of_chat(reason, self.said.calls, stopped.is_some(), self.said.refused);
        let delta = End { stop_reason: reason, stop_sequence: stopped };
        write_event("message_delta", &Data::MessageDelta { delta, usage: completion.answer.usage.into() }, out);
        out.extend_from_slice(STOP);
        self.ended = true;
    }

    /// Writes an error, after which nothing comes. `body` is the error in the shape of this API.
    pub fn fail(&mut self, body: &[u8], out: &mut Vec<u8>) {
        write_raw_event("error", body, out);
        self.ended = true;
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let message = Message {
            id: &self.id,
            r#type: "message",
            role: "assistant",
            model: &self.model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: Counts::default(),
        };
        write_event("message_start", &Data::MessageStart { message }, out);
    }

    fn take(&mut self, piece: &Piece, out: &mut Vec<u8>) {
        match piece {
            Piece::Reasoning(_) if !self.wishes.thinking => self.told = true,
            Piece::Reasoning(thinking) => {
                self.told = true;
                let index = self.block(Kind::Thinking, Empty::Thinking { thinking: "", signature: "" }, out);
                THINKING.write(index, thinking, out);
            }
            Piece::Text(text) => self.text(text, out),
            Piece::Refusal(text) => {
                self.told = true;
                self.text(text, out);
            }
            Piece::Call(call) => self.call(call, out),
        }
    }

    /// Writes a piece of a call. A new number begins a call; a piece of an earlier one goes to its block.
    fn call(&mut self, call: &ToolDelta, out: &mut Vec<u8>) {
        self.told = true;
        let index = if let Some(index) = self.calls.get(&call.index) {
            *index
        } else {
            self.close(out);
            let index = self.blocks;
            let id = call_id(call.id.as_deref(), &self.id, call.index);
            let name = call.function.name.as_deref().unwrap_or_default();
            self.begin(Kind::Call, Empty::ToolUse { id: &id, name, input: NoInput {} }, out);
            self.calls.insert(call.index, index);
            index
        };
        if let Some(partial_json) = call.function.arguments.as_deref().filter(|arguments| !arguments.is_empty()) {
            INPUT.write(index, partial_json, out);
        }
    }

    /// The place of the open block of that kind, which begins if another is open.
    fn block(&mut self, kind: Kind, empty: Empty<'_>, out: &mut Vec<u8>) -> u64 {
        match self.open {
            Some((index, open)) if open == kind => index,
            _ => {
                self.close(out);
                self.begin(kind, empty, out)
            }
        }
    }

    fn begin(&mut self, kind: Kind, content_block: Empty<'_>, out: &mut Vec<u8>) -> u64 {
        let index = self.blocks;
        self.blocks += 1;
        self.open = Some((index, kind));
        write_event("content_block_start", &Data::ContentBlockStart { index, content_block }, out);
        index
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some((index, _)) = self.open.take() {
            write_event("content_block_stop", &Data::ContentBlockStop { index }, out);
        }
    }
}
