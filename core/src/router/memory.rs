//! Counts the bytes that the router holds for its callers, and bounds them by `limits.max_memory_bytes`.
//!
//! The count covers bodies that are being read, waiting requests, unfinished answers, and ended tasks that are kept.
//! The last eighth of the bound is reserved for work that has begun: new work is refused before that.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, ErrorKind};

/// The estimated bytes of a task in memory besides its text: its records here, in the engine and in the store's queue.
pub(super) const TASK: u64 = 4 << 10;

/// The count of bytes of one router.
#[derive(Debug)]
pub(crate) struct Memory {
    used: AtomicU64,
    /// The bound in bytes; `u64::MAX`: unlimited.
    most: AtomicU64,
}

impl Memory {
    /// A count with this bound in bytes; `None`: unlimited.
    pub(super) fn new(most: Option<NonZeroU64>) -> Arc<Self> {
        Arc::new(Self { used: AtomicU64::new(0), most: AtomicU64::new(most.map_or(u64::MAX, NonZeroU64::get)) })
    }

    /// Sets the bound. Work that is held already stays.
    pub(super) fn set_most(&self, most: Option<NonZeroU64>) {
        self.most.store(most.map_or(u64::MAX, NonZeroU64::get), Ordering::Relaxed);
    }

    fn most(&self) -> u64 {
        self.most.load(Ordering::Relaxed)
    }

    /// The number of bytes that are held at present.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The maximum number of bytes that ended tasks may take: a quarter of the bound.
    pub(super) fn share_of_ended(&self) -> u64 {
        self.most() / 4
    }

    /// Whether this many bytes of new work fit. The last eighth of the bound is for work that has begun.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        let most = self.most();
        most == u64::MAX || self.used().saturating_add(bytes) <= most - most / 8
    }

    /// Holds this many bytes, even if they do not fit.
    pub(crate) fn hold(self: &Arc<Self>, bytes: u64) -> Held {
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Held { memory: Arc::clone(self), bytes }
    }

    /// The error for a caller whose work does not fit.
    pub(crate) fn full() -> Error {
        Error::new(ErrorKind::Overloaded, "the router holds as much as limits.max_memory_bytes allows: try again later")
            .with_code("memory_full")
            .with_retry_after_ms(1_000)
    }
}

/// Bytes that are counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Arc<Memory>,
    bytes: u64,
}

impl Held {
    /// Changes the number of held bytes. `false`: the number has grown and exceeds the bound. It is held all the same.
    pub(crate) fn set(&mut self, bytes: u64) -> bool {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes <= before {
            self.memory.used.fetch_sub(before - bytes, Ordering::Relaxed);
            return true;
        }
        self.memory.used.fetch_add(bytes - before, Ordering::Relaxed).saturating_add(bytes - before)
            <= self.memory.most()
    }

    /// The number of held bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn new_work_leaves_room_for_what_is_under_way() {
        let memory = Memory::new(NonZeroU64::new(800));
        let mut task = memory.hold(600);
        assert!(memory.has_room(100));
        assert!(!memory.has_room(101), "the last eighth is kept");
        assert!(task.set(800), "work under way may use all of it");
        assert!(!task.set(801));
        drop(task);
        assert_eq!(memory.used(), 0);
        assert!(Memory::new(None).has_room(u64::MAX - 1));
    }

    proptest! {
        #[test]
        fn the_count_is_the_sum_of_what_is_held(changes in prop::collection::vec((0_usize..8, prop::option::of(0_u64..10_000)), 0..200)) {
            let memory = Memory::new(NonZeroU64::new(40_000));
            let mut held: Vec<Option<Held>> = (0..8).map(|_| None).collect();
            for (at, change) in changes {
                match (change, &mut held[at]) {
                    (None, place) => *place = None,
                    (Some(bytes), Some(held)) => { held.set(bytes); }
                    (Some(bytes), place) => *place = Some(memory.hold(bytes)),
                }
                prop_assert_eq!(memory.used(), held.iter().flatten().map(Held::bytes).sum::<u64>());
            }
        }
    }
}
