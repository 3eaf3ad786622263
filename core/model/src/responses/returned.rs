//! An answer of the Responses API as a chat's, whole or event by event.
//!
//! Items and events that a chat has no place for, such as the calls of a server's own tools, are left out.

use std::collections::BTreeMap;

use serde_json::Value;

use super::places::Places;
use crate::chat::{Chunks, Heard};
use crate::shape::{Json, Reply, elements, last, number};

/// Reads one answer.
#[derive(Debug)]
pub struct Returned {
    chunks: Chunks,
    /// The items so far, by their places in the output.
    items: BTreeMap<u64, Item>,
    /// The number of calls so far.
    calls: u64,
    places: Places,
}

/// The part of an item that was told.
#[derive(Debug, Default)]
struct Item {
    /// The number of the call that the item is.
    call: Option<u64>,
    /// Whether a piece of the item was told.
    is_told: bool,
    /// The event that gives the reasoning, where the server tells both the reasoning and a summary of it.
    thought: Option<String>,
    /// The part of the summary that was told last.
    part: u64,
}

impl Returned {
    /// The reader of an answer that was asked for at that Unix second.
    pub fn new(created: u64) -> Self {
        Self { chunks: Chunks::new(created), items: BTreeMap::new(), calls: 0, places: Places::default() }
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
        let kind = kind.text();
        let placed = self.places.fill(&kind, json);
        let json = placed.as_deref().unwrap_or(json);
        let place = last(json, "output_index").and_then(number).unwrap_or_default();
        let member = |name| last(json, name).map_or("{}", Json::get);
        match &*kind {
            "response.created" | "response.in_progress" | "response.queued" => self.begin(member("response")),
            "response.output_item.added" => self.item(place, member("item")),
            "response.output_text.delta" => {
                self.piece(place, "content", last(json, "delta"));
                self.probabilities(last(json, "logprobs"));
            }
            "response.refusal.delta" => self.piece(place, "refusal", last(json, "delta")),
            kind @ ("response.reasoning_text.delta" | "response.reasoning_summary_text.delta") => {
                let part = last(json, "summary_index").and_then(number).unwrap_or_default();
                self.thought(place, kind, part, last(json, "delta"));
            }
            "response.function_call_arguments.delta" => self.arguments(place, last(json, "delta")),
            "response.output_item.done" => self.done(place, member("item")),
            "response.completed" | "response.incomplete" => {
                self.end(member("response"));
                return Heard::Over(self.chunks.take(json));
            }
            "response.failed" | "response.cancelled" => return Heard::Failed(failure(member("response"))),
            "error" => return Heard::Failed(json.to_owned()),
            // Signs of life, the words of a server's own tools, and those of a newer server.
            _ => {}
        }
        Heard::Chunks(self.chunks.take(json))
    }

    /// The chat's answer that stands for a whole response; `None`: the body is no response that has an answer.
    pub fn whole(mut self, json: &str) -> Option<String> {
        let status = last(json, "status").map(Json::text);
        let is_answer = matches!(status.as_deref(), Some("completed" | "incomplete") | None);
        last(json, "output").filter(|output| output.is_list() && is_answer)?;
        self.begin(json);
        self.end(json);
        Some(self.chunks.whole(json))
    }

    fn begin(&mut self, response: &str) {
        self.chunks.name(last(response, "id"), last(response, "model"));
    }

    /// Takes the beginning of an item.
    fn item(&mut self, place: u64, item: &str) {
        let is_call =
            matches!(last(item, "type").map(Json::text).as_deref(), Some("function_call" | "custom_tool_call"));
        let known = self.items.entry(place).or_default();
        if is_call && known.call.is_none() {
            known.call = Some(self.calls);
            self.chunks.call(self.calls, last(item, "call_id"), last(item, "name"));
            self.calls += 1;
        }
    }

