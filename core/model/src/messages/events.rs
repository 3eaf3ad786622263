//! The stream of the Messages API.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{Counts, Message, Wishes, call_id};
use super::stop::StopReason;
use crate::chat::{Piece, Said, original_event, write_event, write_raw_event};
use crate::shape::{Json, last, number};
use crate::{Completion, Error, ToolDelta};

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

/// A change of a block.
#[derive(Serialize)]
#[serde(tag = "type")]
enum Change<'a> {
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
}

#[derive(Serialize)]
struct Start<'a> {
    r#type: &'static str,
    message: Message<'a>,
}

#[derive(Serialize)]
struct BlockDelta<'a> {
    r#type: &'static str,
    index: u64,
    delta: Change<'a>,
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
        if let Some(event) = raw.and_then(original_event) {
            return self.pass(event.get(), out);
        }
        self.start(out);
        for piece in self.said.chunk(text, raw) {
            self.take(&piece, out);
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
        write_event("ping", &json!({"type": "ping"}), out);
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
        let delta = json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": stopped},
            "usage": Counts::from(completion.answer.usage),
        });
        write_event("message_delta", &delta, out);
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
        write_event("message_start", &Start { r#type: "message_start", message }, out);
    }

    fn take(&mut self, piece: &Piece, out: &mut Vec<u8>) {
        match piece {
            Piece::Reasoning(_) if !self.wishes.thinking => self.told = true,
            Piece::Reasoning(thinking) => {
                self.told = true;
                let index =
                    self.block(Kind::Thinking, &json!({"type": "thinking", "thinking": "", "signature": ""}), out);
                change(index, Change::Thinking { thinking }, out);
            }
            Piece::Text(text) | Piece::Refusal(text) => {
                self.spoke = true;
                self.told |= matches!(piece, Piece::Refusal(_));
                let index = self.block(Kind::Text, &json!({"type": "text", "text": ""}), out);
                change(index, Change::Text { text }, out);
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
            self.begin(Kind::Call, &json!({"type": "tool_use", "id": id, "name": name, "input": {}}), out);
            self.calls.insert(call.index, index);
            index
        };
        if let Some(partial_json) = call.function.arguments.as_deref().filter(|arguments| !arguments.is_empty()) {
            change(index, Change::Input { partial_json }, out);
        }
    }

    /// The place of the open block of that kind, which begins if another is open.
    fn block(&mut self, kind: Kind, empty: &Value, out: &mut Vec<u8>) -> u64 {
        match self.open {
            Some((index, open)) if open == kind => index,
            _ => {
                self.close(out);
                self.begin(kind, empty, out)
            }
        }
    }

    fn begin(&mut self, kind: Kind, empty: &Value, out: &mut Vec<u8>) -> u64 {
        let index = self.blocks;
        self.blocks += 1;
        self.open = Some((index, kind));
        let start = json!({"type": "content_block_start", "index": index, "content_block": empty});
        write_event("content_block_start", &start, out);
        index
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if let Some((index, _)) = self.open.take() {
            write_event("content_block_stop", &json!({"type": "content_block_stop", "index": index}), out);
        }
    }
}

fn change(index: u64, delta: Change<'_>, out: &mut Vec<u8>) {
    write_event("content_block_delta", &BlockDelta { r#type: "content_block_delta", index, delta }, out);
}
