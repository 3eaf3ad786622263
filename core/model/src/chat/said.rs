//! The words of a chat's answer, whole or in chunks, as pieces in one order.

use std::borrow::Cow;

use crate::shape::{Body, Choice, Envelope, Joint, Json, Reply, elements, last, members};
use crate::{Answer, FunctionDelta, Parts, ToolDelta};

/// A piece of the first choice of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A piece of the reasoning before the words.
    Reasoning(String),
    /// A piece of the words.
    Text(String),
    /// A piece of the reason for not answering.
    Refusal(String),
    /// A piece of a call of a tool.
    Call(ToolDelta),
}

/// Reads a chat's answer into pieces, and notes what it says beside them.
///
/// Members of an unusual form count as missing, as everywhere where an upstream's words only pass.
#[derive(Debug, Default)]
pub struct Said {
    reasoning: Joint,
    refusal: Joint,
    /// The last chunk around its words, if it had nothing else to say.
    words: Envelope,
    /// Whether the answer calls tools.
    pub calls: bool,
    /// Whether the answer has a reason for not answering.
    pub refused: bool,
    /// The stop sequence at which the model stopped, where the server says so (vLLM's `stop_reason`).
    pub stop_sequence: Option<String>,
}

impl Said {
    /// Whether a chunk says no more than its text, because there is no chunk of the model's server, or it differs from the
    /// last one in its words alone. It need not be read then.
    pub fn repeats(&self, raw: Option<&[u8]>) -> bool {
        raw.is_none_or(|raw| self.words.words(raw).is_some())
    }

    /// Reads one chunk of a stream. `text` is its text, `raw` the chunk of the model's server.
    pub fn chunk(&mut self, text: &str, raw: Option<&[u8]>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let raw = raw.and_then(|raw| std::str::from_utf8(raw).ok());
        let reply = raw.and_then(Reply::of).unwrap_or_default();
        let words = reply.sole_words().filter(|sole| sole.index == 0 && sole.name == "content");
        let json = raw.unwrap_or_default().as_bytes();
        self.words.keep(json, words.and_then(|sole| sole.words.place_in(json)));
        let choice = reply.choices.iter().flatten().find(|choice| choice.index == 0);
        let piece = choice.and_then(|choice| choice.piece());
        if let Some(piece) = piece {
            self.thought(piece, &mut pieces);
        }
        pieces.extend(self::text(text));
        if let Some(piece) = piece {
            self.rest(piece, &mut pieces);
        }
        if let Some(choice) = choice {
            self.stopped(choice);
        }
        pieces
    }

    /// Reads a whole answer.
    pub fn answer(&mut self, answer: &Answer) -> Vec<Piece> {
        if answer.is_text() {
            return text(&answer.text).into_iter().collect();
        }
        let raw = answer.raw.as_deref().and_then(|raw| std::str::from_utf8(raw).ok());
        let Some(reply) = raw.and_then(Reply::of) else {
            return self.parts(&answer.text, answer.said());
        };
        let mut pieces = Vec::new();
        let choice = reply.choices.iter().flatten().min_by_key(|choice| choice.index);
        let message = choice.and_then(|choice| choice.whole());
        if let Some(message) = message {
            self.thought(message, &mut pieces);
        }
        pieces.extend(text(&answer.text));
        if let Some(message) = message {
            self.rest(message, &mut pieces);
        }
        if let Some(choice) = choice {
            self.stopped(choice);
        }
        pieces
    }

    fn parts(&mut self, text: &str, parts: Parts) -> Vec<Piece> {
        let (thought, called) = parts.into_deltas();
        self.calls |= !called.tool_calls.is_empty();
        let words = [(thought.reasoning, Piece::Reasoning as fn(String) -> Piece), (text.to_owned(), Piece::Text)];
        let words = words.into_iter().filter(|(words, _)| !words.is_empty()).map(|(words, piece)| piece(words));
        words.chain(called.tool_calls.into_iter().map(Piece::Call)).collect()
    }

    /// Adds the reasoning, which comes before the words.
    fn thought(&mut self, message: &Body<'_>, pieces: &mut Vec<Piece>) {
        // vLLM and others call it `reasoning`; some send both, with one text.
        let thought = message.last("reasoning_content").filter(|value| value.is_string());
        if let Some(thought) = thought.or_else(|| message.last("reasoning").filter(|value| value.is_string())) {
            self.reasoning.add(thought);
            pieces.extend(Some(self.reasoning.take()).filter(|text| !text.is_empty()).map(Piece::Reasoning));
        }
    }

    /// Adds the refusal and the calls, which come behind the words.
    fn rest(&mut self, message: &Body<'_>, pieces: &mut Vec<Piece>) {
        if let Some(refusal) = message.last("refusal").filter(|value| value.is_string()) {
            self.refusal.add(refusal);
            let text = Some(self.refusal.take()).filter(|text| !text.is_empty());
            self.refused |= text.is_some();
            pieces.extend(text.map(Piece::Refusal));
        }
        let Some(calls) = message.last("tool_calls") else { return };
        let mut place = 0;
        elements(calls.get(), |call| {
            pieces.extend(call_of(call, place).map(Piece::Call));
            place += 1;
        });
        self.calls |= place > 0;
    }

    fn stopped(&mut self, choice: &Choice<'_>) {
        let reason = choice.others.iter().find(|(name, _)| name == "stop_reason").map(|(_, value)| *value);
        if let Some(reason) = reason.filter(|reason| reason.is_string()) {
            self.stop_sequence = Some(reason.text().into_owned());
        }
    }
}

/// The piece that is this text, unless there is none.
fn text(text: &str) -> Option<Piece> {
    (!text.is_empty()).then(|| Piece::Text(text.to_owned()))
}

/// A call, or a piece of one. A call without a number has the one of its place.
fn call_of(call: Json<'_>, place: u64) -> Option<ToolDelta> {
    let mut delta = ToolDelta { index: place, ..ToolDelta::default() };
    let text = |value: Json<'_>| value.is_string().then(|| value.text().into_owned());
    let is_object = members(call.get(), |name, value| match &*name {
        "index" => delta.index = value.get().parse().unwrap_or(place),
        "id" => delta.id = text(value),
        "type" => delta.r#type = text(value),
        "function" => {
            let arguments = last(value.get(), "arguments").filter(|arguments| !arguments.is_null());
            delta.function = FunctionDelta {
                name: last(value.get(), "name").and_then(text),
                // Some servers give the object itself.
                arguments: arguments.map(|given| text(given).unwrap_or_else(|| given.get().to_owned())),
            };
        }
        _ => {}
    });
    is_object.then_some(delta)
}

/// The arguments of a call as an object: `{}` for none. Arguments that are no object, for example because the limit of
/// tokens cut them, stand as a text in the member `arguments`.
pub fn arguments_object(arguments: &str) -> Cow<'_, str> {
    match arguments.trim() {
        "" => "{}".into(),
        object if object.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(object).is_ok() => {
            object.into()
        }
        other => serde_json::json!({ "arguments": other }).to_string().into(),
    }
}
