//! The effects that the engine asks for, and its words for reasons and results.

use std::sync::Arc;

use cortensor_router_model::{Fence, Gid, Outcome, SessionId, TaskId, TaskState};

use super::rules::MinerKey;

/// The reason why a task was refused.
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
    /// The waiting tasks leave too little time for this one before its deadline.
    DeadlineUnreachable,
    /// No miner is there.
    NoMiner,
    /// Miners are there, but none serves the model.
    NoModel,
    /// Fewer miners could serve the session than it wants.
    TooFewMiners {
        /// The number that the session wants.
        wanted: u32,
        /// The number that are there.
        there: u32,
    },
}

/// The reason why a miner is told to stop an attempt.
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
    /// The task ended in another way, or another attempt gave its answer.
    Superseded,
}

/// The cause of a task's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// All answers are in.
    Done,
    /// A caller cancelled it.
    Cancelled,
    /// Its deadline passed.
    Deadline,
    /// The last attempt that was allowed failed.
    Attempts,
    /// The request is at fault.
    Request,
    /// A miner was lost after a client had seen tokens.
    Broken,
    /// No miner could ever serve it.
    NoMiner,
}

/// The role of an attempt in its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its tokens are the ones that are streamed, from the start.
    Primary,
    /// It continues the tokens that were streamed so far.
    Continue,
    /// Its answer is one of several and is not streamed.
    Aside,
    /// It races another attempt that is slow to begin. The attempt with the first token is streamed.
    Hedge,
}

/// A thing that the router must do. The router carries out the effects of a step in their order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The task is admitted. The router must write it down, unless the task is the router's own.
    Admitted {
        /// Its global id.
        gid: Gid,
        /// Its id in the session.
        id: TaskId,
        /// The band it waits in.
        band: u8,
    },
    /// The task is refused, and the engine keeps no trace of it.
    Refused {
        /// The reason.
        reason: Refusal,
        /// The milliseconds after which a retry may succeed.
        retry_after_ms: u64,
    },
    /// The session will soon have no ids left. The router must get some and report [`Event::Ids`](crate::Event::Ids).
    NeedIds {
        /// The session.
        session: SessionId,
    },
    /// The router must offer the task to a miner under this fence.
    Offer {
        /// The task.
        gid: Gid,
        /// The miner.
        miner: MinerKey,
        /// The attempt.
        fence: Fence,
        /// Its role.
        role: Role,
    },
    /// A task of another router stands in line under this number.
    Stands {
        /// The deputy.
        gid: Gid,
    },
    /// The turn of a deputy has come: the router must lend this slot of the miner to the router that asked.
    Lend {
        /// The deputy.
        gid: Gid,
        /// The miner.
        miner: MinerKey,
        /// The attempt for which the slot is taken.
        fence: Fence,
        /// Whether the miner is kept for the session of the task. Then only tasks of that session may use the slot.
        kept: bool,
    },
    /// The router must tell the miner to stop the attempt.
    Stop {
        /// The task.
        gid: Gid,
        /// The miner.
        miner: MinerKey,
        /// The attempt.
        fence: Fence,
        /// The reason.
        reason: StopReason,
    },
    /// The attempt whose tokens were streamed gives no answer, and its tokens are void.
    Voided {
        /// The task.
        gid: Gid,
        /// Whether the task waits for a miner again that begins anew.
        again: bool,
    },
    /// The task goes to another model of its list.
    Rerouted {
        /// The task.
        gid: Gid,
        /// The model.
        model: Arc<str>,
    },
    /// The attempt whose tokens were to be streamed is lost; from now on this one's are.
    Promoted {
        /// The task.
        gid: Gid,
        /// The attempt.
        fence: Fence,
    },
    /// All answers are in. The router must compare them and report [`Event::Verdict`](crate::Event::Verdict).
    Judge {
        /// The task.
        gid: Gid,
    },
    /// Another miner gets the request of a task that ended well, in the background, so that the answers can be
    /// compared.
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
    /// The router must write the end of the task down and report [`Event::Committed`](crate::Event::Committed) or
    /// [`Event::Unwritten`](crate::Event::Unwritten).
    Finish {
        /// The task.
        gid: Gid,
        /// The outcome.
        outcome: Outcome,
        /// The cause of the end.
        cause: EndCause,
    },
    /// The end is durable. The router may show it.
    Ended {
        /// The task.
        gid: Gid,
    },
    /// The task is over, and the store does not have its end. The router must never show that end.
    Lost {
        /// The task.
        gid: Gid,
    },
}
