//! The audit log in memory.

use std::collections::VecDeque;

use super::super::{Act, AuditEntry, AuditPage, AuditQuery};
use crate::model::Timestamp;

/// The newest entries, oldest first.
#[derive(Debug, Default)]
pub(super) struct AuditLog {
    /// The number of entries that the log keeps.
    most: u64,
    last: u64,
    entries: VecDeque<AuditEntry>,
}

impl AuditLog {
    pub(super) fn new(most: u64) -> Self {
        Self { most, ..Self::default() }
    }

    /// Adds an entry, if there is one to add. The oldest one makes room.
    pub(super) fn record(&mut self, act: Option<Act>) {
        let Some(act) = act else { return };
        self.last += 1;
        self.entries.push_back(AuditEntry { number: self.last, act });
        while self.entries.len() as u64 > self.most {
            self.entries.pop_front();
        }
    }

    /// Reads a page.
    pub(super) fn page(&self, query: AuditQuery) -> AuditPage {
        let matching = || self.entries.iter().filter(|entry| query.act.is_none_or(|act| act == entry.act.act));
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let entries = if let Some(after) = query.after {
            matching().filter(|entry| entry.number > after).take(limit).cloned().collect()
        } else {
            let mut newest: Vec<_> = matching().rev().take(limit).cloned().collect();
            newest.reverse();
            newest
        };
        AuditPage { entries, corrupt: Vec::new(), total: matching().count() as u64 }
    }

    /// Deletes the entries before the first one that is not older than that. Gives their number.
    pub(super) fn forget(&mut self, before: Timestamp) -> u64 {
        let kept = self.entries.iter().position(|entry| entry.act.at >= before).unwrap_or(self.entries.len());
        self.entries.drain(..kept).count() as u64
    }
}
