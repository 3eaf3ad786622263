//! The items of an answer as the API shows them.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::output::{Item, Part, Status};
use crate::compact::{self, Raw, write_text};

/// An item at its place among the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) item: &'a Item,
    /// The digits of the answer.
    pub(super) digits: &'a str,
    pub(super) place: usize,
    pub(super) status: Status,
    /// Whether the caller reads the model's reasoning as a summary.
    pub(super) summary: bool,
}

/// The text of the model's reasoning, as a part of its item.
#[derive(Clone, Copy)]
pub(super) struct Thought<'a> {
    text: &'a str,
    is_summary: bool,
}

impl<'a> Thought<'a> {
    pub(super) fn new(text: &'a str, is_summary: bool) -> Self {
        Self { text, is_summary }
    }

    /// Writes the part as JSON.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        let kind = if self.is_summary { "summary_text" } else { "reasoning_text" };
        for part in [r#"{"type":""#, kind, r#"","text":"#] {
            out.extend_from_slice(part.as_bytes());
        }
        write_text(out, self.text);
        out.push(b'}');
    }
}

impl Shown<'_> {
    /// Writes the item as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (id, is_begun) = (self.item.id(self.digits, self.place), self.status == Status::Begun);
        match self.item {
            Item::Message(parts) => {
                out.extend_from_slice(br#"{"type":"message","id":"#);
                write_text(out, &id);
                for part in [r#","status":""#, self.status.word(), r#"","role":"assistant","content":["#] {
                    out.extend_from_slice(part.as_bytes());
                }
                for (index, part) in parts.iter().enumerate().take_while(|_| !is_begun) {
                    if index > 0 {
                        out.push(b',');
                    }
                    part.write(false, out);
                }
                out.extend_from_slice(b"]}");
            }
            Item::Reasoning(text) => {
                out.extend_from_slice(br#"{"type":"reasoning","id":"#);
                write_text(out, &id);
                // The reasoning is a summary, or stands beside an empty one.
                out.extend_from_slice(br#","summary":["#);
                if !is_begun {
                    if !self.summary {
                        out.extend_from_slice(br#"],"content":["#);
                    }
                    Thought::new(text, self.summary).write(out);
                }
                out.extend_from_slice(b"]}");
            }
            Item::Call(call) => {
                // A tree of texts always has a JSON form.
                let _ = compact::write(out, &call.json(&id, &call.id(self.digits, self.place), self.status));
            }
        }
    }
}

impl Part {
    /// Writes the part as JSON. `is_begun`: it has no words yet.
    pub(super) fn write(&self, is_begun: bool, out: &mut Vec<u8>) {
        let words = |text, out: &mut Vec<u8>| write_text(out, if is_begun { "" } else { text });
        match self {
            Self::Text(text) => {
                out.extend_from_slice(br#"{"type":"output_text","text":"#);
                words(text, out);
                out.extend_from_slice(br#","annotations":[],"logprobs":[]}"#);
            }
            Self::Refusal(refusal) => {
                out.extend_from_slice(br#"{"type":"refusal","refusal":"#);
                words(refusal, out);
                out.push(b'}');
            }
        }
    }
}

/// The items of a response.
#[derive(Debug, Default)]
pub struct Output<'a> {
    items: Cow<'a, [Item]>,
    digits: &'a str,
    /// The places of the items that were cut off.
    cut: Vec<usize>,
    summary: bool,
    /// The items of a server's own, in the place of these.
    own: Vec<Value>,
}

impl<'a> Output<'a> {
    /// The items of a server that speaks this API.
    pub(super) fn of_server(own: Vec<Value>) -> Self {
        Self { own, ..Self::default() }
    }

    /// These items of the answer with these digits. `cut`: the places of those that were cut off; `summary`: the caller
    /// reads the model's reasoning as a summary.
    pub(super) fn new(items: Cow<'a, [Item]>, digits: &'a str, cut: Vec<usize>, summary: bool) -> Self {
        Self { items, digits, cut, summary, own: Vec::new() }
    }

    /// Writes the list as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if !self.own.is_empty() {
            // A tree of JSON always has a JSON form.
            let _ = compact::write(out, &self.own);
            return;
        }
        out.push(b'[');
        for (place, item) in self.items.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            let status = if self.cut.contains(&place) { Status::Cut } else { Status::Done };
            Shown { item, digits: self.digits, place, status, summary: self.summary }.write(out);
        }
        out.push(b']');
    }
}

impl Serialize for Output<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = Vec::new();
        self.write(&mut list);
        let list = std::str::from_utf8(&list).map_err(serde::ser::Error::custom)?;
        Raw(list).serialize(serializer)
    }
}
