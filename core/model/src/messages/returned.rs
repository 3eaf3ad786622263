//! An answer of the Messages API as a chat's, whole or event by event.
//!
//! Blocks and events that a chat has no place for, such as redacted reasoning and the searches of a server, are left
//! out.

use std::collections::BTreeMap;

use super::stop::StopReason;
use crate::Usage;
use crate::chat::{Chunks, Heard};
use crate::shape::{Json, elements, last, members, number};

/// Reads one answer.
#[derive(Debug)]
pub struct Returned {
    chunks: Chunks,
    counts: Counts,
    /// The calls of tools, by the places of their blocks.
    calls: BTreeMap<u64, Call>,
    /// Whether the usage was told.
    is_counted: bool,
}

#[derive(Debug)]
struct Call {
    number: u64,
    /// The arguments with which the call began, until a piece of them comes.
    input: Option<String>,
}

/// Token counts as the server gave them.
#[derive(Debug, Default)]
struct Counts {
    input: Option<u64>,
    cache_read: Option<u64>,
    cache_creation: Option<u64>,
    output: Option<u64>,
}

impl Returned {
    /// The reader of an answer that was asked for at that Unix second.
    pub fn new(created: u64) -> Self {
        Self { chunks: Chunks::new(created), counts: Counts::default(), calls: BTreeMap::new(), is_counted: false }
    }

    /// Keeps the server's own words beside the chat's, for a caller of this API.
    #[must_use]
    pub fn keeping(mut self) -> Self {
        self.chunks.keep_originals();
        self
    }

    /// Reads one event of a stream.
    pub fn event(&mut self, json: &str) -> Heard {
        let Some(kind) = last(json, "type").filter(|kind| kind.is_string()) else { return Heard::Foreign };
        let index = last(json, "index").and_then(number).unwrap_or_default();
        match &*kind.text() {
            "message_start" => {
                if let Some(message) = last(json, "message") {
                    self.message(message.get());
                }
            }
            "content_block_start" => {
                if let Some(block) = last(json, "content_block") {
                    self.begin(index, block.get());
                }
            }
            "content_block_delta" => {
                if let Some(delta) = last(json, "delta") {
                    self.grow(index, delta.get());
                }
            }
            "content_block_stop" => self.stop(index),
            "message_delta" => {
                self.counts.take(last(json, "usage"));
                if let Some(delta) = last(json, "delta") {
                    self.end(delta.get());
                }
            }
            "message_stop" => {
                self.count();
                return Heard::Over(self.chunks.take(json));
            }
            "error" => return Heard::Failed(json.to_owned()),
            // Signs of life, and the words of a newer server.
            _ => {}
        }
        Heard::Chunks(self.chunks.take(json))
    }

    /// The chat's answer that stands for a whole message; `None`: the body is no message.
    pub fn whole(mut self, json: &str) -> Option<String> {
        last(json, "content").filter(|content| content.is_list())?;
        self.message(json);
        self.end(json);
        Some(self.chunks.whole(json))
    }

    /// Takes a message as far as it is.
    fn message(&mut self, message: &str) {
        self.chunks.name(last(message, "id"), last(message, "model"));
        self.counts.take(last(message, "usage"));
        let mut index = 0;
        elements(last(message, "content").map_or("[]", Json::get), |block| {
            self.begin(index, block.get());
            self.stop(index);
            index += 1;
        });
    }

    /// Takes the beginning of a block, which may be all of it.
    fn begin(&mut self, index: u64, block: &str) {
        let member = |name| last(block, name);
        match member("type").map(Json::text).as_deref() {
            Some("text") => self.text("content", member("text")),
            Some("thinking") => self.text("reasoning_content", member("thinking")),
            Some("tool_use") => {
                let number = self.calls.len() as u64;
                self.chunks.call(number, member("id"), member("name"));
                let input = member("input").map(|input| input.get().to_owned());
                self.calls.insert(index, Call { number, input: Some(input.unwrap_or_else(|| "{}".to_owned())) });
            }
            _ => {}
        }
    }

    fn grow(&mut self, index: u64, delta: &str) {
        let member = |name| last(delta, name);
        match member("type").map(Json::text).as_deref() {
            Some("text_delta") => self.text("content", member("text")),
            Some("thinking_delta") => self.text("reasoning_content", member("thinking")),
            Some("input_json_delta") => {
                let piece = member("partial_json").filter(|piece| piece.is_string() && !piece.is_blank());
                if let (Some(piece), Some(call)) = (piece, self.calls.get_mut(&index)) {
                    call.input = None;
                    self.chunks.arguments(call.number, piece.get());
                }
            }
            _ => {}
        }
    }

    /// Ends a block. A call whose arguments did not come in pieces has those with which it began.
    fn stop(&mut self, index: u64) {
        let Some(call) = self.calls.get_mut(&index) else { return };
        if let Some(input) = call.input.take() {
            self.chunks.arguments(call.number, &serde_json::Value::from(input).to_string());
        }
    }

    fn text(&mut self, name: &str, text: Option<Json<'_>>) {
        if let Some(text) = text {
            self.chunks.text(name, text);
        }
    }

    /// Takes the reason why the message ends, if it is there.
    fn end(&mut self, json: &str) {
        let Some(reason) = last(json, "stop_reason").filter(|reason| reason.is_string()) else { return };
        let sequence = last(json, "stop_sequence").filter(|sequence| sequence.is_string());
        let beside = sequence.map(|sequence| format!(r#","stop_reason":{}"#, sequence.get())).unwrap_or_default();
        self.chunks.end(finish_reason(&reason.text()), &beside);
        self.count();
    }

    /// Tells the usage, if the server told it.
    fn count(&mut self) {
        if let Some(usage) = self.counts.usage().filter(|_| !self.is_counted) {
            self.is_counted = true;
            self.chunks.usage(usage);
        }
    }
}

/// The reason in a chat's words.
fn finish_reason(word: &str) -> &str {
    match word.parse().ok() {
        Some(StopReason::EndTurn | StopReason::StopSequence | StopReason::PauseTurn) => "stop",
        Some(StopReason::MaxTokens | StopReason::ContextWindow) => "length",
        Some(StopReason::ToolUse) => "tool_calls",
        Some(StopReason::Refusal) => "content_filter",
        None => word,
    }
}

impl Counts {
    /// Takes counts. Those that are given replace the ones before, which were counts so far.
    fn take(&mut self, usage: Option<Json<'_>>) {
        let Some(usage) = usage else { return };
        members(usage.get(), |name, value| {
            let place = match &*name {
                "input_tokens" => &mut self.input,
                "cache_read_input_tokens" => &mut self.cache_read,
                "cache_creation_input_tokens" => &mut self.cache_creation,
                "output_tokens" => &mut self.output,
                _ => return,
            };
            *place = number(value).or(*place);
        });
    }

    /// The usage in a chat's words, where the tokens of a cache count as the prompt's; `None`: nothing was told.
    fn usage(&self) -> Option<Usage> {
        let all = [self.input, self.cache_read, self.cache_creation];
        let prompt = all.into_iter().flatten().reduce(u64::saturating_add);
        (prompt.is_some() || self.output.is_some()).then(|| {
            Usage::new(prompt.unwrap_or(0), self.output.unwrap_or(0)).cached_tokens(self.cache_read.unwrap_or(0))
        })
    }
}
