//! What the engine keeps of sessions, tasks and miners.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smallvec::SmallVec;

use cortensor_router_model::{Fence, SessionId, SessionMode, TaskId, TaskState, Timestamp};

use super::breaker::{Breaker, BreakerState};
use super::choice::Rank;
use super::event::{MinerKey, MinerRules, NewTask, SessionRules};
use super::line::{Load, Place, Tag};
use super::pace::Pace;
use super::phase::{Phase, Phases};

/// What a task needs of a miner: tasks with the same needs wait in one lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneKey {
    pub(super) model: Option<Arc<str>>,
    /// Whether any other model will do where nobody has that one.
    pub(super) any_model: bool,
    pub(super) embedding: bool,
    pub(super) mode: SessionMode,
    /// The session, where its rules keep some miners from its tasks: they must not hold up others.
    pub(super) own: Option<SessionId>,
}

#[derive(Debug, Default)]
pub(super) struct SessionEntry {
    pub(super) rules: SessionRules,
    /// The finish tag of its last task.
    pub(super) finish: Tag,
    pub(super) next_task: TaskId,
    pub(super) taken: u64,
    pub(super) queued: u64,
    pub(super) active: u64,
    /// Mean tokens of an answer, for the estimate of the next; 0 while unknown.
    pub(super) mean_out: f64,
    pub(super) last_miner: Option<MinerKey>,
    /// The miners that work for it and on how many tasks, while it is restricted.
    pub(super) working: BTreeMap<MinerKey, u32>,
    /// The miners that are kept for it.
    pub(super) reserved: BTreeSet<MinerKey>,
    /// Until when miners are kept for it.
    pub(super) reserved_until: Timestamp,
}