    fn piece(&mut self, place: u64, name: &str, text: Option<Json<'_>>) {
        if let Some(text) = text.filter(|text| !text.is_blank()) {
            self.items.entry(place).or_default().is_told = true;
            self.chunks.text(name, text);
        }
    }

    fn probabilities(&mut self, tokens: Option<Json<'_>>) {
        if let Some(tokens) = tokens.filter(|tokens| tokens.is_list() && !tokens.is_blank()) {
            self.chunks.beside(&format!(r#","logprobs":{{"content":{}}}"#, tokens.get()));
        }
    }

    /// Takes a piece of the reasoning. Between the parts of a summary stands a blank line.
    fn thought(&mut self, place: u64, kind: &str, part: u64, text: Option<Json<'_>>) {
        let item = self.items.entry(place).or_default();
        if item.thought.get_or_insert_with(|| kind.to_owned()) != kind {
            return;
        }
        if std::mem::replace(&mut item.part, part) != part && item.is_told {
            self.piece(place, "reasoning_content", Json::of(r#""\n\n""#));
        }
        self.piece(place, "reasoning_content", text);
    }

    fn arguments(&mut self, place: u64, piece: Option<Json<'_>>) {
        let Some(item) = self.items.get_mut(&place) else { return };
        let piece = piece.filter(|piece| piece.is_string() && !piece.is_blank());
        if let (Some(call), Some(piece)) = (item.call, piece) {
            item.is_told = true;
            self.chunks.arguments(call, piece.get());
        }
    }

    /// Takes a whole item, of which some pieces may have come before.
    fn done(&mut self, place: u64, item: &str) {
        self.item(place, item);
        if self.items.get(&place).is_some_and(|known| known.is_told) {
            return;
        }
        let list = |name| last(item, name).map_or("[]", Json::get);
        match last(item, "type").map(Json::text).as_deref() {
            Some("message") => {
                elements(list("content"), |part| {
                    self.piece(place, "content", last(part.get(), "text"));
                    self.piece(place, "refusal", last(part.get(), "refusal"));
                    self.probabilities(last(part.get(), "logprobs"));
                });
            }
            Some("reasoning") => {
                for (name, kind) in [("content", "reasoning_text"), ("summary", "summary_text")] {
                    let mut part = 0;
                    elements(list(name), |thought| {
                        self.thought(place, kind, part, last(thought.get(), "text"));
                        part += 1;
                    });
                }
            }
            Some("function_call") => self.arguments(place, last(item, "arguments")),
            Some("custom_tool_call") => {
                let input = last(item, "input").map(Json::text).unwrap_or_default();
                let arguments = serde_json::json!({ "input": input }).to_string();
                self.arguments(place, Json::of(&Value::from(arguments).to_string()));
            }
            _ => {}
        }
    }

    /// Takes the end of a response: the items that were not told, why it ends, and its usage.
    fn end(&mut self, response: &str) {
        let mut place = 0;
        elements(last(response, "output").map_or("[]", Json::get), |item| {
            self.done(place, item.get());
            place += 1;
        });
        let reason = last(response, "incomplete_details").and_then(|details| last(details.get(), "reason"));
        let cut = reason.filter(|reason| reason.is_string()).map(Json::text);
        let is_cut = last(response, "status").is_some_and(|status| status.text() == "incomplete");
        let reason = match cut.as_deref() {
            Some("content_filter") => "content_filter",
            Some(_) => "length",
            None if is_cut => "length",
            None if self.calls > 0 => "tool_calls",
            None => "stop",
        };
        self.chunks.end(reason, "");
        // Both APIs tell their usage in one form, but for the names.
        if let Some(usage) = Reply::of(response).and_then(|reply| reply.usage()) {
            self.chunks.usage(usage);
        }
    }
}

/// The failure of a response, in a form that every reader of errors knows.
fn failure(response: &str) -> String {
    let error = last(response, "error").filter(|error| !error.is_blank()).map_or("{}", Json::get);
    format!(r#"{{"error":{error}}}"#)
}
