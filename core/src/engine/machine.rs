//! `step`: one event in, effects out.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::config::{DispatchConfig, LimitsConfig};
use crate::model::{Fence, Gid, SessionId, TaskId, TaskState, Timestamp};

use super::admission::DrainRate;
use super::breaker::Breaker;
use super::budget::RetryBudget;
use super::choice::{FreeMiners, Prefixes};
use super::entry::{Attempt, AttemptState, LaneKey, MinerEntry, SessionEntry, TaskEntry};
use super::event::{Blame, Effect, EndCause, Event, MinerKey, NewTask, StopReason};
use super::queue::{Lane, Place, SCALE, Tag};
use super::timer::{Timer, Timers};
use crate::model::Outcome;

/// What the engine is set to.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    pub(super) accept_timeout_ms: u64,
    pub(super) progress_timeout_ms: u64,
    pub(super) max_attempts: u32,
    pub(super) retry_base_ms: u64,
    pub(super) retry_floor_per_sec: f64,
    pub(super) retry_ratio: f64,
    pub(super) breaker_failures: u32,
    pub(super) breaker_open_ms: u64,
    pub(super) scan_window: usize,
    pub(super) starvation_ms: u64,
    pub(super) no_miner_grace_ms: u64,
    pub(super) max_queued_tasks: u64,
    pub(super) max_queued_per_session: u64,
    pub(super) max_queued_bytes: u64,
    /// Counts the starts of the router; the upper part of every fence.
    pub epoch: u64,
    /// The global id of the first new task.
    pub first_gid: Gid,
    /// The id of a session's first task.
    pub first_task_id: TaskId,
}

impl EngineSettings {
    /// Settings from the configuration.
    pub fn new(dispatch: &DispatchConfig, limits: &LimitsConfig) -> Self {
        Self {
            accept_timeout_ms: dispatch.accept_timeout_ms,
            progress_timeout_ms: dispatch.progress_timeout_ms,
            max_attempts: dispatch.max_attempts,
            retry_base_ms: dispatch.retry_base_ms,
            retry_floor_per_sec: dispatch.retry_floor_per_sec,
            retry_ratio: dispatch.retry_ratio,
            breaker_failures: dispatch.breaker_failures,
            breaker_open_ms: dispatch.breaker_open_ms,
            scan_window: dispatch.scan_window,
            starvation_ms: dispatch.starvation_ms,
            no_miner_grace_ms: dispatch.no_miner_grace_ms,
            max_queued_tasks: limits.max_queued_tasks,
            max_queued_per_session: limits.max_queued_per_session,
            max_queued_bytes: limits.max_queued_bytes,
            epoch: 1,
            first_gid: Gid(1),
            first_task_id: TaskId(1),
        }
    }
}

/// A defect planted on purpose, to prove that the simulator finds it. None of them exists without the
/// feature `planted-bugs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedBug {
    /// Answers under an old fence count.
    IgnoreFence,
    /// A lost attempt is not queued again.
    DropRequeue,
    /// A credit is given back twice.
    DoubleCredit,
    /// A fence is given out twice.
    ReuseFence,
    /// A cancelled task's miner is not told.
    ForgetCancel,
    /// The end is shown before it is durable.
    ShowBeforeCommit,
    /// One miner answers a redundant task twice.
    SameMinerTwice,
    /// Deadlines are not kept.
    ForgetDeadline,
    /// Every session starts at tag zero.
    UnfairTags,
}

/// Bits of a fence that count within one epoch.
const FENCE_BITS: u32 = 33;

