//! What the engine is told, and what it asks for.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use cortensor_router_model::{
    Fence, Gid, OnFailure, Outcome, SessionId, SessionMode, Standing, TaskId, TaskState, Timestamp,
};

/// A miner while it is there. A miner that comes back gets a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinerKey(pub u32);

/// What the engine needs to know of a session.
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
    /// The model of its tasks where they name none; what miners are counted and reserved by.
    pub model: Option<Arc<str>>,
    /// The fewest miners that must be able to serve it; 0: no demand.
    pub min_miners: u32,
    /// Maximum number of miners that work for it at a time; `None`: no limit.
    pub max_miners: Option<NonZeroU32>,
    /// How many ephemeral miners are kept for it alone; 0: none.
    pub reserve: u32,
    /// For how long after its last task they are kept, in milliseconds.
    pub reserve_ms: u64,
    /// Its service class; 0: the best effort.
    pub sla: u32,
}

impl SessionRules {
    /// Whether its tasks cannot stand in line with those of other sessions, because not every free miner may have them.
    pub(super) fn restricted(&self) -> bool {
        self.min_miners > 0 || self.max_miners.is_some() || self.reserve > 0 || self.sla > 0
    }
}

/// What the engine needs to know of a miner.
#[derive(Debug, Clone, Default)]
pub struct MinerRules {
    /// Who it is: it is the same miner when it comes back under another key.
    pub identity: Arc<str>,
    /// The models it serves; empty: any.
    pub models: Vec<Arc<str>>,
    /// The name under which it is asked for as a model while it lists none; empty: no such name.
    pub called: Arc<str>,
    /// Whether its first list of models, or the first sign that it is up, is still awaited. [`Event::Heard`] ends that.
    pub awaited: bool,
    /// Tasks at a time.
    pub capacity: u32,
    /// Its share among equals, at least 1.
    pub weight: u32,
    /// Whether it embeds.
    pub embeddings: bool,
    /// Who runs it; empty: itself.
    pub owner: Arc<str>,
    /// Whether it is dedicated to sessions rather than ephemeral.
    pub dedicated: bool,
    /// Whether it can go on from a text that another one began.
    pub continues: bool,
    /// Whether an offer is taken without a word (callbacks and upstreams).
    pub auto_accept: bool,
    /// Whether it is asked only where no other miner could serve the task.
    pub last_resort: bool,
}

/// A task as the engine sees it.
#[derive(Debug, Clone)]
pub struct Demand {
    /// Its session.
    pub session: SessionId,
    /// The model it wants; `None`: any.
    pub model: Option<Arc<str>>,
    /// Whether any other will do where nobody has that one.
    pub any_model: bool,
    /// Whether it wants vectors.
    pub embedding: bool,
    /// The band; the session's where `None`.
    pub band: Option<u8>,
    /// Estimated tokens of the prompt.
    pub prompt_tokens: u64,
    /// The most tokens of the answer.
    pub max_tokens: u64,
    /// Bytes of the request, for the bound on the queue.
    pub bytes: u64,
    /// When it is given up.
    pub deadline: Timestamp,
    /// Whether tokens are due as they come. A miner that gives its answer in one piece may be silent until the deadline.
    pub streaming: bool,
    /// How many distinct miners answer, at least 1.
    pub required: u32,
    /// Whether their answers are compared; else the first whole answer is taken.
    pub judged: bool,
    /// Whether one more miner is asked where the answers do not agree.
    pub tie_break: bool,
    /// When those answers are compared that are in, if one is; later than the deadline: never.
    pub precommit_by: Timestamp,
    /// What follows when the miner that streams is lost after clients have seen some of it.
    pub on_failure: OnFailure,
    /// The router's own: it counts for no session and is never written down.
    pub shadow: bool,
    /// Hashes of the prompt's leading blocks, longest prefix last.
    pub prefix: Arc<[u64]>,
    /// Whether a caller waits for it: then it fails soon where no miner that could serve it is up.
    pub attached: bool,
    /// Whether the deadline is that of the first token alone.
    pub open_ended: bool,
    /// Whether it waits for [`Event::Release`] before any miner gets it.
    pub held: bool,
}

/// One that wants any miner's answer, however long that takes.
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

/// Why an attempt failed, as far as the engine cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The miner's: counts towards its breaker; another one is tried.
    Miner,
    /// Nobody's: another one is tried.
    Nobody,
    /// The miner has too much to do: as nobody's, and the task waits a little.
    Overload,
    /// The request's: no other miner is tried.
    Request,
    /// Nobody's, but asking this miner again is in vain: each other one is asked once.
    Unfit,
    /// The miner's, and asking it again is in vain: counts towards its breaker, each other one is asked once.
    Barred,
}

impl Blame {
    /// Whether it counts against the miner.
    pub(super) fn is_the_miners(self) -> bool {
        matches!(self, Self::Miner | Self::Barred)
    }

    /// Whether the same miner would say the same again.
    pub(super) fn is_final_there(self) -> bool {
        matches!(self, Self::Unfit | Self::Barred)
    }
}

/// What happened. Time comes beside it.
#[derive(Debug, Clone)]
pub enum Event {
    /// A session is new or changed.
    Session(SessionId, SessionRules),
    /// A task was submitted. Answered by [`Effect::Admitted`] or [`Effect::Refused`], the first effect.
    Submit(Box<Demand>),
    /// A task that a crash left unfinished is back. Never refused.
    Restore(Gid, TaskId, Box<Demand>),
    /// A held task may go to a miner.
    Release(Gid),
    /// A held task is not to be: nobody has seen it, and nobody will.
    Forget {
        /// The task.
        gid: Gid,
        /// Its number in its session, to be given again, where it is known that the store has no trace of it either.
        give_back: Option<TaskId>,
    },
    /// A task is wanted no more.
    Cancel(Gid),
    /// No caller waits for a task any more, and it goes on.
    Detach(Gid),
    /// A miner is there.
    MinerUp(MinerKey, MinerRules),
    /// How many tasks a miner may have from now on.
    Credits(MinerKey, u32),
    /// A miner's models changed.
    Models(MinerKey, Vec<Arc<str>>),
    /// The first word of a miner has come: its models and credits are what they are.
    Heard(MinerKey),
    /// A miner takes no new tasks.
    Drain(MinerKey),
    /// A miner is gone; what it had is lost.
    MinerGone(MinerKey),
    /// A miner took an offer.
    Accept(Fence),
    /// A miner declined an offer.
    Reject(Fence),
    /// A miner gave something; `first` when it was the first token.
    Progress {
        /// The attempt.
        fence: Fence,
        /// Whether it was the first token.
        first: bool,
        /// Whether a client has seen it, so that it cannot be taken back.
        shown: bool,
    },
    /// A miner is done.
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
        /// Who is to blame.
        blame: Blame,
    },
    /// A client has seen what the attempt gave, so that it cannot be taken back.
    Shown(Fence),
    /// How the answers of a task compare, as [`Effect::Judge`] asked.
    Verdict {
        /// The task.
        gid: Gid,
        /// How they stand to each other.
        standing: Standing,
        /// Which attempts' answers match the one that is taken.
        agrees: Vec<(Fence, bool)>,
    },
    /// What is known of the miner of that identity from former times.
    Reputation(Arc<str>, f64),
    /// The end of the task is durable.
    Committed(Gid),
    /// The store does not have the end of the task: it could not be written, or met no row.
    Unwritten(Gid),
    /// Time passed.
    Tick,
}

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
