//! A miner that dialled in, as a [`Miner`] of the router. A seat outlives the miner's connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::occupancy::{Absence, Occupancy};
use super::offer::task_frame;
use super::output::{Output, SessionLimits};
use crate::miner::link::Link;
use crate::miner::protocol::frame::{ErrorFrame, Held, RouterFrame, Welcome};
use crate::miner::{Emit, FailClass, Failure, Job, JobInfo, JobSink, Miner, MinerEvent, Settled};
use crate::model::Fence;

/// The receiver of a miner's messages about itself.
pub(crate) trait SeatControl: Send + Sync + 'static {
    /// Sets the number of concurrent tasks that the miner may have.
    fn credits(&self, credits: u32);
    /// Notes that the miner must get no new tasks.
    fn drain(&self);
}

/// The settings of a seat.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SeatSettings {
    /// The bounds of the session.
    pub(crate) limits: SessionLimits,
    /// The maximum bytes of a `task` frame.
    pub(crate) max_task_bytes: usize,
    /// The time in milliseconds within which the miner must accept an offer.
    pub(crate) accept_ms: u64,
}

/// A miner that dialled in.
pub(crate) struct Seat {
    me: Weak<Self>,
    settings: SeatSettings,
    features: Vec<String>,
    pub(super) started: Instant,
    /// Held while a frame takes effect, so that a frame of an old connection ends before a new connection begins.
    pub(super) order: Mutex<()>,
    pub(super) state: Mutex<State>,
    /// Notified when the miner may hold fewer attempts than before.
    eased: Notify,
    control: OnceLock<Box<dyn SeatControl>>,
    max_task_bytes: AtomicUsize,
}

pub(super) struct State {
    pub(super) occupancy: Occupancy<Arc<Link>>,
    sinks: HashMap<Fence, Sink>,
}

/// A connection that has replaced another one and has not begun.
pub(crate) struct Arrival {
    /// The number of attempts that continue.
    adopted: usize,
    outputs: Vec<Output>,
    old: Option<Arc<Link>>,
}

struct Sink {
    sink: Arc<dyn JobSink>,
    watch: AbortHandle,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("features", &self.features).finish_non_exhaustive()
    }
}

