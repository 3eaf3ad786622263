//! The newest lines of the log, for operators who look at a router from outside.
//!
//! The router writes no prompt and no answer into the ring: it takes no lines about single requests, which are the only
//! ones in which it may show such a text.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tracing::{Event, Level, Metadata};

use super::LogRecord;
use crate::secrecy::logs_no_secret;

/// The bytes of a line that are kept.
const MOST_BYTES: usize = 2 << 10;

/// The sources of lines that a single request causes. They would push all others out of the ring, and their formatting
/// would cost every request.
const OF_REQUESTS: [&str; 2] = ["cortensor_router::access", "cortensor_router::router::admit"];

/// A line of the log that is kept.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct LogLine {
    /// The number of the line, which grows by one from line to line. It begins anew with the process.
    pub(crate) number: u64,
    /// Milliseconds since the Unix epoch.
    pub(crate) time_ms: u64,
    /// `error`, `warn` or `info`.
    pub(crate) level: &'static str,
    /// The module that wrote the line, for example `cortensor_router::router`.
    pub(crate) target: &'static str,
    /// The text, followed by the fields as `name=value`; at most 2 KiB.
    pub(crate) message: String,
}

/// The newest lines of a log. The oldest line makes room for a new one.
#[derive(Debug)]
pub struct LogRing {
    kept: Mutex<Kept>,
    /// Notified when a line came.
    grown: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<Arc<LogLine>>,
    most: usize,
    last: u64,
}

impl LogRing {
    /// A ring for that many lines; 0: it keeps none.
    #[must_use]
    pub fn new(lines: usize) -> Self {
        Self { kept: Mutex::new(Kept { most: lines, ..Kept::default() }), grown: Arc::default() }
    }

    /// Changes the number of lines that the ring keeps.
    pub fn resize(&self, lines: usize) {
        let mut kept = self.kept.lock();
        kept.most = lines;
        let beyond = kept.lines.len().saturating_sub(lines);
        kept.lines.drain(..beyond);
        kept.lines.shrink_to_fit();
    }

    /// The number of lines that the ring keeps at most.
    #[must_use]
    pub fn most(&self) -> usize {
        self.kept.lock().most
    }

    /// Whether the ring takes lines of that kind: those of the router from `info` on but for the ones about single
    /// requests, and warnings of everything else.
    #[must_use]
    pub fn wants(metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let least = if target.starts_with("cortensor_router") { Level::INFO } else { Level::WARN };
        *metadata.level() <= least && !OF_REQUESTS.contains(&target) && logs_no_secret(metadata)
    }

    /// Keeps the line of an event.
    pub fn take(&self, event: &Event<'_>) {
        if self.most() > 0 {
            self.push(LogRecord::of(event, 0));
        }
    }

    fn push(&self, record: LogRecord) {
        let LogRecord { time_ms, level, target, mut message } = record;
        message.truncate(message.floor_char_boundary(MOST_BYTES));
        message.shrink_to_fit();
        {
            let mut kept = self.kept.lock();
            if kept.most == 0 {
                return;
            }
            while kept.lines.len() >= kept.most {
                kept.lines.pop_front();
            }
            kept.last += 1;
            let number = kept.last;
            kept.lines.push_back(Arc::new(LogLine { number, time_ms, level, target, message }));
        }
        self.grown.notify_waiters();
    }

    /// The newest lines behind the one with the number `after`, at most `most`, oldest first. `None`: of all lines.
    pub(crate) fn lines(&self, after: Option<u64>, level: LogLevel, most: usize) -> Vec<Arc<LogLine>> {
        let kept = self.kept.lock();
        let newer = |line: &&Arc<LogLine>| after.is_none_or(|after| line.number > after);
        let wanted = kept.lines.iter().rev().take_while(newer).filter(|line| level.has(line.level));
        let mut lines: Vec<_> = wanted.take(most).cloned().collect();
        lines.reverse();
        lines
    }

    /// Becomes ready when a line comes from now on.
    pub(crate) fn grows(&self) -> OwnedNotified {
        self.grown.clone().notified_owned()
    }
}

/// The least level of lines that a reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogLevel(usize);

impl LogLevel {
    /// The levels that the ring has, the gravest first.
    pub(crate) const WORDS: [&'static str; 3] = ["error", "warn", "info"];

    /// The level of that name.
    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::WORDS.iter().position(|known| *known == word).map(Self)
    }

    fn has(self, level: &str) -> bool {
        Self::of(level).is_some_and(|level| level.0 <= self.0)
    }
}

impl Default for LogLevel {
    fn default() -> Self {
        Self(Self::WORDS.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(level: &'static str, message: &str) -> LogRecord {
        LogRecord { time_ms: 7, level, target: "cortensor_router", message: message.to_owned() }
    }

    fn said(ring: &LogRing, after: Option<u64>, level: &str, most: usize) -> Vec<String> {
        let level = LogLevel::of(level).unwrap();
        ring.lines(after, level, most).iter().map(|line| format!("{} {}", line.number, line.message)).collect()
    }

    #[test]
    fn the_newest_lines_stay() {
        let ring = LogRing::new(3);
        for (level, word) in [("info", "a"), ("warn", "b"), ("error", "c"), ("info", "d")] {
            ring.push(record(level, word));
        }
        assert_eq!(said(&ring, None, "info", 9), ["2 b", "3 c", "4 d"]);
        assert_eq!(said(&ring, None, "warn", 9), ["2 b", "3 c"]);
        assert_eq!(said(&ring, None, "error", 9), ["3 c"]);
        assert_eq!(said(&ring, None, "info", 2), ["3 c", "4 d"]);
        assert_eq!(said(&ring, Some(3), "info", 9), ["4 d"]);
        assert_eq!(said(&ring, Some(4), "info", 9), [""; 0]);
        // A reader that knows a number of an earlier process gets nothing, and no fault.
        assert_eq!(said(&ring, Some(99), "info", 9), [""; 0]);
        ring.resize(1);
        assert_eq!(said(&ring, None, "info", 9), ["4 d"]);
        ring.resize(0);
        ring.push(record("error", "e"));
        assert_eq!(said(&ring, None, "info", 9), [""; 0]);
    }

    #[test]
    fn a_long_line_is_cut_between_two_characters() {
        let ring = LogRing::new(1);
        ring.push(record("warn", &"ä".repeat(MOST_BYTES)));
        let kept = ring.lines(None, LogLevel::default(), 1);
        assert_eq!(kept[0].message, "ä".repeat(MOST_BYTES / 2));
        ring.push(record("warn", &format!("a{}", "ä".repeat(MOST_BYTES))));
        assert_eq!(ring.lines(None, LogLevel::default(), 1)[0].message.len(), MOST_BYTES - 1);
    }
}
