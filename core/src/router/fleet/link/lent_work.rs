//! The work on slots that are lent: jobs of other routers at the miners of this one.

use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::parcel::{packed_answer, unpacked};
use super::partner::{Partner, fence_of, refuse};
use super::peer::piece_limit;
use crate::engine::Event;
use crate::miner::{Chunk, Emit, FailClass, Failure, Job, JobSink, Miner, MinerEvent, Settled};
use crate::model::Fence;
use crate::router::attempt::blame_of;
use crate::router::fleet::figures::LoanEnd;
use crate::router::live::AHEAD;
use crate::router::memory::Held;
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
        let (mut info, sink) = job.into_parts();
        let begun = book.lock().begin(&partner.certificate, fence, |slot, whole| {
            Arc::new(LentWork {
                place: Arc::new(Place {
                    at: Mutex::new(At { sink: sink.clone(), has_ended: false, is_own: false }),
                    moved: Notify::new(),
                }),
                slot,
                fence,
                whole,
                partner: self.partner.clone(),
                shared: self.shared.clone(),
                kept: Mutex::new(Some((0, shared.memory.hold(0)))),
                stop: CancellationToken::new(),
                worker: AtomicWaker::new(),
                watch: Mutex::default(),
            })
        });
        let Some((work, miner)) = begun else {
            return refuse(Job::new(info, sink), "the slot was taken back");
        };
        work.watch(&shared);
        if work.whole {
            let Some(request) = unpacked(&info.request) else {
                return Job::new(info, work).reject("the request cannot be read");
            };
            info.request = Arc::new(request);
        }
        miner.offer(Job::new(info, work));
    }
}

/// The work on a lent slot. Its end is the end of the loan, unless this router inherits the task before.
pub(super) struct LentWork {
    place: Arc<Place>,
    slot: u64,
    fence: Fence,
    /// Whether its request came as it is, and its answer goes so.
    whole: bool,
    partner: Weak<Partner>,
    shared: Weak<Shared>,
    /// The bytes that are kept for an heir, and their share of the router's memory; `None`: they are not kept any more.
    kept: Mutex<Option<(u64, Held)>>,
    /// Cancelled when the slot is taken back.
    stop: CancellationToken,
    worker: AtomicWaker,
    watch: Mutex<Option<AbortHandle>>,
}

/// The place to which the work goes. It changes once at most, when this router inherits the task.
pub(super) struct Place {
    at: Mutex<At>,
    /// Notified when it changes.
    moved: Notify,
}

pub(super) struct At {
    sink: Arc<dyn JobSink>,
    /// Whether the loan is over.
    has_ended: bool,
    /// Whether the task is this router's own.
    is_own: bool,
}

impl At {
    /// Whether the miner still works on the slot for another router.
    pub(super) fn is_lent(&self) -> bool {
        !self.has_ended && !self.is_own
    }

    /// Lets the work go to an attempt of this router from now on.
    pub(super) fn turn_to(&mut self, sink: Arc<dyn JobSink>) {
        (self.sink, self.is_own) = (sink, true);
    }
}

impl Place {
    fn sink(&self) -> Arc<dyn JobSink> {
        self.at.lock().sink.clone()
    }

    /// Waits for something that the place tells, at whichever place it is told.
    async fn wait(self: Arc<Self>, what: fn(&dyn JobSink) -> BoxFuture<'static, ()>) {
        loop {
            // It is made before the place is looked at, so that it misses no change.
            let moved = self.moved.notified();
            let told = what(&*self.sink());
            tokio::select! {
                () = told => return,
                () = moved => {}
            }
        }
    }
}

