//! Which part of a list is wanted: the same words in queries over HTTP and in the bindings' records.

use super::{SessionState, TaskState};
use crate::{Error, Result};

/// The rows of a page where none are asked for.
const DEFAULT_ROWS: u64 = 100;

/// How many rows a page has, at most `most`.
///
/// # Errors
/// `InvalidArgument` for a page without rows.
pub(crate) fn page_rows(limit: Option<u64>, most: u64) -> Result<u64> {
    match limit {
        Some(0) => Err(Error::invalid("limit", "limit must be at least 1")),
        limit => Ok(limit.unwrap_or(DEFAULT_ROWS).min(most)),
    }
}

/// Which tasks are wanted: `ended`, or any other state's word for those that have not ended; `None`: all.
///
/// # Errors
/// `InvalidArgument` for any other word.
pub(crate) fn wanted_tasks(state: Option<&str>) -> Result<Option<TaskState>> {
    let all = [
        TaskState::Queued,
        TaskState::Assigned,
        TaskState::Acked,
        TaskState::Precommitted,
        TaskState::Committed,
        TaskState::Ended,
    ];
    match state {
        None | Some("" | "all") => Ok(None),
        Some("active") => Ok(Some(TaskState::Queued)),
        Some(word) => all.into_iter().find(|state| state.as_str() == word).map(Some).ok_or_else(|| {
            Error::invalid("state", "state must be active, queued, assigned, acked, precommitted, committed or ended")
        }),
    }
}

/// Which sessions are wanted: `open` or `closed`; `None`: all.
///
/// # Errors
/// `InvalidArgument` for any other word.
pub(crate) fn wanted_sessions(state: Option<&str>) -> Result<Option<SessionState>> {
    match state {
        None | Some("" | "all") => Ok(None),
        Some("open" | "active") => Ok(Some(SessionState::Open)),
        Some("closed") => Ok(Some(SessionState::Closed)),
        Some(_) => Err(Error::invalid("state", "state must be open or closed")),
    }
}
