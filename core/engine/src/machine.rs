//! `step`: one event in, effects out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::admission::DrainRate;
use super::budget::RetryBudget;
use super::event::{Blame, Effect, EndCause, Event, StopReason};
use super::fleet::Fleet;
use super::hedge::Hedging;
use super::line::{Line, Tag};
use super::phase::Phase;
use super::session::SessionEntry;
use super::settings::{EngineSettings, PlantedBug};
use super::step::Step;
use super::task::TaskEntry;
use super::timer::{Timer, Timers};
use cortensor_router_model::{Fence, Gid, Outcome, SessionId, TaskId, Timestamp};

/// The state machine. See the module's documentation.
#[derive(Debug)]
pub struct Engine {
    pub(super) settings: EngineSettings,
    pub(super) sessions: BTreeMap<SessionId, SessionEntry>,
    pub(super) tasks: BTreeMap<Gid, TaskEntry>,
    pub(super) fences: BTreeMap<Fence, Gid>,
    pub(super) fleet: Fleet,
    /// Reputations that are not perfect, of miners that are there or were.
    pub(super) reputations: BTreeMap<Arc<str>, f64>,
    pub(super) line: Line,
    pub(super) timers: Timers,
    pub(super) budget: RetryBudget,
    pub(super) drain: DrainRate,
    pub(super) hedging: Hedging,
    /// Tasks that wait for a miner that goes on from their text.
    pub(super) continuing: BTreeSet<Gid>,
    /// Tasks that some miners will never do: who is up for their lane may not be up for them.
    pub(super) picky: BTreeSet<Gid>,
    /// Rechecks that are under way.
    pub(super) rechecks: u32,
    pub(super) next_gid: Gid,
    pub(super) next_fence: u64,
    pub(super) window: Vec<(Tag, Gid)>,
    #[cfg(feature = "planted-bugs")]
    bug: Option<PlantedBug>,
}

/// Bits of a piece's number that count within one start.
const NUMBER_BITS: u32 = 32;

impl Engine {
    /// An engine without sessions, tasks and miners.
    pub fn new(settings: EngineSettings) -> Self {
        Self {
            budget: RetryBudget::new(settings.retry_ratio, settings.retry_floor_per_sec),
            next_gid: settings.first_gid,
            next_fence: 1,
            settings,
            sessions: BTreeMap::new(),
            tasks: BTreeMap::new(),
            fences: BTreeMap::new(),
            fleet: Fleet::default(),
            reputations: BTreeMap::new(),
            line: Line::default(),
            timers: Timers::default(),
            drain: DrainRate::default(),
            hedging: Hedging::default(),
            continuing: BTreeSet::new(),
            picky: BTreeSet::new(),
            rechecks: 0,
            window: Vec::new(),
            #[cfg(feature = "planted-bugs")]
            bug: None,
        }
    }

    /// Plants a defect.
    #[cfg(feature = "planted-bugs")]
    pub fn plant(&mut self, bug: PlantedBug) {
        self.bug = Some(bug);
    }

    #[cfg(feature = "planted-bugs")]
    pub(super) fn planted(&self, bug: PlantedBug) -> bool {
        self.bug == Some(bug)
    }

    #[cfg(not(feature = "planted-bugs"))]
    #[allow(clippy::unused_self)]
    pub(super) fn planted(&self, _: PlantedBug) -> bool {
        false
    }

    /// Where the numbers of this start's pieces begin: above those of all earlier starts, and exact in a double for a
    /// million starts.
    pub fn first_base(&self) -> u64 {
        if self.planted(PlantedBug::ReuseNumbers) {
            return 0;
        }
        self.settings.epoch.saturating_sub(1) << NUMBER_BITS
    }