impl SessionEntry {
    /// Its share among the sessions that have something waiting.
    pub(super) fn waiting_weight(&self) -> u64 {
        if self.queued > 0 { u64::from(self.rules.weight.max(1)) } else { 0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AttemptState {
    Offered,
    Running,
    Done,
}

#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) fence: Fence,
    pub(super) miner: MinerKey,
    pub(super) state: AttemptState,
    /// When its timer is due.
    pub(super) timer: Timestamp,
    pub(super) offered_at: Timestamp,
    pub(super) first_token_at: Option<Timestamp>,
    /// When the miner last gave something.
    pub(super) heard_at: Timestamp,
}

/// Who got a task that several miners answer. Kept after the miner is gone: it may come back under another key.
#[derive(Debug, Clone)]
pub(super) struct Used {
    pub(super) fence: Fence,
    pub(super) name: Arc<str>,
    pub(super) owner: Arc<str>,
}

#[derive(Debug)]
pub(super) struct TaskEntry {
    pub(super) spec: NewTask,
    pub(super) lane: LaneKey,
    pub(super) place: Place,
    pub(super) cost: u64,
    /// How many answers were wanted at first.
    pub(super) asked: u32,
    pub(super) phase: Phases,
    pub(super) state: TaskState,
    pub(super) in_queue: bool,
    /// Attempts that are under way or done.
    pub(super) attempts: SmallVec<[Attempt; 1]>,
    /// Attempts that were made, declined ones not counted.
    pub(super) tries: u32,
    /// Miners that failed at it or declined it.
    pub(super) tried: SmallVec<[MinerKey; 2]>,
    /// Those of them that would say the same again.
    pub(super) refused_by: SmallVec<[MinerKey; 2]>,
    /// Those of them that did not take it.
    pub(super) declined_by: SmallVec<[MinerKey; 2]>,
    pub(super) retry_at: Option<Timestamp>,
    pub(super) unservable_at: Option<Timestamp>,
    /// Milliseconds that it had at first.
    pub(super) patience_ms: u64,
    /// The attempt whose tokens are streamed.
    pub(super) primary: Option<Fence>,
    /// A client has seen tokens that were not taken back.
    pub(super) shown: bool,
    /// The next attempt goes on from the text so far.
    pub(super) continuing: bool,
    /// The text was begun by one miner and goes on with another.
    pub(super) continued: bool,
    /// Whose answers are compared; empty where one miner answers.
    pub(super) used: Vec<Used>,
    /// One more miner was asked, because the answers did not agree.
    pub(super) tie_broken: bool,
    /// It only checks an answer that was given already.
    pub(super) audit: bool,
}

impl TaskEntry {
    pub(super) fn new(spec: NewTask, lane: LaneKey, place: Place, cost: u64) -> Self {
        let phase = Phases::begin(if spec.held { Phase::Held } else { Phase::Open });
        Self {
            asked: spec.required,
            spec,
            lane,
            place,
            cost,
            phase,
            state: TaskState::Queued,
            in_queue: false,
            attempts: SmallVec::new(),
            tries: 0,
            tried: SmallVec::new(),
            refused_by: SmallVec::new(),
            declined_by: SmallVec::new(),
            retry_at: None,
            unservable_at: None,
            patience_ms: 0,
            primary: None,
            shown: false,
            continuing: false,
            continued: false,
            used: Vec::new(),
            tie_broken: false,
            audit: false,
        }
    }

    pub(super) fn session(&self) -> SessionId {
        self.spec.session
    }

    /// Until when its miner may say nothing, when it was heard at that time.
    pub(super) fn silent_until(&self, heard_at: Timestamp, progress_timeout_ms: u64) -> Timestamp {
        let until = heard_at.plus(progress_timeout_ms);
        if self.spec.streaming { until } else { until.max(self.spec.deadline.plus(1)) }
    }

    /// What it takes of the queue; one that checks another in the background takes nothing.
    pub(super) fn load(&self) -> Option<Load> {
        (!self.audit).then_some(Load { bytes: self.spec.bytes, cost: self.cost })
    }

    pub(super) fn done(&self) -> u32 {
        self.attempts.iter().filter(|a| a.state == AttemptState::Done).count() as u32
    }

    /// Whether its end is being written.
    pub(super) fn is_ending(&self) -> bool {
        self.phase.now() == Phase::Ending
    }

    /// Whether more miners are to get it.
    pub(super) fn wants_miner(&self) -> bool {
        self.phase.now() == Phase::Open && (self.attempts.len() as u32) < self.spec.required
    }

    /// Whether several miners were asked, however many answers are still to come.
    pub(super) fn redundant(&self) -> bool {
        self.asked > 1
    }
}

#[derive(Debug)]
pub(super) struct MinerEntry {
    pub(super) rules: MinerRules,
    /// Tasks that it may have now.
    pub(super) credits: u32,
    pub(super) in_flight: u32,
    pub(super) draining: bool,
    pub(super) breaker: Breaker,
    /// Tokens a second of one task, smoothed; 0 while unknown.
    pub(super) speed: f64,
    /// What its speed is taken of.
    pub(super) pace: Pace,
    /// Milliseconds to the first token, smoothed; 0 while unknown.
    pub(super) first_token_ms: f64,
    /// The share of attempts that failed by its fault, smoothed.
    pub(super) errors: f64,
    /// How often its answers agree with others', smoothed: 1 always.
    pub(super) reputation: f64,
    /// Its reputation is too low: it gets nothing until then.
    pub(super) aside_until: Option<Timestamp>,
    /// The session it is kept for.
    pub(super) reserved: Option<SessionId>,
    pub(super) served: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    /// Its place among the free ones, while it is free.
    pub(super) rank: Option<Rank>,
    pub(super) fences: BTreeSet<Fence>,
}

impl MinerEntry {
    pub(super) fn new(rules: MinerRules, reputation: f64) -> Self {
        Self {
            credits: rules.capacity,
            rules,
            in_flight: 0,
            draining: false,
            breaker: Breaker::default(),
            speed: 0.0,
            pace: Pace::default(),
            first_token_ms: 0.0,
            errors: 0.0,
            reputation,
            aside_until: None,
            reserved: None,
            served: 0,
            completed: 0,
            failed: 0,
            rank: None,
            fences: BTreeSet::new(),
        }
    }

    /// Whether it can do such tasks.
    pub(super) fn could_serve(&self, lane: &LaneKey) -> bool {
        self.fit(lane).is_some()
    }

    /// Whether its answer to such a task may stand beside others', now or when it is up again.
    pub(super) fn could_answer_beside(&self, lane: &LaneKey) -> bool {
        self.could_serve(lane) && !self.rules.last_resort && !self.draining && self.aside_until.is_none()
    }

    /// Whether it can do such tasks and is not kept for others'.
    pub(super) fn serves(&self, lane: &LaneKey) -> bool {
        (self.reserved.is_none() || self.reserved == lane.own) && self.could_serve(lane)
    }

    /// Whether it gets tasks at all, free or not.
    pub(super) fn takes_part(&self) -> bool {
        !self.draining
            && self.aside_until.is_none()
            && self.credits > 0
            && !matches!(self.breaker.state(), BreakerState::Open(_))
    }
}
