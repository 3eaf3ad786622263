//! The filter that decides which tasks of a session a page lists.

use crate::model::TaskState;

/// The filter of a [`TaskQuery`](super::TaskQuery). A store distinguishes only ended tasks from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    Ended,
    Open,
}

impl From<Option<TaskState>> for Wanted {
    fn from(state: Option<TaskState>) -> Self {
        match state {
            None => Self::All,
            Some(TaskState::Ended) => Self::Ended,
            Some(_) => Self::Open,
        }
    }
}

impl Wanted {
    /// The number of tasks that the filter selects out of `total`, of which `open` have not ended.
    pub(super) fn of(self, total: u64, open: u64) -> u64 {
        match self {
            Self::All => total,
            Self::Ended => total.saturating_sub(open),
            Self::Open => open,
        }
    }

    /// The filter as the rest of a `WHERE`.
    pub(super) fn condition(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Ended => "AND ended_at IS NOT NULL",
            Self::Open => "AND ended_at IS NULL",
        }
    }

    /// Whether the filter selects a task.
    pub(super) fn takes(self, ended: bool) -> bool {
        match self {
            Self::All => true,
            Self::Ended => ended,
            Self::Open => !ended,
        }
    }
}
