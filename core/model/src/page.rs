//! Reads which part of a list a caller wants. Queries over HTTP and the records of the bindings use the same words.

use std::ops::Range;

use super::{SessionState, TaskState};
use crate::{Error, Result};

/// The number of rows of a page if the caller names no number.
const DEFAULT_ROWS: u64 = 100;

/// The beginning of a page in a list that is kept oldest first. The rows of the page itself are always oldest first,
/// too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageStart {
    /// After this number of the oldest rows.
    Oldest(u64),
    /// Before this number of the newest rows.
    Newest(u64),
}

/// The newest page.
impl Default for PageStart {
    fn default() -> Self {
        Self::Newest(0)
    }
}

impl PageStart {
    /// The rows of a page of at most `limit` rows in a list of `total` rows, counted from the oldest row.
    pub fn rows(self, limit: u64, total: u64) -> Range<u64> {
        match self {
            Self::Oldest(skipped) => {
                let first = skipped.min(total);
                first..first.saturating_add(limit).min(total)
            }
            Self::Newest(skipped) => {
                let end = total.saturating_sub(skipped);
                end.saturating_sub(limit)..end
            }
        }
    }
}

/// The beginning of a page of tasks, and whether its rows are shown newest first. With neither an offset nor an order
/// the page is the newest one, oldest first, because clients take the last row for the task that they have just made.
///
/// # Errors
/// `InvalidArgument` for an order that is neither `asc` nor `desc`.
pub fn page_start(offset: Option<u64>, order: Option<&str>) -> Result<(PageStart, bool)> {
    match (order, offset) {
        (None | Some(""), None) => Ok((PageStart::Newest(0), false)),
        (None | Some("" | "asc"), offset) => Ok((PageStart::Oldest(offset.unwrap_or(0)), false)),
        (Some("desc"), offset) => Ok((PageStart::Newest(offset.unwrap_or(0)), true)),
        (Some(_), _) => {
            Err(Error::invalid("order", "order must be asc (from the oldest on) or desc (from the newest back)"))
        }
    }
}

/// The number of rows of a page, at most `most`.
///
/// # Errors
/// `InvalidArgument` for a page without rows.
pub fn page_rows(limit: Option<u64>, most: u64) -> Result<u64> {
    match limit {
        Some(0) => Err(Error::invalid("limit", "limit must be at least 1")),
        limit => Ok(limit.unwrap_or(DEFAULT_ROWS).min(most)),
    }
}

/// The state by which tasks are filtered: `ended`, or any other state for all tasks that have not ended; `None`: all
/// tasks.
///
/// # Errors
/// `InvalidArgument` for any other word.
pub fn wanted_tasks(state: Option<&str>) -> Result<Option<TaskState>> {
    match state {
        None | Some("" | "all") => Ok(None),
        Some("active") => Ok(Some(TaskState::Queued)),
        Some(word) => word.parse().map(Some).map_err(|_| {
            Error::invalid("state", "state must be active, queued, assigned, acked, precommitted, committed or ended")
        }),
    }
}

/// The state by which sessions are filtered: `open` or `closed`; `None`: all sessions.
///
/// # Errors
/// `InvalidArgument` for any other word.
pub fn wanted_sessions(state: Option<&str>) -> Result<Option<SessionState>> {
    match state {
        None | Some("" | "all") => Ok(None),
        Some("open" | "active") => Ok(Some(SessionState::Open)),
        Some("closed") => Ok(Some(SessionState::Closed)),
        Some(_) => Err(Error::invalid("state", "state must be open or closed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_rows_that_its_words_ask_for() {
        let rows = |offset, order, limit, total| {
            let (start, reversed) = page_start(offset, order).unwrap();
            let rows: Vec<u64> = start.rows(limit, total).collect();
            if reversed { rows.into_iter().rev().collect() } else { rows }
        };
        for (offset, order, limit, total, wanted) in [
            (None, None, 3, 10, vec![7, 8, 9]),
            (None, None, 3, 2, vec![0, 1]),
            (None, None, 3, 0, vec![]),
            (Some(0), None, 3, 10, vec![0, 1, 2]),
            (None, Some("asc"), 3, 10, vec![0, 1, 2]),
            (Some(9), None, 3, 10, vec![9]),
            (Some(u64::MAX), Some("asc"), u64::MAX, 10, vec![]),
            (None, Some("desc"), 3, 10, vec![9, 8, 7]),
            (Some(8), Some("desc"), 3, 10, vec![1, 0]),
            (Some(u64::MAX), Some("desc"), u64::MAX, 10, vec![]),
            (None, Some(""), u64::MAX, 2, vec![0, 1]),
        ] {
            assert_eq!(rows(offset, order, limit, total), wanted, "{offset:?} {order:?} {limit} of {total}");
        }
        assert_eq!(page_start(None, Some("up")).unwrap_err().details().param.as_deref(), Some("order"));
    }
}
