//! The count of the writes that the writer has settled.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};

/// The number of operations that the writer has settled, for readers that must not overtake it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    settled: AtomicU64,
    waiting: Mutex<()>,
    moved: Condvar,
}

impl Progress {
    /// Counts further operations as settled.
    pub(super) fn add(&self, count: u64) {
        let guard = self.waiting.lock();
        self.settled.fetch_add(count, Ordering::Release);
        drop(guard);
        self.moved.notify_all();
    }

    /// The number of operations that are settled; the greatest one once the writer has ended.
    pub(super) fn count(&self) -> u64 {
        self.settled.load(Ordering::Acquire)
    }

    /// Marks the writer as ended, so that no reader waits for it.
    pub(super) fn end(&self) {
        let guard = self.waiting.lock();
        self.settled.store(u64::MAX, Ordering::Release);
        drop(guard);
        self.moved.notify_all();
    }

    /// Waits until `count` operations are settled.
    pub(super) fn wait(&self, count: u64) {
        if self.count() >= count {
            return;
        }
        let mut guard = self.waiting.lock();
        while self.count() < count {
            self.moved.wait(&mut guard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_waits_for_the_writer() {
        let progress = std::sync::Arc::new(Progress::default());
        let other = std::sync::Arc::clone(&progress);
        let reader = std::thread::spawn(move || {
            other.wait(3);
            other.count()
        });
        progress.add(2);
        progress.add(1);
        assert_eq!(reader.join().unwrap(), 3);
        progress.end();
        progress.wait(u64::MAX);
    }
}
