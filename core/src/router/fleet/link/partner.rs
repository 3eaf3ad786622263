//! Another router as one that lends slots to this one and borrows slots of it. A partner outlives the links to it, as a
//! miner's seat outlives its connections: attempts go on at the next link, if it comes within `miners.grace_ms`.
//!
//! Each side of a loan speaks its part of the miner protocol within the link: the router that borrows has a [`Seat`], and
//! the router that lends has a [`Desk`], whose miner is the one that is lent.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::borrowed::Foreign;
use super::frame::Frame;
use super::heirs::Expected;
use super::identity::Hash;
use super::lent_work::Lender;
use super::parcel::{goes_whole, packed, text_limit};
use super::peer::PeerLink;
use crate::miner::Job;
use crate::miner::client::desk::{Desk, Kept};
use crate::miner::link::{End, Link, Peer};
use crate::miner::protocol::frame::{ErrorFrame, Held, Intervals, Limits, RouterFrame, VERSION, Welcome};
use crate::miner::protocol::hello::features;
use crate::miner::remote::connection::Connection;
use crate::miner::remote::{Absence, Seat, SeatSettings, SessionLimits};
use crate::model::Fence;
use crate::router::shared::Shared;

/// The mark before frames of the router that borrows.
pub(super) const OWNER: char = 'o';

/// The mark before frames of the router that lends.
pub(super) const HOST: char = 'h';

/// The attempts of one router at the miners of another one. It is no setting: slots bound them before.
const ATTEMPTS: usize = 1 << 20;

/// The room in the queue of a link that is left to frames that cannot wait.
const RESERVE: usize = 64 << 10;

/// The time within which the offer of an attempt comes for which a slot is used.
const OFFERED: Duration = Duration::from_mins(1);

/// Another router.
pub(in crate::router) struct Partner {
    pub(super) certificate: Hash,
    /// Its number in the engine, which no other partner ever has.
    pub(super) number: u32,
    pub(super) name: Arc<str>,
    pub(super) shared: Weak<Shared>,
    /// This router's attempts at the other one's miners.
    seat: Arc<Seat>,
    /// The other one's attempts at the miners of this router.
    desk: Arc<Desk>,
    /// The other one's miners by their numbers there.
    pub(super) foreign: Mutex<BTreeMap<u32, Foreign>>,
    at: Mutex<At>,
    /// The tasks of the other router with which this one may go on, by the fences of their attempts at its miners.
    expected: Mutex<HashMap<Fence, Expected>>,
    /// The number of links so far.
    met: AtomicU64,
    over: AtomicBool,
    /// Whether the work on the other one's tasks has ended, too.
    is_settled: AtomicBool,
    /// Whether it is gone, and its tasks are being taken over.
    pub(super) is_buried: AtomicBool,
}

/// The present link.
#[derive(Default)]
struct At {
    link: Option<Arc<PeerLink>>,
    /// The seat's connection within it.
    sitting: Option<Arc<Connection>>,
    /// The end of the last link.
    since: Option<Instant>,
}

impl Partner {
    pub(super) fn new(shared: &Arc<Shared>, certificate: Hash, number: u32, name: &str) -> Arc<Self> {
        let settings = shared.settings.now();
        let limits = SessionLimits {
            window: settings.miners.window_bytes,
            output: settings.limits.max_output_bytes,
            answer: text_limit(settings.limits.max_output_bytes),
            cancel_ms: settings.miners.cancel_timeout_ms,
            attempts: ATTEMPTS,
        };
        let settings = SeatSettings {
            limits,
            max_task_bytes: super::peer::frame_limit(&settings),
            accept_ms: settings.dispatch.accept_timeout_ms,
        };
        Arc::new_cyclic(|me: &Weak<Self>| {
            let lender = Lender { partner: me.clone(), shared: Arc::downgrade(shared) };
            let gate = lender.clone();
            Self {
                certificate,
                number,
                name: Arc::from(name),
                shared: Arc::downgrade(shared),
                seat: Seat::new(settings, features(), u32::MAX, (0, String::new())),
                desk: Desk::new(
                    Arc::new(lender),
                    u32::MAX,
                    Vec::new(),
                    Box::new(move |fence, is_read| gate.takes(fence, is_read)),
                    true,
                ),
                foreign: Mutex::default(),
                at: Mutex::default(),
                expected: Mutex::default(),
                met: AtomicU64::new(0),
                over: AtomicBool::new(false),
                is_settled: AtomicBool::new(false),
                is_buried: AtomicBool::new(false),
            }
        })
    }

