//! An attempt as its task sees it: the model that answers, and the signals to the miner to stop or to continue.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::model::Fence;

/// An attempt that a miner works on.
pub(super) struct Underway {
    pub(super) fence: Fence,
    /// The answering model, if it is known before the answer.
    pub(super) model: Option<Arc<str>>,
    cancelled: AtomicBool,
    over: AtomicBool,
    /// The task that works on the attempt. It is woken when the attempt is cancelled or over.
    worker: AtomicWaker,
    /// Notified when the attempt is cancelled or over.
    stopped: Notify,
    /// Notified when a reader has caught up, and when the attempt is cancelled or over.
    room: Notify,
}

impl Underway {
    pub(super) fn new(fence: Fence, model: Option<Arc<str>>) -> Self {
        let (cancelled, over) = (AtomicBool::new(false), AtomicBool::new(false));
        let (worker, stopped, room) = (AtomicWaker::new(), Notify::new(), Notify::new());
        Self { fence, model, cancelled, over, worker, stopped, room }
    }

    /// Tells the miner that this attempt is not wanted any more.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.tell_stop();
    }

    /// Tells the miner that a reader has caught up.
    pub(super) fn caught_up(&self) {
        self.room.notify_waiters();
    }

    /// Notes that the task has its end, so that waits for a change of the attempt end.
    pub(super) fn finish(&self) {
        self.over.store(true, Ordering::Release);
        self.tell_stop();
    }

    fn tell_stop(&self) {
        self.worker.wake();
        self.stopped.notify_waiters();
        self.room.notify_waiters();
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Whether the attempt is cancelled, or the task has its end.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_cancelled() || self.over.load(Ordering::Acquire)
    }

    /// Ready when the attempt [is stopped](Self::is_stopped). It wakes the task that polled last, and no other.
    pub(super) fn poll_stop(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_stopped() {
            self.worker.register(cx.waker());
        }
        // The attempt may have been stopped before its worker was known.
        if self.is_stopped() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until the attempt [is stopped](Self::is_stopped).
    pub(super) async fn stop(&self) {
        // The future is made before the state is read, so that it misses no change.
        let stopped = self.stopped.notified();
        if !self.is_stopped() {
            stopped.await;
        }
    }

    /// Resolves when a reader has caught up or the attempt is stopped. The caller must make this future before it reads
    /// the state, so that it misses no change.
    pub(super) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_stop_ends_every_wait_and_room_wakes_nobody_who_works() {
        for stop in [Underway::cancel, Underway::finish] {
            let attempt = Underway::new(Fence(1), None);
            let (worker, other) = (Arc::new(Count::default()), Arc::new(Count::default()));
            let (for_worker, for_other) = (Waker::from(Arc::clone(&worker)), Waker::from(Arc::clone(&other)));
            let mut works = Context::from_waker(&for_worker);
            let mut waits = Context::from_waker(&for_other);
            let (mut stopped, mut room) = (pin!(attempt.stop()), pin!(attempt.room()));
            assert!(attempt.poll_stop(&mut works).is_pending());
            assert!(stopped.as_mut().poll(&mut waits).is_pending() && room.as_mut().poll(&mut waits).is_pending());
            attempt.caught_up();
            assert_eq!((worker.0.load(Ordering::Relaxed), other.0.load(Ordering::Relaxed)), (0, 1));
            assert!(room.as_mut().poll(&mut waits).is_ready());
            assert!(attempt.poll_stop(&mut works).is_pending() && stopped.as_mut().poll(&mut waits).is_pending());
            stop(&attempt);
            assert_eq!((worker.0.load(Ordering::Relaxed), other.0.load(Ordering::Relaxed)), (1, 2));
            assert!(attempt.poll_stop(&mut works).is_ready() && stopped.as_mut().poll(&mut waits).is_ready());
            assert!(pin!(attempt.stop()).poll(&mut waits).is_ready(), "the stop was before the wait");
        }
    }
}
