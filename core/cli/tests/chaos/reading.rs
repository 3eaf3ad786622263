//! The events of one stream, over all connections that it takes to read it.

use serde_json::Value;

use super::answer::Event;

/// A stream as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The number of the last event; 0: there was none.
    pub(crate) last: u64,
    /// The number of restart marks.
    pub(crate) restarts: u64,
    text: String,
}

/// The meaning of an event.
#[derive(Debug)]
pub(crate) enum Step {
    /// A piece or a mark came.
    Piece(Value),
    /// The stream ends here, and the client may resume it: the code says why.
    Later(Value),
    /// The task has ended well, with the text of the pieces.
    Ended(Value),
    /// The event breaks a promise.
    Broken(String),
}

impl Reading {
    /// Takes an event.
    pub(crate) fn take(&mut self, event: &Event) -> Step {
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
            // `[DONE]` follows an end, and nobody reads on then.
            return Step::Broken(format!("{event:?} is no piece, mark or end"));
        };
        if data.get("error").is_some() {
            return match data["code"].as_str() {
                Some("closed" | "task_moved" | "unavailable" | "store_unavailable" | "store_overloaded") => {
                    Step::Later(data["code"].clone())
                }
                _ => Step::Broken(format!("it did not end well: {data}")),
            };
        }
        let Some(id) = event.id else { return Step::Broken(format!("{event:?} has no number")) };
        if data["restart"] == true {
            (self.last, self.text) = (id, String::new());
            self.restarts += 1;
            return Step::Piece(data);
        }
        if id <= self.last {
            return Step::Broken(format!("event {id} came after {}: a piece is repeated", self.last));
        }
        self.last = id;
        self.text.push_str(data["choices"][0]["text"].as_str().unwrap_or_default());
        if data["choices"][0]["finish_reason"].is_null() {
            return Step::Piece(data);
        }
        if data["text"].as_str() == Some(&self.text) {
            return Step::Ended(data);
        }
        Step::Broken(format!("the pieces {:?} are not the answer {}", self.text, data["text"]))
    }
}