    /// Whether its loans have ended. A link that comes later gets another partner.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// The present link.
    pub(super) fn link(&self) -> Option<Arc<PeerLink>> {
        self.at.lock().link.clone()
    }

    /// Sends a frame. `false`: there is no link.
    pub(super) fn post(&self, frame: &Frame) -> bool {
        self.link().is_some_and(|link| link.post(frame))
    }

    /// The attempts of this router at the other one's miners.
    pub(super) fn borrows(&self) -> u64 {
        self.seat.in_flight() as u64
    }

    /// The attempts of the other router that are held here, for it to go on with.
    pub(super) fn held(&self) -> Vec<[u64; 3]> {
        self.desk.held().iter().map(|held| [held.attempt, held.fence, held.sent_seq]).collect()
    }

    /// Begins to borrow over that link. The other router holds these attempts of this one.
    pub(super) fn begin(&self, link: &Arc<PeerLink>, held: &[[u64; 3]], max_frame: usize) {
        let Some(shared) = self.shared.upgrade() else { return };
        if self.is_over() {
            return;
        }
        let settings = shared.settings.now();
        let miners = &settings.miners;
        let frame = super::peer::frame_limit(&settings) as u64;
        let welcome = Welcome {
            v: VERSION,
            features: features(),
            intervals: Intervals {
                ping_ms: miners.ping_ms,
                dead_ms: miners.dead_ms,
                flush_ms: 0,
                grace_ms: miners.grace_ms,
            },
            limits: Limits {
                frame: frame.min(miners.max_frame_bytes),
                task: frame,
                window: miners.window_bytes,
                output: settings.limits.max_output_bytes,
            },
            ..Welcome::default()
        };
        let held = held.iter().map(|&[attempt, fence, sent_seq]| Held { attempt, fence, sent_seq });
        let held: Vec<Held> = held.collect();
        let within = Arc::new(Link::new(link.max_bytes()));
        let sitting =
            Arc::new(Connection { seat: self.seat.clone(), link: within.clone(), puzzled: AtomicBool::new(false) });
        {
            let _order = self.seat.order();
            self.seat.bound_tasks(max_frame);
            let arrival = self.seat.connect(within.clone(), &held, welcome);
            {
                let mut at = self.at.lock();
                (at.link, at.sitting) = (Some(link.clone()), Some(sitting.clone()));
            }
            self.met.fetch_add(1, Ordering::AcqRel);
            let resumed = self.seat.begin(arrival);
            tracing::debug!(router = &*self.name, resumed, "slots of another router can be borrowed");
        }
        carry(&shared, within, sitting, link.clone(), OWNER);
    }

    /// Takes a frame of an attempt of this router, which the other one works on.
    pub(super) fn hear_host(&self, link: &PeerLink, text: &str) {
        let sitting = {
            let at = self.at.lock();
            at.sitting.clone().filter(|_| at.link.as_ref().is_some_and(|here| std::ptr::eq(&raw const **here, link)))
        };
        if let Some(sitting) = sitting {
            sitting.frame(text);
        }
    }

    /// Takes a frame of an attempt of the other router.
    pub(super) fn hear_owner(&self, link: &Arc<PeerLink>, text: &str) {
        if !text.starts_with(r#"{"type":"welcome""#) {
            return self.desk.frame(text);
        }
        let Ok(Some(RouterFrame::Welcome(welcome))) = RouterFrame::parse(text) else { return };
        let within = Arc::new(Link::new(link.max_bytes()));
        self.desk.attach(&within, &welcome);
        if let Some(shared) = self.shared.upgrade() {
            carry(&shared, within, self.desk.clone(), link.clone(), HOST);
        }
    }

    /// Gives the job to the other router's miner, on the slot that is lent.
    pub(super) fn use_slot(&self, slot: u64, job: Job) {
        let fence = job.info().fence;
        let link = self.link();
        let whole = goes_whole(job.request());
        let heir = self.shared.upgrade().filter(|_| !whole).and_then(|shared| shared.heir_of(&job));
        let job = if whole { packed(job, self.seat.max_task_bytes()) } else { Some(job) };
        let Some(job) = job else {
            self.post(&Frame::Return { slot });
            return;
        };
        if link.as_ref().is_some_and(|link| link.post(&Frame::Use { slot, fence: fence.0, heir, whole })) {
            crate::miner::Miner::offer(&*self.seat, job);
        } else {
            refuse(job, "the router of the miner cannot be reached");
        }
        if !self.seat.holds(fence) {
            self.post(&Frame::Return { slot });
        }
    }

