//! The items of an answer as the API shows them.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::output::{Item, Part, Status};

/// A list that is always empty.
pub(super) type Nothing = [(); 0];

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

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Form<'a> {
    Message { id: &'a str, status: &'a str, role: &'a str, content: &'a [Part] },
    Reasoning(Reasoning<'a>),
}

#[derive(Serialize)]
struct Reasoning<'a> {
    id: &'a str,
    summary: &'a [Thought<'a>],
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<[Thought<'a>; 1]>,
}

/// The text of the model's reasoning, as a part of its item.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Thought<'a> {
    r#type: &'static str,
    text: &'a str,
}

impl<'a> Thought<'a> {
    pub(super) fn new(text: &'a str, is_summary: bool) -> Self {
        Self { r#type: if is_summary { "summary_text" } else { "reasoning_text" }, text }
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (id, is_begun) = (self.item.id(self.digits, self.place), self.status == Status::Begun);
        let form = match self.item {
            Item::Message(parts) => {
                let content = if is_begun { &[][..] } else { parts };
                Form::Message { id: &id, status: self.status.word(), role: "assistant", content }
            }
            Item::Reasoning(text) => {
                let thought = [Thought::new(text, self.summary)];
                let (summary, content) = match self.summary {
                    _ if is_begun => (&[][..], None),
                    true => (&thought[..], None),
                    false => (&[][..], Some(thought)),
                };
                return Form::Reasoning(Reasoning { id: &id, summary, content }).serialize(serializer);
            }
            Item::Call(call) => {
                return call.json(&id, &call.id(self.digits, self.place), self.status).serialize(serializer);
            }
        };
        form.serialize(serializer)
    }
}

impl Serialize for Part {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        enum Form<'a> {
            OutputText { text: &'a str, annotations: Nothing, logprobs: Nothing },
            Refusal { refusal: &'a str },
        }
        let form = match self {
            Self::Text(text) => Form::OutputText { text, annotations: [], logprobs: [] },
            Self::Refusal(refusal) => Form::Refusal { refusal },
        };
        form.serialize(serializer)
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
}

impl Serialize for Output<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !self.own.is_empty() {
            return self.own.serialize(serializer);
        }
        serializer.collect_seq(self.items.iter().enumerate().map(|(place, item)| {
            let status = if self.cut.contains(&place) { Status::Cut } else { Status::Done };
            Shown { item, digits: self.digits, place, status, summary: self.summary }
        }))
    }
}
