//! The filter that says which tasks of a session are on a page.

use crate::model::TaskState;

/// The filter of a [`TaskQuery`](super::TaskQuery). A store tells only ended tasks from others.
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
    /// The number of wanted tasks out of `total`, of which `open` have not ended.
    pub(super) fn of(self, total: u64, open: u64) -> u64 {
        match self {
            Self::All => total,
            Self::Ended => total.saturating_sub(open),
            Self::Open => open,
        }
    }

    /// Whether a task is wanted.
    pub(super) fn takes(self, ended: bool) -> bool {
        match self {
            Self::All => true,
            Self::Ended => ended,
            Self::Open => !ended,
        }
    }
}