    /// When [`Event::Tick`] is due next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// Takes an event and gives what is to be done, in order.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let mut step = Step::at(now);
        match event {
            Event::Session(id, rules) => {
                let first = self.settings.first_task_id;
                let session = self
                    .sessions
                    .entry(id)
                    .or_insert_with(|| SessionEntry { next_task: first, ..SessionEntry::default() });
                let was = session.waiting_weight();
                session.rules = rules;
                session.rules.weight = session.rules.weight.max(1);
                self.line.reweigh(was, session.waiting_weight());
                self.renew_reservation(id, &mut step);
                self.pump_own(id, &mut step);
            }
            Event::Submit(task) => self.submit(*task, &mut step),
            Event::Restore(gid, id, task) => self.restore(gid, id, *task, &mut step),
            Event::Release(gid) => {
                if let Some(task) = self.tasks.get_mut(&gid)
                    && task.phase.now() == Phase::Held
                {
                    task.spec.held = false;
                    task.phase.enter(Phase::Open);
                    let lane = task.lane.clone();
                    self.wait(gid, &lane, &mut step);
                }
            }
            Event::Detach(gid) => {
                if let Some(task) = self.tasks.get_mut(&gid) {
                    task.spec.attached = false;
                    if let Some(at) = task.unservable_at.take() {
                        self.timers.clear(at, Timer::Unservable(gid));
                    }
                }
            }
            Event::Forget { gid, give_back } => {
                if let Some(task) = self.tasks.get_mut(&gid)
                    && task.spec.held
                {
                    if !task.is_ending() {
                        task.phase.enter(Phase::Ending);
                    }
                    let session = task.spec.session;
                    self.over(gid);
                    if let (Some(id), Some(session)) = (give_back, self.sessions.get_mut(&session)) {
                        session.taken = session.taken.saturating_sub(1);
                        // Others may have been given since; then it stays a gap.
                        if session.next_task.0 == id.0 + 1 {
                            session.next_task = id;
                        }
                    }
                }
            }
            Event::Cancel(gid) => {
                self.end(gid, Outcome::Cancelled, EndCause::Cancelled, StopReason::Cancelled, &mut step);
            }
            Event::MinerUp(key, rules) => self.miner_up(key, rules, &mut step),
            Event::Credits(key, credits) => {
                if let Some(miner) = self.fleet.get_mut(key) {
                    let took_part = miner.takes_part();
                    miner.credits = credits;
                    if took_part && !miner.takes_part() {
                        self.fleet.thin();
                    }
                    self.fleet.reindex(key);
                    self.pump_for(key, &mut step);
                    self.settle_continuing(&mut step);
                }
            }
            Event::Models(key, models) => {
                if self.fleet.set_rules(key, |rules| rules.models = models) {
                    self.pump_for(key, &mut step);
                    self.settle_continuing(&mut step);
                }
            }
            Event::Heard(key) => {
                self.fleet.set_rules(key, |rules| rules.awaited = false);
            }
            Event::Drain(key) => {
                if let Some(miner) = self.fleet.get_mut(key) {
                    miner.draining = true;
                    self.fleet.thin();
                    self.fleet.reindex(key);
                    self.settle_continuing(&mut step);
                }
            }
            Event::MinerGone(key) => self.miner_gone(key, &mut step),
            Event::Accept(fence) => self.accepted(fence, &mut step),
            Event::Reject(fence) => {
                self.attempt_lost(fence, Blame::Nobody, true, &mut step);
            }
            Event::Progress { fence, first, shown } => self.progress(fence, first, shown, &mut step),
            Event::Shown(fence) => self.shown(fence),
            Event::Done { fence, tokens } => self.done(fence, tokens, &mut step),
            Event::Fail { fence, blame } => self.attempt_lost(fence, blame, false, &mut step),
            Event::Verdict { gid, standing, agrees } => self.verdict(gid, standing, &agrees, &mut step),
            Event::Reputation(name, reputation) => self.known_reputation(&name, reputation),
            Event::Committed(gid) => self.committed(gid, &mut step),
            Event::Unwritten(gid) => self.unwritten(gid, &mut step),
            Event::Tick => self.tick(&mut step),
        }
        if self.fleet.take_thinned() && !self.line.is_empty() {
            for lane in self.line.lanes(|_| true) {
                self.pump(&lane, &mut step);
                self.watch_lane(&lane, now);
            }
            let picky: Vec<Gid> = self.picky.iter().copied().collect();
            for gid in picky {
                self.watch(gid, now);
            }
        }
        step.effects()
    }

    /// Forgets a closed session. `false`: some of its work is still under way, and it stays.
    pub fn forget_session(&mut self, id: SessionId) -> bool {
        let Some(session) = self.sessions.get(&id) else { return true };
        // A session that is closed has given its reserved miners back.
        let at_rest = !session.rules.open
            && session.active == 0
            && session.queued == 0
            && session.working.is_empty()
            && session.reserved.is_empty();
        if at_rest {
            self.sessions.remove(&id);
        }
        at_rest
    }

    /// Sets where a session's ids go on, and how many tasks it has had.
    pub fn resume_session(&mut self, id: SessionId, last: TaskId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.next_task = session.next_task.max(TaskId(last.0 + 1));
            session.taken = session.next_task.0.saturating_sub(self.settings.first_task_id.0);
        }
    }
}
