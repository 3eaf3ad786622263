//! The events that show a response, and those of its items.

use serde::Serialize;

use super::output::Part;
use super::shown::{Nothing, Shown, Thought};
use crate::chat::write_event;
use crate::compact;

/// A change of an item, or of a part of it: it begins, grows or is whole.
#[derive(Default, Serialize)]
pub(super) struct Change<'a> {
    pub(super) r#type: &'a str,
    pub(super) sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item_id: Option<&'a str>,
    pub(super) output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) item: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<ShownPart<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logprobs: Option<Nothing>,
}

/// A part of an item.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ShownPart<'a> {
    Words(&'a Part),
    Begun(Part),
    Thought(Thought<'a>),
}

/// Writes an event, unless the reader has it.
pub(super) fn tell(name: &str, number: Option<u64>, change: Change<'_>, out: &mut Vec<u8>) {
    if let Some(sequence_number) = number {
        write_event(name, &Change { r#type: name, sequence_number, ..change }, out);
    }
}

/// Writes an event that shows the response, unless the reader has it.
pub(super) fn snapshot(name: &str, number: Option<u64>, out: &mut Vec<u8>, response: impl FnOnce(&mut Vec<u8>)) {
    if let Some(number) = number {
        begin(name, number, out);
        out.extend_from_slice(b",\"response\":");
        response(out);
        out.extend_from_slice(b"}\n\n");
    }
}

/// Writes the beginning of an event, up to its number.
fn begin(name: &str, number: u64, out: &mut Vec<u8>) {
    let name = name.as_bytes();
    for part in [&b"event: "[..], name, b"\ndata: {\"type\":\"", name, b"\",\"sequence_number\":"] {
        out.extend_from_slice(part);
    }
    // Writing to a vector never fails.
    let _ = compact::write(out, &number);
}