impl Seat {
    /// A seat for a miner with these features, this number of slots, this epoch and this name.
    pub(crate) fn new(
        settings: SeatSettings,
        features: Vec<String>,
        max_concurrency: u32,
        (epoch, name): (u64, String),
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            settings,
            features,
            started: Instant::now(),
            order: Mutex::new(()),
            state: Mutex::new(State {
                occupancy: Occupancy::new(settings.limits, max_concurrency, epoch, name),
                sinks: HashMap::new(),
            }),
            eased: Notify::new(),
            control: OnceLock::new(),
            max_task_bytes: AtomicUsize::new(settings.max_task_bytes),
        })
    }

    /// Sets the receiver of credits and drains. Later calls are ignored.
    pub(crate) fn controlled_by(&self, control: Box<dyn SeatControl>) {
        // The cell refuses a second receiver, as documented.
        let _ = self.control.set(control);
    }

    /// Whether a hello with this epoch and name continues the seat.
    pub(crate) fn continues(&self, epoch: u64, name: &str) -> bool {
        self.state.lock().occupancy.continues(epoch, name)
    }

    /// Holds back the frames of every connection. A new connection begins under this.
    pub(crate) fn order(&self) -> MutexGuard<'_, ()> {
        self.order.lock()
    }

    /// Replaces the connection, if there is one, by a new one, which must [begin](Self::begin) then. The welcome is the
    /// first frame that is sent.
    pub(crate) fn connect(&self, link: Arc<Link>, held: &[Held], mut welcome: Welcome) -> Arrival {
        let mut state = self.state.lock();
        let first = Arc::clone(&link);
        let (outputs, old) = state.occupancy.connect(link, held, &mut welcome);
        let adopted = welcome.adopt.len();
        first.post(RouterFrame::from(welcome).to_text());
        Arrival { adopted, outputs, old }
    }

    /// Begins a connection. Returns the number of attempts that continue.
    pub(crate) fn begin(self: &Arc<Self>, arrival: Arrival) -> usize {
        if let Some(old) = arrival.old {
            old.refuse(&replaced());
        }
        self.perform(arrival.outputs);
        arrival.adopted
    }

    /// Notes the end of a connection. `for_good`: the miner cannot come back to its attempts. `None`: a newer connection
    /// has replaced this one.
    pub(crate) fn detach(&self, link: &Arc<Link>, for_good: bool) -> Option<Absence> {
        self.state.lock().occupancy.disconnect(link, for_good)
    }

    /// Whether the miner is connected.
    pub(crate) fn is_attached(&self) -> bool {
        self.state.lock().occupancy.connection().is_some()
    }

    /// Whether the seat is to be vacated when the time of that absence is over.
    pub(crate) fn is_vacant(&self, absence: Absence) -> bool {
        self.state.lock().occupancy.is_vacant(absence)
    }

    /// Gives up the seat because another one has replaced it: the connection ends, and all attempts fail.
    pub(crate) fn abandon(&self) {
        self.refuse(&replaced());
    }

    /// Gives up the seat for this reason: the connection ends, and all attempts fail.
    pub(crate) fn refuse(&self, why: &ErrorFrame) {
        let (sinks, link) = {
            let mut state = self.state.lock();
            (std::mem::take(&mut state.sinks), state.occupancy.vacate())
        };
        if let Some(link) = link {
            link.refuse(why);
        }
        for (_, entry) in sinks {
            entry.watch.abort();
            entry.sink.event(MinerEvent::Fail(Failure::new(FailClass::Unreachable, "the miner went away")));
        }
    }

    /// Makes no new offers over that connection, because its listener stops. A new connection ends this.
    pub(crate) fn retire(&self, link: &Arc<Link>) {
        // A credit that came before is set before, so that it does not undo this.
        let _order = self.order.lock();
        let ours = self.state.lock().occupancy.retire(link);
        if let (true, Some(control)) = (ours, self.control.get()) {
            control.credits(0);
        }
    }

    /// Resolves when the miner works on nothing and waits for no `final`.
    pub(crate) async fn rests(&self) {
        loop {
            let eased = self.eased.notified();
            if !self.state.lock().occupancy.session().is_working() {
                return;
            }
            eased.await;
        }
    }

    /// Sends no `task` frame that is larger.
    #[cfg(feature = "postgres")]
    pub(crate) fn bound_tasks(&self, bytes: usize) {
        self.max_task_bytes.store(bytes.min(self.settings.max_task_bytes), Ordering::Relaxed);
    }

    /// The greatest size of a `task` frame.
    #[cfg(feature = "postgres")]
    pub(crate) fn max_task_bytes(&self) -> usize {
        self.max_task_bytes.load(Ordering::Relaxed)
    }

    /// The number of attempts that the miner holds.
    #[cfg(feature = "postgres")]
    pub(crate) fn in_flight(&self) -> usize {
        self.state.lock().occupancy.session().inflight().len()
    }

    /// Whether the miner holds the attempt with this fence.
    #[cfg(feature = "postgres")]
    pub(crate) fn holds(&self, fence: Fence) -> bool {
        self.state.lock().sinks.contains_key(&fence)
    }

    pub(super) fn now(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    fn post(&self, frame: &RouterFrame) {
        let link = self.state.lock().occupancy.connection().cloned();
        if let Some(link) = link {
            // Without a connection the frame is lost; the resume of the next connection settles the difference.
            link.post(frame.to_text());
        }
    }

    /// Carries out the session's requests. The caller holds no lock but the seat's own order, because code of other
    /// miners may run.
    pub(super) fn perform(self: &Arc<Self>, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Send(frame) => self.post(&frame),
                Output::Accepted(fence) => self.tell(fence, MinerEvent::Accept),
                Output::Rejected { fence, reason, retry_after_ms } => {
                    self.tell(fence, MinerEvent::Reject { reason, retry_after_ms });
                }
                Output::Piece(fence, chunk) => {
                    let Some(sink) = self.sink(fence) else { continue };
                    match sink.emit(chunk) {
                        Emit::Ok => {}
                        Emit::Full => self.wait_for_reader(fence, &sink),
                        Emit::Cancelled => self.cancel(fence),
                    }
                }
                Output::Done(fence, answer) => {
                    let Some(sink) = self.sink(fence) else { continue };
                    sink.event(MinerEvent::Done(*answer));
                    self.wait_for_fate(fence, &sink);
                }
                Output::Failed(fence, failure) => self.tell(fence, MinerEvent::Fail(failure)),
                Output::Forgotten(fence) => {
                    if let Some(entry) = self.state.lock().sinks.remove(&fence) {
                        entry.watch.abort();
                    }
                    self.eased.notify_waiters();
                }
                Output::Credits(credits) => {
                    if let Some(control) = self.control.get() {
                        control.credits(credits);
                    }
                }
                Output::Draining => {
                    if let Some(control) = self.control.get() {
                        control.drain();
                    }
                }
                // The occupancy has noted it.
                Output::Bye => {}
                Output::Close(error) => {
                    let link = self.state.lock().occupancy.connection().cloned();
                    if let Some(link) = link {
                        link.refuse(&error);
                    }
                }
            }
        }
    }

    fn sink(&self, fence: Fence) -> Option<Arc<dyn JobSink>> {
        self.state.lock().sinks.get(&fence).map(|entry| Arc::clone(&entry.sink))
    }

    fn tell(&self, fence: Fence, event: MinerEvent) {
        if let Some(sink) = self.sink(fence) {
            sink.event(event);
        }
    }

    fn cancel(&self, fence: Fence) {
        let now = self.now();
        let frame = self.state.lock().occupancy.session_mut().cancel(fence, "the answer is wanted no more", now);
        if let Some(frame) = frame {
            self.post(&frame);
            self.eased.notify_waiters();
        }
    }

    fn wait_for_reader(self: &Arc<Self>, fence: Fence, sink: &Arc<dyn JobSink>) {
        self.state.lock().occupancy.session_mut().block(fence);
        let (seat, writable) = (Arc::clone(self), sink.writable());
        tokio::spawn(async move {
            writable.await;
            let frame = seat.state.lock().occupancy.session_mut().resume_reading(fence);
            if let Some(frame) = frame {
                seat.post(&frame);
            }
        });
    }

    fn wait_for_fate(self: &Arc<Self>, fence: Fence, sink: &Arc<dyn JobSink>) {
        let (seat, settled) = (Arc::clone(self), sink.settled());
        tokio::spawn(async move {
            let fate = settled.await;
            seat.settle(fence, fate);
        });
    }

    fn settle(&self, fence: Fence, fate: Settled) {
        let (frame, entry) = {
            let mut state = self.state.lock();
            (state.occupancy.session_mut().settled(fence, fate), state.sinks.remove(&fence))
        };
        if let Some(entry) = entry {
            entry.watch.abort();
        }
        if let Some(frame) = frame {
            self.post(&frame);
        }
        self.eased.notify_waiters();
    }
}

