//! The items of a server's own stream, as its events tell them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The texts that grow by events of their own: the middle of their name, the member that they are, and the list of the
/// item in which their part stands; a text without a list is a member of the item itself.
const TEXTS: [(&str, &str, Option<&str>); 8] = [
    ("output_text", "text", Some("content")),
    ("refusal", "refusal", Some("content")),
    ("reasoning_text", "text", Some("content")),
    ("reasoning_summary_text", "text", Some("summary")),
    ("function_call_arguments", "arguments", None),
    ("custom_tool_call_input", "input", None),
    ("mcp_call_arguments", "arguments", None),
    ("code_interpreter_call_code", "code", None),
];

/// The parts that items have: the middle of their name, and the list of the item in which they stand.
const PARTS: [(&str, &str); 2] = [("content_part", "content"), ("reasoning_summary_part", "summary")];

/// The items of a stream that passes, so that a reader has the end of each also where the server's stream is cut.
#[derive(Debug, Default)]
pub(super) struct Followed {
    items: BTreeMap<u64, Item>,
}

#[derive(Debug, Default)]
struct Item {
    value: Value,
    is_open: bool,
    /// The texts that have begun, by their row in [`TEXTS`] and the place of their part.
    texts: Vec<(usize, u64)>,
    /// The parts that have begun, by their row in [`PARTS`] and their place.
    parts: Vec<(usize, u64)>,
}

impl Followed {
    /// Takes an event of that type.
    pub(super) fn take(&mut self, kind: &str, event: &Value) {
        let Some(place) = event["output_index"].as_u64() else { return };
        let Some((name, change)) = kind.strip_prefix("response.").and_then(|rest| rest.rsplit_once('.')) else {
            return;
        };
        let item = self.items.entry(place).or_default();
        match (name, change) {
            ("output_item", "added" | "done") => {
                *item = Item { value: event["item"].clone(), is_open: change == "added", ..Item::default() };
            }
            _ if !item.is_open => {}
            _ => item.take(name, change, event),
        }
    }

    /// The items as they are now, in their order.
    pub(super) fn items(&self) -> Vec<Value> {
        self.items.values().map(|item| item.value.clone()).filter(Value::is_object).collect()
    }

    /// Ends all that is open, as cut off. Gives the events that say so, without their numbers.
    pub(super) fn cut(&mut self) -> Vec<(String, Value)> {
        let mut events = Vec::new();
        for (place, item) in self.items.iter_mut().filter(|(_, item)| item.is_open) {
            item.cut(*place, &mut events);
        }
        events
    }
}

impl Item {
    fn take(&mut self, name: &str, change: &str, event: &Value) {
        let index = |list: &str| event[index_of(list)].as_u64().unwrap_or_default();
        if let Some(row) = PARTS.iter().position(|(part, _)| *part == name) {
            let place = index(PARTS[row].1);
            if let Some(part) = self.part(PARTS[row].1, place) {
                *part = event["part"].clone();
            }
            note(&mut self.parts, (row, place), change);
        } else if let Some(row) = TEXTS.iter().position(|(text, ..)| *text == name) {
            let (_, member, list) = TEXTS[row];
            let place = list.map(index).unwrap_or_default();
            let holder = match list {
                Some(list) => self.part(list, place),
                None => Some(&mut self.value),
            };
            let text = holder.and_then(Value::as_object_mut).map(|holder| holder.entry(member).or_insert(Value::Null));
            match (text, event["delta"].as_str(), &event[member]) {
                (Some(Value::String(so_far)), Some(more), _) if change == "delta" => so_far.push_str(more),
                (Some(text), Some(more), _) if change == "delta" => *text = more.into(),
                (Some(text), _, Value::String(whole)) if change == "done" => *text = whole.as_str().into(),
                _ => {}
            }
            note(&mut self.texts, (row, place), change);
        }
    }

    /// A part of one of the item's lists, which may have the next place. A server that skips places tells no part.
    fn part(&mut self, list: &str, place: u64) -> Option<&mut Value> {
        let parts = self.value.as_object_mut()?.entry(list).or_insert_with(|| json!([]));
        if !parts.is_array() {
            *parts = json!([]);
        }
        let (parts, place) = (parts.as_array_mut()?, usize::try_from(place).ok()?);
        if place == parts.len() {
            parts.push(json!({}));
        }
        parts.get_mut(place)
    }

    fn cut(&mut self, place: u64, events: &mut Vec<(String, Value)>) {
        self.is_open = false;
        let id = self.value["id"].clone();
        for (row, index) in std::mem::take(&mut self.texts) {
            let (name, member, list) = TEXTS[row];
            let mut event = json!({"item_id": id, "output_index": place});
            let holder = match list {
                Some(list) => {
                    event[index_of(list)] = index.into();
                    self.part(list, index).map(|part| &*part)
                }
                None => Some(&self.value),
            };
            event[member] = holder.map_or(Value::Null, |holder| holder[member].clone());
            if name == "output_text" {
                event["logprobs"] = json!([]);
            }
            events.push((format!("response.{name}.done"), event));
        }
        for (row, index) in std::mem::take(&mut self.parts) {
            let (name, list) = PARTS[row];
            let part = self.part(list, index).cloned().unwrap_or_default();
            let event = json!({"item_id": id, "output_index": place, index_of(list): index, "part": part});
            events.push((format!("response.{name}.done"), event));
        }
        if self.value.get("status").is_some() {
            self.value["status"] = "incomplete".into();
        }
        let event = json!({"output_index": place, "item": self.value});
        events.push(("response.output_item.done".to_owned(), event));
    }
}

/// Whether such events are about an item, one of its parts or one of its texts.
pub(super) fn is_of_item(name: &str) -> bool {
    name == "output_item" || PARTS.iter().any(|(part, _)| *part == name) || TEXTS.iter().any(|(text, ..)| *text == name)
}

/// The list of the item in which the part or the text of such events stands.
pub(super) fn list_of(name: &str) -> Option<&'static str> {
    let part = PARTS.iter().find(|(part, _)| *part == name).map(|(_, list)| *list);
    part.or_else(|| TEXTS.iter().find(|(text, ..)| *text == name)?.2)
}

/// The member of an event that says which element of that list it is about.
pub(super) fn index_of(list: &str) -> &'static str {
    if list == "summary" { "summary_index" } else { "content_index" }
}

/// Notes that a text or a part has begun, or that it is whole.
fn note(open: &mut Vec<(usize, u64)>, one: (usize, u64), change: &str) {
    if change == "done" {
        open.retain(|known| *known != one);
    } else if !open.contains(&one) {
        open.push(one);
    }
}
