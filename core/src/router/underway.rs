//! An attempt as its task sees it: the model that answers, and the signals to the miner to stop or to continue.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::model::Fence;

/// An attempt that a miner works on.
pub(super) struct Underway {
    pub(super) fence: Fence,
    /// The answering model, if it is known before the answer.
    pub(super) model: Option<String>,
    cancelled: AtomicBool,
    over: AtomicBool,
    changed: Notify,
}

impl Underway {
    pub(super) fn new(fence: Fence, model: Option<String>) -> Self {
        Self { fence, model, cancelled: AtomicBool::new(false), over: AtomicBool::new(false), changed: Notify::new() }
    }

    /// Tells the miner that this attempt is not wanted any more.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Tells the miner that a reader has caught up.
    pub(super) fn caught_up(&self) {
        self.changed.notify_waiters();
    }

    /// Notes that the task has its end, so that waits for a change of the attempt end.
    pub(super) fn finish(&self) {
        self.over.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Whether the task has its end.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Resolves at the next change. The caller must make this future before it reads the state, so that it misses no
    /// change.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }
}
