//! Handles that keep a task going, and waiters for a change of a task.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::live::{Live, LiveState};
use super::shared::Shared;
use crate::engine::Event;

/// A hold on a task. Dropping a task's last attachment cancels the task, unless the task is detached.
pub(super) struct Attachment {
    pub(super) shared: Arc<Shared>,
    live: Arc<Live>,
}

impl Attachment {
    pub(super) fn new(shared: Arc<Shared>, live: Arc<Live>) -> Self {
        live.attached.fetch_add(1, Ordering::AcqRel);
        Self { shared, live }
    }
}

impl Clone for Attachment {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone(), self.live.clone())
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        let last = self.live.attached.fetch_sub(1, Ordering::AcqRel) == 1;
        if last && !self.live.detached.load(Ordering::Acquire) && self.live.state.lock().outcome.is_none() {
            self.shared.step(Event::Cancel(self.live.spec.gid));
        }
    }
}

/// Waits for one change of a task. Dropping it removes its waker from the task.
pub(super) struct Waiter<'a> {
    live: &'a Live,
    id: u64,
}

impl<'a> Waiter<'a> {
    pub(super) fn new(live: &'a Live) -> Self {
        Self { live, id: live.waiter() }
    }

    pub(super) fn poll<T>(&self, cx: &mut Context<'_>, look: impl Fn(&LiveState) -> Option<T>) -> Poll<T> {
        let mut state = self.live.state.lock();
        if let Some(found) = look(&state) {
            return Poll::Ready(found);
        }
        state.wait(self.id, cx.waker());
        Poll::Pending
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.live.state.lock().leave(self.id);
    }
}