impl LentWork {
    /// Holds the work up: no piece comes meanwhile.
    pub(super) fn hold(&self) -> MutexGuard<'_, At> {
        self.place.at.lock()
    }

    /// Tells everybody who waits for a word of the other router that the task is this router's own.
    pub(super) fn has_moved(&self) {
        self.unwatch();
        drop(self.kept.lock().take());
        self.worker.wake();
        self.place.moved.notify_waiters();
    }

    /// Takes the slot back as soon as the other router cancels the attempt, whatever the miner does.
    fn watch(self: &Arc<Self>, shared: &Shared) {
        let (cancelled, me) = (self.place.sink().cancelled(), Arc::downgrade(self));
        let watch = shared.runtime.spawn(async move {
            cancelled.await;
            if let Some(me) = me.upgrade() {
                me.end(Event::Reject(fence_of(me.slot)));
            }
        });
        *self.watch.lock() = Some(watch.abort_handle());
    }

    /// Ends the loan, once. `false`: the task is this router's own.
    fn end(&self, event: Event) -> bool {
        {
            let mut at = self.place.at.lock();
            if at.is_own {
                return false;
            }
            if std::mem::replace(&mut at.has_ended, true) {
                return true;
            }
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
        let (is_first, sink) = {
            let mut at = self.place.at.lock();
            if at.is_own {
                return;
            }
            (!std::mem::replace(&mut at.has_ended, true), at.sink.clone())
        };
        self.stop.cancel();
        self.worker.wake();
        if is_first {
            sink.event(MinerEvent::Fail(Failure::new(FailClass::Cancelled, why)));
        }
        self.unwatch();
    }

    fn unwatch(&self) {
        if let Some(watch) = self.watch.lock().take() {
            watch.abort();
        }
    }

    /// Counts a piece that is kept for an heir. Where the memory is full, none is kept.
    fn count(&self, bytes: u64) {
        let mut kept = self.kept.lock();
        let Some((so_far, held)) = kept.as_mut() else { return };
        *so_far += bytes;
        if *so_far > held.bytes() && !held.set(*so_far + AHEAD) {
            *kept = None;
            if let Some(partner) = self.partner.upgrade() {
                partner.disinherit(self.fence);
            }
        }
    }
}

impl JobSink for LentWork {
    fn emit(&self, chunk: Chunk) -> Emit {
        if self.stop.is_cancelled() {
            return Emit::Cancelled;
        }
        let raw = chunk.raw.as_ref().map_or(0, bytes::Bytes::len);
        if self.whole && self.shared.upgrade().is_some_and(|shared| raw > piece_limit(&shared.settings.now())) {
            // Whoever reads the answer gets all of its pieces, or none.
            let words =
                "a piece of the answer is larger than the link carries: raise miners.max_frame_bytes of both routers";
            self.event(MinerEvent::Fail(Failure::new(FailClass::Internal, words)));
            self.stop.cancel();
            self.worker.wake();
            return Emit::Cancelled;
        }
        self.count((chunk.text.len() + raw) as u64);
        let own = {
            let at = self.place.at.lock();
            if !at.is_own {
                // Under the lock, so that each piece goes to one place.
                return at.sink.emit(chunk);
            }
            at.sink.clone()
        };
        own.emit(chunk)
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
        let event = match event {
            MinerEvent::Done(answer) if self.whole => MinerEvent::Done(packed_answer(answer)),
            event => event,
        };
        // Before the other router hears of it, so that it finds the slot free when it asks again.
        let is_own = !self.end(end);
        if is_own || !self.stop.is_cancelled() {
            self.place.sink().event(event);
        }
        self.unwatch();
    }

    fn alive(&self) {
        self.place.sink().alive();
    }

    fn may_try_again(&self) -> bool {
        !self.is_cancelled() && self.place.sink().may_try_again()
    }

    fn is_cancelled(&self) -> bool {
        self.stop.is_cancelled() || self.place.sink().is_cancelled()
    }

    fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.worker.register(cx.waker());
        if self.stop.is_cancelled() { Poll::Ready(()) } else { self.place.sink().poll_cancelled(cx) }
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        let (stop, told) = (self.stop.clone(), self.place.clone().wait(|sink| sink.cancelled()));
        async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = told => {}
            }
        }
        .boxed()
    }

    fn writable(&self) -> BoxFuture<'static, ()> {
        let (stop, told) = (self.stop.clone(), self.place.clone().wait(|sink| sink.writable()));
        async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = told => {}
            }
        }
        .boxed()
    }

    fn settled(&self) -> BoxFuture<'static, Settled> {
        self.place.sink().settled()
    }
}
