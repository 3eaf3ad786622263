//! Ended tasks that are kept in memory, so that their streams can be resumed piece by piece.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::live::Live;
use super::memory::Memory;
use super::shared::Core;
use crate::config::LimitsConfig;
use crate::model::{Gid, SessionId};

/// The order of the ended tasks in memory, and the bytes that they take.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Tasks and their bytes, oldest first.
    order: VecDeque<(Gid, u64)>,
    bytes: u64,
}

impl Recent {
    fn push(&mut self, gid: Gid, bytes: u64) {
        self.order.push_back((gid, bytes));
        self.bytes += bytes;
    }

    fn pop(&mut self) -> Option<Gid> {
        let (gid, bytes) = self.order.pop_front()?;
        self.bytes -= bytes;
        // The memory of a former peak must not be kept for ever.
        if self.order.len() < self.order.capacity() / 4 {
            self.order.shrink_to(self.order.len() * 2);
        }
        Some(gid)
    }
}

impl Core {
    /// Keeps an ended task that takes this many bytes. Returns the tasks that are no longer kept, which the caller must
    /// free outside the lock.
    pub(super) fn keep(&mut self, gid: Gid, bytes: u64, limits: &LimitsConfig, memory: &Memory) -> Vec<Arc<Live>> {
        self.recent.push(gid, bytes);
        let most = limits.recent_bytes.min(memory.share_of_ended());
        let mut forgotten = Vec::new();
        while self.recent.order.len() > limits.recent_tasks || self.recent.bytes > most {
            let Some(old) = self.recent.pop() else { break };
            forgotten.extend(self.forget_ended(old));
        }
        forgotten
    }

    /// Forgets ended tasks until this many bytes fit. `false`: they do not fit although no ended task is left.
    pub(super) fn make_room(&mut self, bytes: u64, memory: &Memory) -> bool {
        while !memory.has_room(bytes) {
            let Some(old) = self.recent.pop() else { return false };
            self.forget_ended(old);
        }
        true
    }

    /// Forgets the ended tasks of these sessions. Returns them; the caller must free them outside the lock.
    pub(super) fn forget_tasks_of(&mut self, sessions: &BTreeSet<SessionId>) -> Vec<Arc<Live>> {
        let mut gone: Vec<Gid> = self.recent.order.iter().map(|(gid, _)| *gid).collect();
        gone.retain(|gid| self.live.get(gid).is_some_and(|live| sessions.contains(&live.spec.session_id)));
        // Their entries in the order stay until they are the oldest.
        gone.into_iter().filter_map(|gid| self.forget_ended(gid)).collect()
    }

    fn forget_ended(&mut self, gid: Gid) -> Option<Arc<Live>> {
        let old = self.live.remove(&gid)?;
        self.by_id.remove(&(old.spec.session_id, old.spec.id));
        Some(old)
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
