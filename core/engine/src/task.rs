//! What the engine keeps of a task, and of each of its attempts.

use std::sync::Arc;

use smallvec::SmallVec;

use cortensor_router_model::{Fence, SessionId, TaskState, Timestamp};

use super::event::{Demand, MinerKey};
use super::line::{LaneKey, Load, Place};
use super::phase::{Phase, Phases};

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
    pub(super) spec: Demand,
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
    pub(super) recheck: bool,
}

impl TaskEntry {
    pub(super) fn new(spec: Demand, lane: LaneKey, place: Place, cost: u64) -> Self {
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
            recheck: false,
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
        (!self.recheck).then_some(Load { bytes: self.spec.bytes, cost: self.cost })
    }

    /// An attempt that is under way or done.
    pub(super) fn attempt_mut(&mut self, fence: Fence) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.fence == fence)
    }

    /// The attempts that are under way.
    pub(super) fn under_way(&self) -> Vec<Fence> {
        let open = self.attempts.iter().filter(|attempt| attempt.state != AttemptState::Done);
        open.map(|attempt| attempt.fence).collect()
    }

    /// The number of answers that are in.
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

    /// Whether two miners race for its first token.
    pub(super) fn races(&self) -> bool {
        self.attempts.len() as u32 > self.spec.required
    }
}
