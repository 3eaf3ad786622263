//! The work on slots that are lent: jobs of other routers at the miners of this one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_util::future::{self, BoxFuture, FutureExt as _};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::partner::{Partner, fence_of, refuse};
use crate::engine::Event;
use crate::miner::{Chunk, Emit, FailClass, Failure, Job, JobSink, Miner, MinerEvent, Settled};
use crate::model::Fence;
use crate::router::attempt::blame_of;
use crate::router::fleet::figures::LoanEnd;
use crate::router::shared::Shared;

/// The miner of a desk: the one whose slot the attempt uses.
#[derive(Clone)]
pub(super) struct Lender {
    pub(super) partner: Weak<Partner>,
    pub(super) shared: Weak<Shared>,
}

impl Lender {
    /// Whether the attempt with this fence has a slot. A slot whose task cannot be read is free again.
    pub(super) fn takes(&self, fence: Fence, is_read: bool) -> bool {
        let (Some(partner), Some(shared)) = (self.partner.upgrade(), self.shared.upgrade()) else { return false };
        let slot = shared.book().and_then(|book| book.lock().slot_of(&partner.certificate, fence));
        if let Some(slot) = slot.filter(|_| !is_read) {
            shared.slot_returned(&partner, slot);
        }
        slot.is_some() && is_read
    }
}

impl Miner for Lender {
    fn offer(&self, job: Job) {
        let (Some(partner), Some(shared)) = (self.partner.upgrade(), self.shared.upgrade()) else { return };
        let Some(book) = shared.book() else { return };
        let fence = job.info().fence;
        let (info, sink) = job.into_parts();
        let begun = book.lock().begin(&partner.certificate, fence, |slot| {
            Arc::new(LentWork {
                inner: sink.clone(),
                slot,
                shared: self.shared.clone(),
                stop: CancellationToken::new(),
                worker: AtomicWaker::new(),
                has_ended: AtomicBool::new(false),
                watch: Mutex::default(),
            })
        });
        let Some((work, miner)) = begun else {
            return refuse(Job::new(info, sink), "the slot was taken back");
        };
        work.watch(&shared);
        miner.offer(Job::new(info, work));
    }
}

/// The work on a lent slot. Its end is the end of the loan.
pub(super) struct LentWork {
    inner: Arc<dyn JobSink>,
    slot: u64,
    shared: Weak<Shared>,
    /// Cancelled when the slot is taken back.
    stop: CancellationToken,
    worker: AtomicWaker,
    has_ended: AtomicBool,
    watch: Mutex<Option<AbortHandle>>,
}

impl LentWork {
    /// Takes the slot back as soon as the other router cancels the attempt, whatever the miner does.
    fn watch(self: &Arc<Self>, shared: &Shared) {
        let (cancelled, me) = (self.inner.cancelled(), Arc::downgrade(self));
        let watch = shared.runtime.spawn(async move {
            cancelled.await;
            if let Some(me) = me.upgrade() {
                me.end(Event::Reject(fence_of(me.slot)));
            }
        });
        *self.watch.lock() = Some(watch.abort_handle());
    }

    /// Ends the loan, once.
    fn end(&self, event: Event) -> bool {
        if self.has_ended.swap(true, Ordering::AcqRel) {
            return false;
        }
        if let Some(shared) = self.shared.upgrade() {
            let was_there = shared.book().is_some_and(|book| book.lock().end(self.slot));
            if was_there {
                shared.count_loan("lent", LoanEnd::Used);
                shared.step(event);
                shared.ended.notify_waiters();
            }
        }
        true
    }

    /// Takes the work from the miner.
    pub(super) fn give_up(&self, why: &str) {
        let is_first = !self.has_ended.swap(true, Ordering::AcqRel);
        self.stop.cancel();
        self.worker.wake();
        if is_first {
            self.inner.event(MinerEvent::Fail(Failure::new(FailClass::Cancelled, why)));
        }
        self.unwatch();
    }

    fn unwatch(&self) {
        if let Some(watch) = self.watch.lock().take() {
            watch.abort();
        }
    }
}

impl JobSink for LentWork {
    fn emit(&self, chunk: Chunk) -> Emit {
        if self.stop.is_cancelled() { Emit::Cancelled } else { self.inner.emit(chunk) }
    }

    fn event(&self, event: MinerEvent) {
        let fence = fence_of(self.slot);
        let end = match &event {
            MinerEvent::Accept => return,
            MinerEvent::Done(answer) => Event::Done { fence, tokens: answer.usage.completion_tokens },
            MinerEvent::Reject { .. } => Event::Reject(fence),
            MinerEvent::Fail(_) if self.is_cancelled() => Event::Reject(fence),
            MinerEvent::Fail(failure) => Event::Fail { fence, blame: blame_of(failure.class) },
        };
        // Before the other router hears of it, so that it finds the slot free when it asks again.
        self.end(end);
        if !self.stop.is_cancelled() {
            self.inner.event(event);
        }
        self.unwatch();
    }

    fn alive(&self) {
        self.inner.alive();
    }

    fn may_try_again(&self) -> bool {
        !self.is_cancelled() && self.inner.may_try_again()
    }

    fn is_cancelled(&self) -> bool {
        self.stop.is_cancelled() || self.inner.is_cancelled()
    }

    fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.worker.register(cx.waker());
        if self.stop.is_cancelled() { Poll::Ready(()) } else { self.inner.poll_cancelled(cx) }
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        let (stop, inner) = (self.stop.clone(), self.inner.cancelled());
        async move {
            future::select(Box::pin(stop.cancelled_owned()), inner).await;
        }
        .boxed()
    }

    fn writable(&self) -> BoxFuture<'static, ()> {
        let (stop, inner) = (self.stop.clone(), self.inner.writable());
        async move {
            future::select(Box::pin(stop.cancelled_owned()), inner).await;
        }
        .boxed()
    }

    fn settled(&self) -> BoxFuture<'static, Settled> {
        self.inner.settled()
    }
}
