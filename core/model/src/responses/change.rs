//! The events that show a response, and those of its items.
//!
//! They are written member by member: a stream has few other bytes, and their names never need an escape.

use super::output::Part;
use super::shown::{Shown, Thought};
use crate::compact::{write_number, write_text};

/// A change of an item, or of a part of it: it begins, grows or is whole.
#[derive(Default)]
pub(super) struct Change<'a> {
    pub(super) item_id: Option<&'a str>,
    pub(super) output_index: usize,
    pub(super) content_index: Option<usize>,
    pub(super) summary_index: Option<usize>,
    pub(super) item: Option<Shown<'a>>,
    pub(super) part: Option<ShownPart<'a>>,
    pub(super) delta: Option<&'a str>,
    pub(super) text: Option<&'a str>,
    pub(super) refusal: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) arguments: Option<&'a str>,
    pub(super) input: Option<&'a str>,
    /// Whether the probabilities of the tokens are shown, of which there are none.
    pub(super) logprobs: bool,
}

/// A part of an item.
pub(super) enum ShownPart<'a> {
    Words(&'a Part),
    /// A part that has no words yet.
    Begun(&'a Part),
    Thought(Thought<'a>),
}

impl Change<'_> {
    /// Writes the members behind the event's number.
    fn write(&self, out: &mut Vec<u8>) {
        let number = |name: &str, value: Option<usize>, out: &mut Vec<u8>| {
            if let Some(value) = value {
                out.extend_from_slice(name.as_bytes());
                write_number(out, value as u64);
            }
        };
        let text = |name: &str, value: Option<&str>, out: &mut Vec<u8>| {
            if let Some(value) = value {
                out.extend_from_slice(name.as_bytes());
                write_text(out, value);
            }
        };
        text(r#","item_id":"#, self.item_id, out);
        number(r#","output_index":"#, Some(self.output_index), out);
        number(r#","content_index":"#, self.content_index, out);
        number(r#","summary_index":"#, self.summary_index, out);
        if let Some(item) = &self.item {
            out.extend_from_slice(br#","item":"#);
            item.write(out);
        }
        if let Some(part) = &self.part {
            out.extend_from_slice(br#","part":"#);
            match part {
                ShownPart::Words(part) => part.write(false, out),
                ShownPart::Begun(part) => part.write(true, out),
                ShownPart::Thought(thought) => thought.write(out),
            }
        }
        for (name, value) in [
            (r#","delta":"#, self.delta),
            (r#","text":"#, self.text),
            (r#","refusal":"#, self.refusal),
            (r#","name":"#, self.name),
            (r#","arguments":"#, self.arguments),
            (r#","input":"#, self.input),
        ] {
            text(name, value, out);
        }
        if self.logprobs {
            out.extend_from_slice(br#","logprobs":[]"#);
        }
    }
}

/// Writes an event, unless the reader has it.
pub(super) fn tell(name: &str, number: Option<u64>, change: &Change<'_>, out: &mut Vec<u8>) {
    if let Some(number) = number {
        begin(name, number, out);
        change.write(out);
        out.extend_from_slice(b"}\n\n");
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
    write_number(out, number);
}

/// The events of a text that grows. They are alike but for their numbers and their words.
#[derive(Debug)]
pub(super) struct Growing {
    /// The place of the item.
    pub(super) place: usize,
    /// The last event up to its words, and its number.
    event: Vec<u8>,
    number: u64,
    /// The place of the number's last digit.
    digit: usize,
    /// The bytes between the number and the words.
    middle: Vec<u8>,
}

impl Growing {
    /// The events of that part of the item with this id.
    pub(super) fn new(place: usize, part: usize, id: &str) -> Self {
        let mut middle = Vec::with_capacity(128);
        let about = Change {
            item_id: Some(id),
            output_index: place,
            content_index: Some(part),
            delta: Some(""),
            ..Change::default()
        };
        about.write(&mut middle);
        // The words stand in the place of the empty ones.
        middle.truncate(middle.len() - 2);
        Self { place, event: Vec::with_capacity(256), number: 0, digit: 0, middle }
    }

    /// Writes the event with that number of a piece with these words.
    pub(super) fn write(&mut self, number: u64, words: &str, out: &mut Vec<u8>) {
        const END: &[u8] = b",\"logprobs\":[]}\n\n";
        // Usually the last digit alone changes.
        match self.event.get_mut(self.digit) {
            Some(digit) if number == self.number + 1 && *digit != b'9' => *digit += 1,
            _ => {
                self.event.clear();
                begin("response.output_text.delta", number, &mut self.event);
                self.digit = self.event.len() - 1;
                self.event.extend_from_slice(&self.middle);
            }
        }
        self.number = number;
        out.reserve(self.event.len() + words.len() + 2 + END.len());
        out.extend_from_slice(&self.event);
        write_text(out, words);
        out.extend_from_slice(END);
    }
}