/// The reason that an old connection gets, because the newest connection of a miner wins.
fn replaced() -> ErrorFrame {
    ErrorFrame::fatal("replaced", "another connection of the same miner took over")
}

impl Miner for Seat {
    fn offer(&self, job: Job) {
        let Some(seat) = self.me.upgrade() else { return };
        let (info, sink) = job.into_parts();
        let fence = info.fence;
        if let Err(reason) = seat.try_offer(&info, &sink) {
            self.state.lock().sinks.remove(&fence);
            sink.event(MinerEvent::Reject { reason, retry_after_ms: None });
        }
    }
}

impl Seat {
    fn try_offer(self: &Arc<Self>, info: &JobInfo, sink: &Arc<dyn JobSink>) -> Result<(), String> {
        let task = task_frame(info, self.settings.accept_ms, &self.features);
        let cancelled = sink.cancelled();
        let watch = {
            let (seat, fence) = (Arc::downgrade(self), info.fence);
            tokio::spawn(async move {
                cancelled.await;
                if let Some(seat) = seat.upgrade() {
                    seat.cancel(fence);
                }
            })
            .abort_handle()
        };
        let mut state = self.state.lock();
        let refused = |why: &str| {
            watch.abort();
            Err(why.to_owned())
        };
        let link = match state.occupancy.open_connection() {
            Ok(link) => Arc::clone(link),
            Err(why) => return refused(why),
        };
        // The size must be checked before the session counts the offer. The attempt's number adds a few bytes.
        let size = serde_json::to_string(&task).map_or(usize::MAX, |text| text.len() + 24);
        if size > self.max_task_bytes.load(Ordering::Relaxed) {
            return refused("the request is larger than what a miner socket carries");
        }
        if !link.has_room(size) {
            return refused("the miner does not read its frames");
        }
        match state.occupancy.session_mut().offer(task) {
            Err(why) => refused(why),
            Ok(frame) => {
                state.sinks.insert(info.fence, Sink { sink: Arc::clone(sink), watch });
                link.post(frame.to_text());
                Ok(())
            }
        }
    }
}
