//! The events that the engine takes, and the effects that it asks for.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use cortensor_router_model::{
    Fence, Gid, OnFailure, Outcome, SessionId, SessionMode, Standing, TaskId, TaskState, Timestamp,
};

/// The key of a miner while it is there. A miner that comes back gets a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinerKey(pub u32);

/// The properties of a session that the engine needs.
#[derive(Debug, Clone, Default)]
pub struct SessionRules {
    /// The band of its tasks.
    pub band: u8,
    /// Its share within a band, at least 1.
    pub weight: u32,
    /// Whether its tasks prefer the miner that served the last one.
    pub affinity: bool,
    /// Maximum number of tasks that it ever takes; `None`: no limit.
    pub max_tasks: Option<NonZeroU64>,
    /// Whether it takes tasks.
    pub open: bool,
    /// Which kinds of miners serve it.
    pub mode: SessionMode,
    /// The model of its tasks that name none. The engine also counts and reserves miners for the session by this
    /// model.
    pub model: Option<Arc<str>>,
    /// The fewest miners that must be able to serve it; 0: no demand.
    pub min_miners: u32,
    /// Maximum number of miners that work for it at a time; `None`: no limit.
    pub max_miners: Option<NonZeroU32>,
    /// How many ephemeral miners are kept for it alone; 0: none.
    pub reserve: u32,
    /// The time for which they are kept after its last task, in milliseconds.
    pub reserve_ms: u64,
    /// Its service class; 0: no demand.
    pub sla: u32,
}

impl SessionRules {
    /// Whether its tasks need lanes of their own, because not every free miner may have them.
    pub(super) fn restricted(&self) -> bool {
        self.min_miners > 0 || self.max_miners.is_some() || self.reserve > 0 || self.sla > 0
    }
}

/// The properties of a miner that the engine needs.
#[derive(Debug, Clone, Default)]
pub struct MinerRules {
    /// The identity of the miner, which stays the same when the miner comes back under another key.
    pub identity: Arc<str>,
    /// The models it serves; empty: any.
    pub models: Vec<Arc<str>>,
    /// The name under which it is asked for as a model while it lists none; empty: no such name.
    pub called: Arc<str>,
    /// Whether its first list of models, or the first sign that it is up, is still awaited. [`Event::Heard`] ends
    /// that.
    pub awaited: bool,
    /// The greatest number of tasks at a time.
    pub capacity: u32,
    /// Its share of the tasks among equal miners, at least 1.
    pub weight: u32,
    /// Whether it makes embeddings.
    pub embeddings: bool,
    /// The person or company that runs it; empty: the miner counts as its own owner.
    pub owner: Arc<str>,
    /// Whether it is dedicated to sessions rather than ephemeral.
    pub dedicated: bool,
    /// Whether it can continue a text that another miner began.
    pub continues: bool,
    /// Whether it accepts every offer without an answer to it, as callbacks and upstreams do.
    pub auto_accept: bool,
    /// Whether it gets a task only if no other miner could serve the task.
    pub last_resort: bool,
}

/// A task as the engine sees it.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Its session.
    pub session: SessionId,
    /// The model it wants; `None`: any.
    pub model: Option<Arc<str>>,
    /// Whether any other model will do if no miner has that one.
    pub any_model: bool,
    /// Whether it asks for an embedding.
    pub embedding: bool,
    /// The band; the session's where `None`.
    pub band: Option<u8>,
    /// Estimated tokens of the prompt.
    pub prompt_tokens: u64,
    /// The most tokens of the answer.
    pub max_tokens: u64,
    /// Bytes of the request, for the bound on the queue.
    pub bytes: u64,
    /// The time at which the engine gives the task up.
    pub deadline: Timestamp,
    /// Whether the caller reads tokens as they come. If not, the miner may give its answer in one piece and be silent
    /// until the deadline.
    pub streaming: bool,
    /// The number of distinct miners that answer, at least 1.
    pub required: u32,
    /// Whether their answers are compared; else the first whole answer is taken.
    pub judged: bool,
    /// Whether one more miner is asked if the answers do not agree.
    pub tie_break: bool,
    /// The time at which the answers that are in are compared, if there is one. A time after the deadline has no
    /// effect.
    pub precommit_by: Timestamp,
    /// The rule for a miner that is lost after a client has seen some of its stream.
    pub on_failure: OnFailure,
    /// Whether the task is the router's own: it counts for no session and is never written down.
    pub shadow: bool,
    /// Hashes of the prompt's leading blocks, longest prefix last.
    pub prefix: Arc<[u64]>,
    /// Whether a caller waits for it. Such a task fails soon if no miner that could serve it is up.
    pub attached: bool,
    /// Whether the deadline bounds only the time to the first token.
    pub open_ended: bool,
    /// Whether it waits for [`Event::Release`] before any miner gets it.
    pub held: bool,
}

/// A task that takes the answer of any miner and has no deadline.
impl Default for Demand {
    fn default() -> Self {
        Self {
            session: SessionId(0),
            model: None,
            any_model: false,
            embedding: false,
            band: None,
            prompt_tokens: 0,
            max_tokens: 0,
            bytes: 0,
            deadline: Timestamp(u64::MAX),
            streaming: false,
            required: 1,
            judged: false,
            tie_break: false,
            precommit_by: Timestamp(u64::MAX),
            on_failure: OnFailure::default(),
            shadow: false,
            attached: false,
            open_ended: false,
            prefix: Arc::from([]),
            held: false,
        }
    }
}

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
    /// A task was submitted. The first effect answers it: [`Effect::Admitted`] or [`Effect::Refused`].
    Submit(Box<Demand>),
    /// A task is back that the last process left unfinished. The engine never refuses it.
    Restore(Gid, TaskId, Box<Demand>),
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
    /// The result of the comparison of a task's answers, for which [`Effect::Judge`] asked.
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
}

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
    /// All answers are in. The router must compare them and report [`Event::Verdict`].
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
    /// The router must write the end of the task down and report [`Event::Committed`] or [`Event::Unwritten`].
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
