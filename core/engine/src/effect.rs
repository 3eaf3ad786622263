//! What the engine asks for, and its words for reasons and results.

use std::sync::Arc;

use cortensor_router_model::{Fence, Gid, Outcome, TaskId, TaskState};

use super::rules::MinerKey;

/// Why a task was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such session.
    NoSession,
    /// The session is closed.
    SessionClosed,
    /// The session has taken all the tasks that it ever takes.
    SessionExhausted,
    /// Too many tasks wait, in all.
    QueueFull,
    /// Too many tasks of the session wait.
    SessionQueueFull,
    /// What waits would not be done before the deadline.
    DeadlineUnreachable,
    /// No miner is there.
    NoMiner,
    /// Miners are there, but none serves the model.
    NoModel,
    /// Fewer miners could serve the session than it wants.
    TooFewMiners {
        /// How many it wants.
        wanted: u32,
        /// How many are there.
        there: u32,
    },
}

/// Why an attempt is wanted no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The task was cancelled.
    Cancelled,
    /// The task's deadline passed.
    Expired,
    /// The miner did not answer the offer.
    Unanswered,
    /// The miner went silent.
    Silent,
    /// The task ended otherwise.
    Superseded,
}

/// Why a task ended the way it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// All answers are in.
    Done,
    /// Somebody cancelled it.
    Cancelled,
    /// Its deadline passed.
    Deadline,
    /// The last attempt that was allowed failed.
    Attempts,
    /// The request is at fault.
    Request,
    /// A miner went silent or away after tokens had been seen.
    Broken,
    /// No miner could ever serve it.
    NoMiner,
}

/// What an attempt is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its tokens are the ones that are streamed, from the start.
    Primary,
    /// It goes on behind the tokens that were streamed so far.
    Continue,
    /// Its answer is one of several and is not streamed.
    Aside,
    /// It races another one that is slow to begin: whoever gives the first token is streamed.
    Hedge,
}

/// What is to be done about it, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The task is in; it is to be written down.
    Admitted {
        /// Its global id.
        gid: Gid,
        /// Its id in the session.
        id: TaskId,
        /// The band it waits in.
        band: u8,
    },
    /// The task is not in, and no trace of it is left.
    Refused {
        /// Why.
        reason: Refusal,
        /// When to come back, in milliseconds.
        retry_after_ms: u64,
    },
    /// The task is to be offered to a miner under this fence.
    Offer {
        /// The task.
        gid: Gid,
        /// The miner.
        miner: MinerKey,
        /// The attempt.
        fence: Fence,
        /// What it is for.
        role: Role,
    },
    /// The attempt is wanted no more.
    Stop {
        /// The task.
        gid: Gid,
        /// The miner.
        miner: MinerKey,
        /// The attempt.
        fence: Fence,
        /// Why.
        reason: StopReason,
    },
    /// The attempt whose tokens were streamed is lost, and its tokens are void.
    Voided {
        /// The task.
        gid: Gid,
    },
    /// The attempt whose tokens were to be streamed is lost; from now on this one's are.
    Promoted {
        /// The task.
        gid: Gid,
        /// The attempt.
        fence: Fence,
    },
    /// All answers are in: they are to be compared. [`Event::Verdict`] follows.
    Judge {
        /// The task.
        gid: Gid,
    },
    /// A task that ended well is asked again of another miner, in the background, to compare.
    Recheck {
        /// The task that ended.
        of: Gid,
        /// Its answer's attempt.
        fence: Fence,
        /// The task that asks again.
        gid: Gid,
    },
    /// A miner's reputation moved.
    Reputed {
        /// Its identity.
        name: Arc<str>,
        /// 0 to 1.
        reputation: f64,
    },
    /// The task reached a state.
    State {
        /// The task.
        gid: Gid,
        /// The state.
        state: TaskState,
    },
    /// The end of the task is to be written down; [`Event::Committed`] or [`Event::Unwritten`] follows.
    Finish {
        /// The task.
        gid: Gid,
        /// How it ends.
        outcome: Outcome,
        /// Why.
        cause: EndCause,
    },
    /// The end is durable: it may be shown.
    Ended {
        /// The task.
        gid: Gid,
    },
    /// The task is over and the store does not have its end: nothing of that may be shown.
    Lost {
        /// The task.
        gid: Gid,
    },
}