    /// Notes a task with which this router may go on.
    pub(super) fn expect(&self, fence: Fence, task: Expected) {
        let mut expected = self.expected.lock();
        expected.retain(|fence, task| task.since.elapsed() < OFFERED || self.desk.holds(*fence));
        expected.insert(fence, task);
    }

    /// Does not go on with the task of that attempt, whatever comes.
    pub(super) fn disinherit(&self, fence: Fence) {
        self.expected.lock().remove(&fence);
        self.desk.disinherit(fence);
    }

    /// The tasks with which this router may go on.
    pub(super) fn expected(&self) -> Vec<(Fence, Expected)> {
        let expected = self.expected.lock();
        expected.iter().filter(|(fence, _)| self.desk.holds(**fence)).map(|(fence, task)| (*fence, *task)).collect()
    }

    /// Takes the work on an attempt of the other router out of its hands.
    pub(super) fn inherit(&self, fence: Fence) -> Option<Kept> {
        self.desk.inherit(fence)
    }

    /// Notes the end of a link. `for_good`: the other router does not come back.
    pub(super) fn part(self: &Arc<Self>, link: &Arc<PeerLink>, end: End) {
        let Some(shared) = self.shared.upgrade() else { return };
        let sitting = {
            let mut at = self.at.lock();
            if at.link.as_ref().is_none_or(|here| !Arc::ptr_eq(here, link)) {
                return;
            }
            (at.link, at.since) = (None, Some(Instant::now()));
            at.sitting.take()
        };
        let for_good = end == End::Silent || shared.stop.is_cancelled();
        let absence = sitting.and_then(|sitting| self.seat.detach(&sitting.link, for_good));
        self.desk.detach();
        shared.hide(self);
        shared.take_back_unused(self);
        if absence.is_none_or(|absence| absence.over) {
            return self.leave(absence);
        }
        let (me, met) = (self.clone(), self.met.load(Ordering::Acquire));
        let grace = Duration::from_millis(shared.settings.now().miners.grace_ms);
        let work = async move {
            tokio::select! {
                () = shared.stop.cancelled() => {}
                () = tokio::time::sleep(grace) => {}
            }
            if me.met.load(Ordering::Acquire) == met {
                me.leave(absence);
            }
        };
        if let Some(shared) = self.shared.upgrade() {
            shared.background.spawn_on(work, &shared.runtime);
        }
    }

    /// Ends all loans: the other router does not come back to them. A later link begins anew. The work on tasks with which
    /// this router may go on is done until it is known whether the other router is dead.
    pub(super) fn leave(self: &Arc<Self>, absence: Option<Absence>) {
        if absence.is_some_and(|absence| !self.seat.is_vacant(absence)) || self.over.swap(true, Ordering::AcqRel) {
            return;
        }
        let Some(shared) = self.shared.upgrade() else { return };
        shared.forget_partner(self);
        shared.dismiss_foreign(self);
        self.seat.refuse(&ErrorFrame::fatal("gone", "the router of the miner is gone"));
        if self.expected().is_empty() || shared.stop.is_cancelled() {
            return self.settle();
        }
        let left_at = self.at.lock().since.unwrap_or_else(Instant::now);
        shared.await_death_of(self, left_at);
    }

    /// Ends the work on the other router's tasks.
    pub(super) fn settle(self: &Arc<Self>) {
        if self.is_settled.swap(true, Ordering::AcqRel) {
            return;
        }
        let Some(shared) = self.shared.upgrade() else { return };
        shared.forget_departed(self);
        self.desk.stop_all();
        shared.take_back_all(self);
    }
}

/// Carries the frames of one side of the loans within the link, each behind that mark, until one of the two ends.
fn carry(
    shared: &Shared,
    within: Arc<Link>,
    peer: Arc<impl Peer + Send + Sync + 'static>,
    link: Arc<PeerLink>,
    mark: char,
) {
    shared.runtime.spawn(async move {
        tokio::select! {
            () = link.over.cancelled() => {}
            () = within.carry(&*peer, &link.link, mark, RESERVE) => {}
        }
    });
}

/// Gives a job back that did not reach a miner.
pub(super) fn refuse(job: Job, why: &str) {
    let (_, sink) = job.into_parts();
    sink.event(crate::miner::MinerEvent::Reject { reason: why.to_owned(), retry_after_ms: None });
}

/// The number of a slot at the router that lends it: the fence under which it was taken there.
pub(super) fn fence_of(slot: u64) -> Fence {
    Fence(slot)
}
