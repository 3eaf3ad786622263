//! A task that the user of `top` opened: its record, and its answer as it comes.

use serde_json::Value;

use crate::printable::printable;

/// The end of an answer that is kept, in bytes.
const KEPT: usize = 256 << 10;

/// An opened task.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) session: u64,
    pub(super) task: u64,
    pub(super) record: Value,
    answer: String,
    /// Whether the beginning of the answer was dropped.
    cut: bool,
    /// The first line that is shown; `None` follows the end.
    top: Option<u16>,
    /// The first line of the last page, as it was drawn.
    last: u16,
}

impl Opened {
    pub(super) fn new(session: u64, task: u64) -> Self {
        Self { session, task, record: Value::Null, answer: String::new(), cut: false, top: None, last: 0 }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.record.get("ended").and_then(Value::as_bool).unwrap_or_default()
    }

    /// Adds a piece of the answer, without characters that would steer the terminal.
    pub(super) fn add(&mut self, text: &str) {
        self.answer.push_str(&printable(text));
        if self.answer.len() > KEPT {
            let from = self.answer.ceil_char_boundary(self.answer.len() - KEPT);
            self.answer.drain(..from);
            self.cut = true;
        }
    }

    pub(super) fn restart(&mut self) {
        self.answer.clear();
        self.cut = false;
    }

    /// The answer: its pieces, or the text of the record if no piece came.
    pub(super) fn answer(&self) -> String {
        if self.answer.is_empty() {
            return printable(self.record.get("text").and_then(Value::as_str).unwrap_or_default());
        }
        if self.cut { format!("... {}", self.answer) } else { self.answer.clone() }
    }

    /// The first line to show of so many on a page of that height.
    pub(super) fn first_line(&mut self, lines: usize, height: u16) -> u16 {
        self.last = u16::try_from(lines).unwrap_or(u16::MAX).saturating_sub(height);
        match self.top {
            Some(top) if top < self.last => top,
            _ => {
                self.top = None;
                self.last
            }
        }
    }

    pub(super) fn scroll(&mut self, by: i16) {
        self.top = Some(self.top.unwrap_or(self.last).saturating_add_signed(by));
    }

    pub(super) fn go_to_start(&mut self) {
        self.top = Some(0);
    }

    pub(super) fn go_to_end(&mut self) {
        self.top = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_answer_keeps_its_end() {
        let mut opened = Opened::new(0, 1);
        opened.add("start\u{1b}[31m");
        assert_eq!(opened.answer(), "start[31m");
        for _ in 0..3 {
            opened.add(&"ü".repeat(KEPT / 2));
        }
        assert!(opened.answer.len() <= KEPT && opened.answer().starts_with("... ü"));
        opened.restart();
        assert_eq!(opened.answer(), "");
    }

    #[test]
    fn the_end_is_followed_until_the_user_scrolls_up() {
        let mut opened = Opened::new(0, 1);
        assert_eq!(opened.first_line(100, 10), 90);
        assert_eq!(opened.first_line(120, 10), 110);
        opened.scroll(-5);
        assert_eq!(opened.first_line(200, 10), 105);
        opened.go_to_start();
        assert_eq!(opened.first_line(200, 10), 0);
        opened.scroll(i16::MAX);
        assert_eq!(opened.first_line(200, 10), 190);
        assert_eq!(opened.first_line(300, 10), 290, "it follows again");
    }
}
