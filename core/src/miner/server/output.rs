//! The output of a model server as lines of the log, within a bound.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// The lines that are kept, and the most bytes that are kept of each.
const KEPT_LINES: usize = 20;
const KEPT_BYTES: usize = 240;

/// The lines that the words about a failure have.
const SAID_LINES: usize = 3;

/// The last lines that a server wrote in its present run, or in its last one.
#[derive(Debug, Clone, Default)]
pub(super) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    fn keep(&self, line: &str) {
        let mut lines = self.0.lock();
        if lines.len() == KEPT_LINES {
            lines.pop_front();
        }
        lines.push_back(line[..line.floor_char_boundary(KEPT_BYTES)].to_owned());
    }

    /// Forgets the lines of an earlier run.
    pub(super) fn begin(&self) {
        self.0.lock().clear();
    }

    /// The lines, oldest first.
    #[cfg(feature = "listener")]
    pub(super) fn all(&self) -> Vec<String> {
        self.0.lock().iter().cloned().collect()
    }

    /// The words with the last lines behind them.
    pub(super) fn behind(&self, words: &str) -> String {
        let lines = self.0.lock();
        if lines.is_empty() {
            return words.to_owned();
        }
        let said: Vec<&str> = lines.range(lines.len().saturating_sub(SAID_LINES)..).map(|line| line.trim()).collect();
        format!("{words}; it said: {}", said.join(" / "))
    }
}

/// Passes the lines of a server to the log, and keeps the last ones. Of a line that is longer than `most` bytes only the
/// beginning is passed on. Returns when the output has ended.
pub(super) async fn pass_on(mut output: impl AsyncBufRead + Unpin, name: &str, most: usize, last: &LastLines) {
    let mut line = Line::default();
    loop {
        let piece = match output.fill_buf().await {
            Ok([]) | Err(_) => break,
            Ok(piece) => piece,
        };
        let (part, used, ends) = match piece.iter().position(|byte| *byte == b'\n') {
            Some(at) => (&piece[..at], at + 1, true),
            None => (piece, piece.len(), false),
        };
        line.add(part, most);
        output.consume(used);
        if ends {
            line.end(name, last);
        }
    }
    line.end(name, last);
}

#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Line {
    fn add(&mut self, part: &[u8], most: usize) {
        let room = most.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&part[..part.len().min(room)]);
        self.is_cut |= part.len() > room;
    }

    /// Logs the line, and begins the next one.
    fn end(&mut self, name: &str, last: &LastLines) {
        let text = String::from_utf8_lossy(&self.bytes);
        let text = text.trim_end();
        if !text.is_empty() {
            tracing::info!(upstream = name, cut = self.is_cut.then_some(true), "{text}");
            last.keep(text);
        }
        self.bytes.clear();
        self.is_cut = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_lines_are_kept_within_their_bounds() {
        let last = LastLines::default();
        assert_eq!(last.behind("it ended"), "it ended");
        let long = "x".repeat(5_000);
        let text = format!("one\n\ntwo\r\n{long}\nthree\u{ff}\nlast without an end");
        pass_on(text.as_bytes(), "s", 100, &last).await;
        let cut = "x".repeat(100);
        assert_eq!(last.behind("it ended"), format!("it ended; it said: {cut} / three\u{ff} / last without an end"));
        let wild = [&b"a\xff\xfeb\n"[..], "\u{e4}".repeat(200).as_bytes()].concat();
        pass_on(&wild[..], "s", 4_096, &last).await;
        let words = last.behind("");
        assert!(words.contains("a\u{fffd}\u{fffd}b") && words.len() < SAID_LINES * (KEPT_BYTES + 20), "{words}");
        let many: Vec<String> = (0..100).map(|number| format!("line {number}\n")).collect();
        pass_on(many.concat().as_bytes(), "s", 100, &last).await;
        assert_eq!(last.behind("it ended"), "it ended; it said: line 97 / line 98 / line 99");
        assert_eq!(last.0.lock().len(), KEPT_LINES);
        last.begin();
        assert_eq!(last.behind("it ended"), "it ended");
    }
}
