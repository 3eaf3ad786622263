//! What the engine keeps of sessions, tasks and miners.

use std::collections::BTreeSet;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::model::{Fence, SessionId, TaskId, TaskState, Timestamp};

use super::breaker::Breaker;
use super::choice::Rank;
use super::event::{MinerKey, MinerRules, NewTask, SessionRules};
use super::queue::{Place, Tag};

/// What a task needs of a miner: tasks with the same needs wait in one lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneKey {
    pub(super) model: Option<Arc<str>>,
    pub(super) embedding: bool,
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
    /// A client has seen its tokens.
    pub(super) shown: bool,
}

#[derive(Debug)]
pub(super) struct TaskEntry {
    pub(super) spec: NewTask,
    pub(super) lane: LaneKey,
    pub(super) place: Place,
    pub(super) cost: u64,
    pub(super) state: TaskState,
    pub(super) in_queue: bool,
    /// Attempts that are under way or done.
    pub(super) attempts: SmallVec<[Attempt; 1]>,
    /// Attempts that were made, declined ones not counted.
    pub(super) tries: u32,
    /// Miners that failed at it or declined it.
    pub(super) tried: SmallVec<[MinerKey; 2]>,
    pub(super) retry_at: Option<Timestamp>,
    pub(super) unservable_at: Option<Timestamp>,
    /// The attempt whose tokens are streamed.
    pub(super) primary: Option<Fence>,
    /// Its end is being written.
    pub(super) ending: bool,
}

impl TaskEntry {
    pub(super) fn session(&self) -> SessionId {
        self.spec.session
    }

    /// Until when its miner may say nothing, when it was heard at that time.
    pub(super) fn silent_until(&self, heard_at: Timestamp, progress_timeout_ms: u64) -> Timestamp {
        let until = heard_at.plus(progress_timeout_ms);
        if self.spec.streaming { until } else { until.max(self.spec.deadline.plus(1)) }
    }

    pub(super) fn done(&self) -> u32 {
        self.attempts.iter().filter(|a| a.state == AttemptState::Done).count() as u32
    }

    /// Whether more miners are to get it.
    pub(super) fn wants_miner(&self) -> bool {
        !self.ending && (self.attempts.len() as u32) < self.spec.required
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
    /// Milliseconds to the first token, smoothed; 0 while unknown.
    pub(super) first_token_ms: f64,
    pub(super) served: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    /// Its place among the free ones, while it is free.
    pub(super) rank: Option<Rank>,
    pub(super) fences: BTreeSet<Fence>,
}

impl MinerEntry {
    pub(super) fn serves(&self, lane: &LaneKey) -> bool {
        (!lane.embedding || self.rules.embeddings)
            && match &lane.model {
                None => true,
                Some(model) => self.rules.models.is_empty() || self.rules.models.iter().any(|m| m == model),
            }
    }
}
