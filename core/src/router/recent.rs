//! Ended tasks that are kept in memory, so that their streams can be resumed piece by piece.

use std::collections::VecDeque;

use crate::model::Gid;

/// The order of the ended tasks in memory, and the bytes that they take.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Tasks and their bytes, oldest first.
    order: VecDeque<(Gid, u64)>,
    bytes: u64,
}

impl Recent {
    pub(super) fn push(&mut self, gid: Gid, bytes: u64) {
        self.order.push_back((gid, bytes));
        self.bytes += bytes;
    }

    pub(super) fn pop(&mut self) -> Option<Gid> {
        let (gid, bytes) = self.order.pop_front()?;
        self.bytes -= bytes;
        // The list must not keep the memory of a former peak for ever.
        if self.order.len() < self.order.capacity() / 4 {
            self.order.shrink_to(self.order.len() * 2);
        }
        Some(gid)
    }

    /// Whether there are more than `tasks` tasks, or they take more than `bytes` bytes.
    pub(super) fn exceeds(&self, tasks: usize, bytes: u64) -> bool {
        self.order.len() > tasks || self.bytes > bytes
    }

    /// The oldest task.
    pub(super) fn oldest(&self) -> Option<Gid> {
        self.order.front().map(|(gid, _)| *gid)
    }

    /// The tasks, the newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = Gid> + '_ {
        self.order.iter().rev().map(|(gid, _)| *gid)
    }

    /// The tasks, the oldest first.
    pub(super) fn tasks(&self) -> impl Iterator<Item = Gid> + '_ {
        self.order.iter().map(|(gid, _)| *gid)
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::TASK;
    use super::*;

    #[test]
    fn the_bytes_are_those_of_what_is_kept() {
        let mut recent = Recent::default();
        for gid in 1..=1_000 {
            recent.push(Gid(gid), TASK);
        }
        for gid in 1..=990 {
            assert_eq!(recent.pop(), Some(Gid(gid)));
        }
        assert_eq!((recent.bytes, recent.order.len()), (10 * TASK, 10));
        assert!(recent.order.capacity() <= 64, "{}", recent.order.capacity());
    }
}
