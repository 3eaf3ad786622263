//! The events that the engine is told of.

use std::sync::Arc;

use cortensor_router_model::{Fence, Gid, SessionId, Standing, TaskId};

use super::demand::{Demand, Lack};
use super::lend::{Deputy, Heir};
use super::rules::{MinerKey, MinerRules, SessionRules};

/// The party that is to blame for a failed attempt, and whether another try makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The miner is to blame: the failure counts towards its breaker, and another miner is tried.
    Miner,
    /// Nobody is to blame: another miner is tried.
    Nobody,
    /// The miner has too much to do: nobody is to blame, and the task waits a little.
    Overload,
    /// The request is to blame: no other miner is tried.
    Request,
    /// The request is too long for the model: no other miner of the model is tried.
    Context,
    /// Nobody is to blame, but this miner would fail again: each other miner is asked once.
    Unfit,
    /// The miner is to blame and would fail again: the failure counts towards its breaker, and each other miner is
    /// asked once.
    Barred,
}

impl Blame {
    /// Whether it counts against the miner.
    pub(super) fn is_the_miners(self) -> bool {
        matches!(self, Self::Miner | Self::Barred)
    }

    /// Whether the request is to blame.
    pub(super) fn is_the_requests(self) -> bool {
        matches!(self, Self::Request | Self::Context)
    }

    /// The reason for which the task may go to another model; `None`: another model would not help.
    pub(super) fn lack(self) -> Option<Lack> {
        match self {
            Self::Request => None,
            Self::Context => Some(Lack::Context),
            Self::Overload => Some(Lack::Overload),
            Self::Miner | Self::Nobody | Self::Unfit | Self::Barred => Some(Lack::Error),
        }
    }

    /// Whether the same miner would fail in the same way again.
    pub(super) fn is_final_there(self) -> bool {
        matches!(self, Self::Unfit | Self::Barred)
    }
}

/// A thing that happened. [`Engine::step`](crate::Engine::step) gets its time beside it.
#[derive(Debug, Clone)]
pub enum Event {
    /// A session is new or changed.
    Session(SessionId, SessionRules),
    /// A task was submitted. The first effect answers it: [`Effect::Admitted`](crate::Effect::Admitted) or
    /// [`Effect::Refused`](crate::Effect::Refused).
    Submit(Box<Demand>),
    /// A task is back that the last process left unfinished. The engine never refuses it.
    Restore(Gid, TaskId, Box<Demand>),
    /// The router of a task that a miner here works on is gone, and the task goes on here. It is taken in under its old
    /// number, its attempt goes on, and the loan of the miner's slot ends. If the miner is gone, the task waits for another.
    Inherit(Box<Heir>),
    /// A held task may go to a miner.
    Release(Gid),
    /// A held task is withdrawn. Nobody has seen it, and nobody will.
    Forget {
        /// The task.
        gid: Gid,
        /// Its number in its session, which may be given to another task; `None`: the store may have a trace of the
        /// task.
        give_back: Option<TaskId>,
    },
    /// Other routers do not use the session's ids from `first` up to but not including `end`. Equal: there are no ids at
    /// present.
    Ids {
        /// The session.
        session: SessionId,
        /// The first id.
        first: TaskId,
        /// The id after the last one.
        end: TaskId,
    },
    /// All ids that came in blocks and are not used yet are others' now.
    IdsLost,
    /// A task belongs to another router now. The engine forgets it, and its miners are told to stop. It gets no end.
    Moved(Gid),
    /// A task is cancelled.
    Cancel(Gid),
    /// No caller waits for a task any more, and it goes on.
    Detach(Gid),
    /// A miner is there.
    MinerUp(MinerKey, MinerRules),
    /// The number of tasks that a miner may have from now on.
    Credits(MinerKey, u32),
    /// A miner's models changed.
    Models(MinerKey, Vec<Arc<str>>),
    /// The first report of a miner has come: its models and credits are known from now on.
    Heard(MinerKey),
    /// Whether a miner comes up when tasks wait for it.
    OnCall(MinerKey, bool),
    /// A task of another router waits for a slot here. The first effect answers it:
    /// [`Effect::Stands`](crate::Effect::Stands). The deputy ends with [`Event::Moved`] while it waits, and with
    /// [`Event::Done`], [`Event::Fail`] or [`Event::Reject`] of its attempt.
    Deputy(Box<Deputy>),
    /// Another router lends a slot of this miner, for one attempt. If no offer is among the effects, no task can use it.
    Borrow {
        /// The miner.
        miner: MinerKey,
        /// The session for which that router keeps the miner; `None`: the slot is good for every task.
        only: Option<SessionId>,
    },
    /// Another router keeps its miner for that session, or for none.
    KeptElsewhere(MinerKey, Option<SessionId>),
    /// Another router serves tasks with tags from that one on.
    ServedElsewhere {
        /// The band.
        band: u8,
        /// The tag.
        tag: u64,
    },
    /// A miner drains: it takes no new tasks.
    Drain(MinerKey),
    /// A miner is gone; what it had is lost.
    MinerGone(MinerKey),
    /// A miner took an offer.
    Accept(Fence),
    /// A miner declined an offer.
    Reject(Fence),
    /// A miner gave a piece of an answer, or another sign of life.
    Progress {
        /// The attempt.
        fence: Fence,
        /// Whether it was the first token.
        first: bool,
        /// Whether a client has seen it, so that it cannot be taken back.
        shown: bool,
    },
    /// A miner has finished its answer.
    Done {
        /// The attempt.
        fence: Fence,
        /// Tokens it generated.
        tokens: u64,
    },
    /// An attempt failed.
    Fail {
        /// The attempt.
        fence: Fence,
        /// The party that is to blame.
        blame: Blame,
    },
    /// A client has seen pieces of the attempt, so that they cannot be taken back.
    Shown(Fence),
    /// The result of the comparison of a task's answers, for which [`Effect::Judge`](crate::Effect::Judge) asked.
    Verdict {
        /// The task.
        gid: Gid,
        /// Whether the answers agree.
        standing: Standing,
        /// For each attempt, whether its answer matches the one that is taken.
        agrees: Vec<(Fence, bool)>,
    },
    /// The reputation, from 0 to 1, that the store remembers of the miner with that identity.
    Reputation(Arc<str>, f64),
    /// The end of the task is durable.
    Committed(Gid),
    /// The store does not have the end of the task: it could not write the end, or found no row of the task.
    Unwritten(Gid),
    /// Time passed, so that a deadline may be due.
    Tick,
    /// The router closes: no task goes to a miner from now on. The engine forgets these tasks, which run again at the
    /// next start, and their miners are told to stop. They get no end. The router cancels all others.
    Close(Vec<Gid>),
}
