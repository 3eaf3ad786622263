//! The items of an answer.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::tools::{Called, Kind};
use crate::ToolDelta;
use crate::chat::{Piece, arguments_object};

/// An item of the output, as far as it has grown.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Reasoning(String),
    Message(Vec<Part>),
    Call(Call),
}

/// A part of a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Text(String),
    Refusal(String),
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Call {
    /// The number of the call in the chat.
    pub(super) number: u64,
    /// The id that the model's server gave.
    pub(super) given_id: Option<String>,
    /// The name of the function, as far as it has come.
    pub(super) name: String,
    pub(super) arguments: String,
    pub(super) tool: Called,
}

/// How far an item has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Begun,
    Done,
    /// The answer was cut off within the item.
    Cut,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Begun => "in_progress",
            Self::Done => "completed",
            Self::Cut => "incomplete",
        }
    }
}

/// The place of a piece among the items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The index of the item.
    pub(super) item: usize,
    /// Whether the piece begins the item.
    pub(super) is_new: bool,
    /// The index of the part of a message.
    pub(super) part: usize,
    /// Whether the piece begins the part.
    pub(super) is_new_part: bool,
}

/// Adds a piece to the items. `called` finds the tool for which a function stands.
pub(super) fn add(items: &mut Vec<Item>, piece: &Piece, called: impl Fn(&str) -> Called) -> Place {
    let place = items.len().saturating_sub(1);
    let grown = |part, is_new_part| Place { item: place, is_new: false, part, is_new_part };
    let part = match (piece, items.last_mut()) {
        (Piece::Call(delta), _) => return call(items, delta, called),
        (Piece::Reasoning(text), Some(Item::Reasoning(so_far))) => {
            so_far.push_str(text);
            return grown(0, false);
        }
        (Piece::Reasoning(text), _) => return begin(items, Item::Reasoning(text.clone())),
        (Piece::Text(text), _) => Part::Text(text.clone()),
        (Piece::Refusal(text), _) => Part::Refusal(text.clone()),
    };
    let Some(Item::Message(parts)) = items.last_mut() else { return begin(items, Item::Message(vec![part])) };
    let is_new_part = match (parts.last_mut(), &part) {
        (Some(Part::Text(so_far)), Part::Text(text)) | (Some(Part::Refusal(so_far)), Part::Refusal(text)) => {
            so_far.push_str(text);
            false
        }
        _ => {
            parts.push(part);
            true
        }
    };
    grown(parts.len() - 1, is_new_part)
}

fn call(items: &mut Vec<Item>, delta: &ToolDelta, called: impl Fn(&str) -> Called) -> Place {
    let is_it = |item: &Item| matches!(item, Item::Call(call) if call.number == delta.index);
    let place = items.iter().position(is_it);
    let place = match place {
        Some(item) => Place { item, is_new: false, part: 0, is_new_part: false },
        None => begin(items, Item::Call(Call { number: delta.index, ..Call::default() })),
    };
    if let Some(Item::Call(call)) = items.get_mut(place.item) {
        if let Some(id) = delta.id.as_deref().filter(|id| !id.is_empty()) {
            call.given_id = Some(id.to_owned());
        }
        if let Some(name) = delta.function.name.as_deref().filter(|name| !name.is_empty()) {
            call.name.push_str(name);
            call.tool = called(&call.name);
        }
        call.arguments.push_str(delta.function.arguments.as_deref().unwrap_or_default());
    }
    place
}

fn begin(items: &mut Vec<Item>, item: Item) -> Place {
    items.push(item);
    Place { item: items.len() - 1, is_new: true, part: 0, is_new_part: true }
}

impl Item {
    /// The id of the item at that place of the answer with these digits.
    pub(super) fn id(&self, digits: &str, place: usize) -> String {
        let head = match self {
            Self::Reasoning(_) => "rs",
            Self::Message(_) => "msg",
            Self::Call(call) => match call.tool.kind {
                Kind::Function => "fc",
                Kind::Custom => "ctc",
                Kind::Search => "tsc",
            },
        };
        id_of(head, digits, place)
    }
}

impl Call {
    /// The item in JSON.
    pub(super) fn json(&self, id: &str, call_id: &str, status: Status) -> Value {
        let (is_begun, stands, status) = (status == Status::Begun, status, status.word());
        let Called { kind, namespace, name } = &self.tool;
        let mut item = match kind {
            Kind::Function => {
                let arguments = self.arguments(stands);
                json!({"type": "function_call", "id": id, "status": status, "call_id": call_id, "name": name, "arguments": arguments})
            }
            Kind::Custom => {
                let input = if is_begun { Cow::Borrowed("") } else { self.input() };
                json!({"type": "custom_tool_call", "id": id, "status": status, "call_id": call_id, "name": name, "input": input})
            }
            Kind::Search => {
                let arguments = arguments_object(if is_begun { "" } else { &self.arguments });
                let arguments: Value = serde_json::from_str(&arguments).unwrap_or_default();
                json!({"type": "tool_search_call", "id": id, "status": status, "call_id": call_id, "execution": "client", "arguments": arguments})
            }
        };
        if let Some(namespace) = namespace {
            item["namespace"] = namespace.as_str().into();
        }
        item
    }

    /// The id by which the tool's answer names the call: the model's server's own, or one made from the answer's.
    pub(super) fn id(&self, digits: &str, place: usize) -> String {
        self.given_id.clone().unwrap_or_else(|| id_of("call", digits, place))
    }

    /// The arguments. They are JSON once the call is whole.
    pub(super) fn arguments(&self, status: Status) -> &str {
        match status {
            Status::Begun => "",
            Status::Done if self.arguments.is_empty() => "{}",
            Status::Done | Status::Cut => &self.arguments,
        }
    }

    /// The free text of a tool that takes one: the argument `input`, or all that the model wrote where it gave no such
    /// argument.
    pub(super) fn input(&self) -> Cow<'_, str> {
        match serde_json::from_str::<Value>(&self.arguments) {
            Ok(Value::Object(mut arguments)) if arguments.get("input").is_some_and(Value::is_string) => {
                match arguments.remove("input") {
                    Some(Value::String(input)) => Cow::Owned(input),
                    _ => Cow::Borrowed(&self.arguments),
                }
            }
            _ => Cow::Borrowed(&self.arguments),
        }
    }
}

/// An id that begins with that word. Most answers have one item, whose place is one digit.
fn id_of(head: &str, digits: &str, place: usize) -> String {
    match "0123456789".get(place..=place) {
        Some(digit) => [head, "_", digits, "_", digit].concat(),
        None => format!("{head}_{digits}_{place}"),
    }
}
