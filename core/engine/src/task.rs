//! The engine's records of a task and of its attempts.

use std::sync::Arc;

use smallvec::SmallVec;

use cortensor_router_model::{Fence, SessionId, TaskState, Timestamp};

use super::demand::Demand;
use super::line::{LaneKey, Load, Place};
use super::phase::{Phase, Phases};
use super::rules::MinerKey;

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
    /// The time at which its timer is due.
    pub(super) timer: Timestamp,
    pub(super) offered_at: Timestamp,
    pub(super) first_token_at: Option<Timestamp>,
    /// The time of the miner's last sign of life.
    pub(super) heard_at: Timestamp,
}

/// A miner that got a task which several miners answer. The record stays after the miner is gone, because the miner
/// may come back under another key.
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
    /// The number of answers that were wanted at first.
    pub(super) asked: u32,
    pub(super) phase: Phases,
    pub(super) state: TaskState,
    pub(super) in_queue: bool,
    /// Attempts that are under way or done.
    pub(super) attempts: SmallVec<[Attempt; 1]>,
    /// The number of attempts that were made, without those that the miner declined.
    pub(super) tries: u32,
    /// Miners that failed at it or declined it.
    pub(super) tried: SmallVec<[MinerKey; 2]>,
    /// The miners in `tried` that would refuse the task again.
    pub(super) refused_by: SmallVec<[MinerKey; 2]>,
    /// The miners in `tried` that declined the offer.
    pub(super) declined_by: SmallVec<[MinerKey; 2]>,
    pub(super) retry_at: Option<Timestamp>,
    pub(super) unservable_at: Option<Timestamp>,
    /// The milliseconds from the submission to the task's first deadline.
    pub(super) patience_ms: u64,
    /// The attempt whose tokens are streamed.
    pub(super) primary: Option<Fence>,
    /// Whether a client has seen tokens that were not taken back.
    pub(super) shown: bool,
    /// Whether the next attempt continues the text so far.
    pub(super) continuing: bool,
    /// Whether the text comes from several miners, one after the other.
    pub(super) continued: bool,
    /// The miners whose answers are compared; empty if one miner answers.
    pub(super) used: Vec<Used>,
    /// Whether one more miner was asked because the answers did not agree.
    pub(super) tie_broken: bool,
    /// Whether the task only checks the answer of another task.
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

    /// The time until which its miner may be silent if its last sign of life came at `heard_at`.
    pub(super) fn silent_until(&self, heard_at: Timestamp, progress_timeout_ms: u64) -> Timestamp {
        let until = heard_at.plus(progress_timeout_ms);
        if self.spec.streaming { until } else { until.max(self.spec.deadline.plus(1)) }
    }

    /// The room that the task takes in the bounds of the queue; `None`: it only checks another task in the background.
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

    /// Whether the task still needs a miner.
    pub(super) fn wants_miner(&self) -> bool {
        self.phase.now() == Phase::Open && (self.attempts.len() as u32) < self.spec.required
    }

    /// Whether several miners were asked for an answer, however many of them still work.
    pub(super) fn redundant(&self) -> bool {
        self.asked > 1
    }

    /// Whether two miners race for its first token.
    pub(super) fn races(&self) -> bool {
        self.attempts.len() as u32 > self.spec.required
    }
}