/// The state machine. See the module's documentation.
#[derive(Debug)]
pub struct Engine {
    pub(super) settings: EngineSettings,
    pub(super) sessions: BTreeMap<SessionId, SessionEntry>,
    pub(super) tasks: BTreeMap<Gid, TaskEntry>,
    pub(super) fences: BTreeMap<Fence, Gid>,
    pub(super) miners: BTreeMap<MinerKey, MinerEntry>,
    pub(super) lanes: BTreeMap<LaneKey, Lane>,
    pub(super) virtual_time: BTreeMap<u8, Tag>,
    pub(super) free: FreeMiners,
    pub(super) prefixes: Prefixes,
    pub(super) timers: Timers,
    pub(super) budget: RetryBudget,
    pub(super) drain: DrainRate,
    pub(super) queued_tasks: u64,
    pub(super) queued_bytes: u64,
    pub(super) queued_cost: u64,
    next_gid: Gid,
    next_fence: u64,
    window: Vec<(Tag, Gid)>,
    #[cfg(feature = "planted-bugs")]
    bug: Option<PlantedBug>,
}

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
            miners: BTreeMap::new(),
            lanes: BTreeMap::new(),
            virtual_time: BTreeMap::new(),
            free: FreeMiners::default(),
            prefixes: Prefixes::default(),
            timers: Timers::default(),
            drain: DrainRate::default(),
            queued_tasks: 0,
            queued_bytes: 0,
            queued_cost: 0,
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

    /// When [`Event::Tick`] is due next.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// Takes an event and gives what is to be done, in order.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Effect> {
        let mut out = Vec::new();
        match event {
            Event::Session(id, rules) => {
                let first = self.settings.first_task_id;
                let session = self
                    .sessions
                    .entry(id)
                    .or_insert_with(|| SessionEntry { next_task: first, ..SessionEntry::default() });
                session.rules = rules;
                session.rules.weight = session.rules.weight.max(1);
            }
            Event::Submit(task) => self.submit(*task, now, &mut out),
            Event::Restore(gid, id, task) => self.restore(gid, id, *task, now, &mut out),
            Event::Release(gid) => {
                if let Some(task) = self.tasks.get_mut(&gid)
                    && task.spec.held
                    && !task.ending
                {
                    task.spec.held = false;
                    let lane = task.lane.clone();
                    self.enqueue(gid);
                    self.pump(&lane, now, &mut out);
                }
            }
            Event::Forget { gid, give_back } => {
                if let Some(task) = self.tasks.get_mut(&gid)
                    && task.spec.held
                {
                    task.ending = true;
                    let session = task.spec.session;
                    self.committed(gid, &mut Vec::new());
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
                self.end(gid, Outcome::Cancelled, EndCause::Cancelled, StopReason::Cancelled, now, &mut out);
            }
            Event::MinerUp(key, rules) => {
                let credits = rules.capacity;
                let entry = MinerEntry {
                    rules,
                    credits,
                    in_flight: 0,
                    draining: false,
                    breaker: Breaker::default(),
                    speed: 0.0,
                    first_token_ms: 0.0,
                    served: 0,
                    completed: 0,
                    failed: 0,
                    rank: None,
                    fences: std::collections::BTreeSet::new(),
                };
                self.miners.insert(key, entry);
                self.reindex(key);
                self.pump_for(key, now, &mut out);
            }
            Event::Credits(key, credits) => {
                if let Some(miner) = self.miners.get_mut(&key) {
                    miner.credits = credits;
                    self.reindex(key);
                    self.pump_for(key, now, &mut out);
                }
            }
            Event::Models(key, models) => {
                self.unindex(key);
                if let Some(miner) = self.miners.get_mut(&key) {
                    miner.rules.models = models;
                    self.reindex(key);
                    self.pump_for(key, now, &mut out);
                }
            }
            Event::Drain(key) => {
                if let Some(miner) = self.miners.get_mut(&key) {
                    miner.draining = true;
                    self.reindex(key);
                }
            }
            Event::MinerGone(key) => self.miner_gone(key, now, &mut out),
            Event::Accept(fence) => self.accepted(fence, now, &mut out),
            Event::Reject(fence) => {
                self.attempt_lost(fence, Blame::Nobody, true, now, &mut out);
            }
            Event::Progress { fence, first, shown } => self.progress(fence, first, shown, now, &mut out),
            Event::Done { fence, tokens } => self.done(fence, tokens, now, &mut out),
            Event::Fail { fence, blame } => self.attempt_lost(fence, blame, false, now, &mut out),
            Event::Committed(gid) => self.committed(gid, &mut out),
            Event::Tick => self.tick(now, &mut out),
        }
        out
    }

    fn submit(&mut self, task: NewTask, now: Timestamp, out: &mut Vec<Effect>) {
        let lane = LaneKey { model: task.model.clone(), embedding: task.embedding };
        if let Err((reason, retry_after_ms)) = self.admit(&task, &lane, now) {
            out.push(Effect::Refused { reason, retry_after_ms });
            return;
        }
        let gid = self.next_gid;
        self.next_gid = Gid(gid.0 + 1);
        let Some(session) = self.sessions.get_mut(&task.session) else { return };
        let id = session.next_task;
        session.next_task = TaskId(id.0 + 1);
        session.taken += 1;
        let band = task.band.unwrap_or(session.rules.band);
        out.push(Effect::Admitted { gid, id, band });
        self.enter(gid, task, &lane, now, out);
    }

    fn restore(&mut self, gid: Gid, id: TaskId, task: NewTask, now: Timestamp, out: &mut Vec<Effect>) {
        self.next_gid = self.next_gid.max(Gid(gid.0 + 1));
        let first = self.settings.first_task_id;
        let session = self
            .sessions
            .entry(task.session)
            .or_insert_with(|| SessionEntry { next_task: first, ..SessionEntry::default() });
        session.next_task = session.next_task.max(TaskId(id.0 + 1));
        let lane = LaneKey { model: task.model.clone(), embedding: task.embedding };
        self.enter(gid, task, &lane, now, out);
    }

    /// Sets where a session's ids go on, and how many tasks it has had.
    pub fn resume_session(&mut self, id: SessionId, last: TaskId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.next_task = session.next_task.max(TaskId(last.0 + 1));
            session.taken = session.next_task.0.saturating_sub(self.settings.first_task_id.0);
        }
    }

    fn enter(&mut self, gid: Gid, mut spec: NewTask, lane: &LaneKey, now: Timestamp, out: &mut Vec<Effect>) {
        spec.required = spec.required.max(1);
        let unfair = self.planted(PlantedBug::UnfairTags);
        let Some(session) = self.sessions.get_mut(&spec.session) else { return };
        let band = spec.band.unwrap_or(session.rules.band);
        let expected = if session.mean_out > 0.0 {
            (spec.max_tokens as f64).min(session.mean_out) as u64
        } else {
            spec.max_tokens
        };
        let cost = (spec.prompt_tokens + 2 * expected).max(1) * u64::from(spec.required);
        let tag = if unfair { 0 } else { session.finish.max(self.virtual_time.get(&band).copied().unwrap_or(0)) };
        session.finish = tag + cost * SCALE / u64::from(session.rules.weight.max(1));
        session.active += 1;
        self.timers.set(spec.deadline, Timer::Deadline(gid));
        let servable = self.miners.values().any(|miner| miner.serves(lane));
        let unservable_at =
            (!servable && self.settings.no_miner_grace_ms > 0).then(|| now.plus(self.settings.no_miner_grace_ms));
        if let Some(at) = unservable_at {
            self.timers.set(at, Timer::Unservable(gid));
        }
        let entry = TaskEntry {
            spec,
            lane: lane.clone(),
            place: Place { band, tag, since: now },
            cost,
            state: TaskState::Queued,
            in_queue: false,
            attempts: SmallVec::new(),
            tries: 0,
            tried: SmallVec::new(),
            retry_at: None,
            unservable_at,
            primary: None,
            ending: false,
        };
        let held = entry.spec.held;
        self.tasks.insert(gid, entry);
        if held {
            return;
        }
        self.enqueue(gid);
        self.pump(lane, now, out);
    }

    pub(super) fn enqueue(&mut self, gid: Gid) {
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        if task.in_queue {
            return;
        }
        task.in_queue = true;
        self.queued_tasks += 1;
        self.queued_bytes += task.spec.bytes;
        self.queued_cost += task.cost;
        if let Some(session) = self.sessions.get_mut(&task.spec.session) {
            session.queued += 1;
        }
        self.lanes.entry(task.lane.clone()).or_default().push(gid, task.place);
    }

    pub(super) fn dequeue(&mut self, gid: Gid) {
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        if !task.in_queue {
            return;
        }
        task.in_queue = false;
        self.queued_tasks -= 1;
        self.queued_bytes -= task.spec.bytes;
        self.queued_cost -= task.cost;
        if let Some(session) = self.sessions.get_mut(&task.spec.session) {
            session.queued -= 1;
        }
        if let Some(lane) = self.lanes.get_mut(&task.lane) {
            lane.remove(gid, task.place);
            if lane.is_empty() {
                self.lanes.remove(&task.lane);
            }
        }
    }

    /// Takes the miner off the free list, before what it serves changes.
    pub(super) fn unindex(&mut self, key: MinerKey) {
        if let Some(miner) = self.miners.get_mut(&key)
            && let Some(rank) = miner.rank.take()
        {
            self.free.remove(&miner.rules.models, rank);
        }
    }

    /// Puts the miner where it belongs among the free ones, or nowhere.
    pub(super) fn reindex(&mut self, key: MinerKey) {
        self.unindex(key);
        if let Some(miner) = self.miners.get_mut(&key)
            && miner.is_free()
        {
            let rank = miner.rank_of(key);
            miner.rank = Some(rank);
            self.free.insert(&miner.rules.models, rank);
        }
    }

    /// A miner became free: serves the lanes that it can serve.
    pub(super) fn pump_for(&mut self, key: MinerKey, now: Timestamp, out: &mut Vec<Effect>) {
        if self.queued_tasks == 0 {
            return;
        }
        // The lane whose first task is the furthest behind goes first, so that no model starves another.
        while let Some(miner) = self.miners.get(&key)
            && miner.is_free()
        {
            let next = self
                .lanes
                .iter()
                .filter(|(lane, _)| miner.serves(lane))
                .filter_map(|(lane, queue)| Some((queue.first_rank()?, lane)))
                .min()
                .map(|(_, lane)| lane.clone());
            let Some(lane) = next else { return };
            let before = self.queued_tasks;
            self.pump(&lane, now, out);
            if self.queued_tasks == before {
                // Its first tasks must not have this miner; the other lanes may.
                let others: Vec<LaneKey> = self.lanes.keys().filter(|other| **other != lane).cloned().collect();
                for other in others {
                    self.pump(&other, now, out);
                }
                return;
            }
        }
    }

    /// Offers waiting tasks of the lane to free miners until one of them runs out.
    pub(super) fn pump(&mut self, lane: &LaneKey, now: Timestamp, out: &mut Vec<Effect>) {
        let mut window = std::mem::take(&mut self.window);
        while let Some(queue) = self.lanes.get(lane) {
            queue.window(now, self.settings.starvation_ms, self.settings.scan_window, &mut window);
            let band = window.first().and_then(|(_, gid)| self.tasks.get(gid)).map_or(0, |t| t.place.band);
            let virtual_time = self.virtual_time.get(&band).copied().unwrap_or(0);
            let Some((gid, miner)) = self.choose(lane, &window, virtual_time) else { break };
            self.offer(gid, miner, now, out);
        }
        self.window = window;
    }

    fn offer(&mut self, gid: Gid, key: MinerKey, now: Timestamp, out: &mut Vec<Effect>) {
        let fence = Fence((self.settings.epoch << FENCE_BITS) | self.next_fence);
        if !self.planted(PlantedBug::ReuseFence) {
            self.next_fence += 1;
        }
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        let Some(miner) = self.miners.get_mut(&key) else { return };
        miner.in_flight += 1;
        miner.served += 1;
        miner.fences.insert(fence);
        let auto = miner.rules.auto_accept;
        let timer = if auto {
            task.silent_until(now, self.settings.progress_timeout_ms)
        } else {
            now.plus(self.settings.accept_timeout_ms)
        };
        self.timers.set(timer, if auto { Timer::Progress(fence) } else { Timer::Accept(fence) });
        task.attempts.push(Attempt {
            fence,
            miner: key,
            state: if auto { AttemptState::Running } else { AttemptState::Offered },
            timer,
            offered_at: now,
            first_token_at: None,
            heard_at: now,
            shown: false,
        });
        task.tries += 1;
        let primary = task.primary.is_none();
        if primary {
            task.primary = Some(fence);
        }
        if let Some(at) = task.unservable_at.take() {
            self.timers.clear(at, Timer::Unservable(gid));
        }
        let state = if auto { TaskState::Acked } else { TaskState::Assigned };
        let place = task.place;
        let full = !task.wants_miner();
        let prefix = task.spec.prefix.clone();
        let session = task.spec.session;
        if task.state < state {
            task.state = state;
        }
        let now_state = task.state;
        self.fences.insert(fence, gid);
        let virtual_time = self.virtual_time.entry(place.band).or_default();
        *virtual_time = (*virtual_time).max(place.tag);
        if let Some(session) = self.sessions.get_mut(&session) {
            session.last_miner = Some(key);
        }
        self.prefixes.note(&prefix, key);
        if full {
            self.dequeue(gid);
        }
        self.reindex(key);
        out.push(Effect::Offer { gid, miner: key, fence, primary });
        out.push(Effect::State { gid, state: now_state });
    }
}
