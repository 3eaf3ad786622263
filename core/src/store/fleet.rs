//! The calls of routers that share a store, beside those that each router has: who is there, what the others changed,
//! and the tasks of those that are gone.
//!
//! A member is one start of a router. Its number is its epoch. It owns the tasks that it accepted or claimed, and only
//! the owner of a task can end it: the store takes the end of a task from nobody else.

use std::fmt;
use std::sync::Arc;

use super::{Act, ApiKey, MinerRecord, Pending};
pub use crate::model::MemberState;
use crate::model::{Gid, Session, SessionId, Task, TaskId, Timestamp, WebhookDelivery};

/// How often a task may be taken over from a router that died. Another time, it is not run again.
pub const MOST_MOVES: u32 = 3;

/// The number of low bits of a task's number that count within one epoch.
pub(crate) const GID_BITS: u32 = 33;

/// A router that uses the store at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The number of its start.
    pub epoch: u64,
    /// Its name, which no other member has.
    pub name: String,
    /// Its state.
    pub state: MemberState,
    /// The version of its program.
    pub version: String,
    /// The time of its start.
    pub started_at: Timestamp,
    /// The milliseconds for which its lease still holds; less than 0: it has run out.
    pub lease_left_ms: i64,
    /// The way to connect to it; `None`: it has no links.
    pub reach: Option<Reach>,
}

/// The way to connect to a router of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// `HOST:PORT`; empty: others cannot dial it.
    pub address: String,
    /// The SHA-256 hash of the certificate that it shows on a link.
    pub certificate: [u8; 32],
}

/// The news that a member learns with each beat.
#[derive(Debug, Clone, Default)]
pub struct Beat {
    /// The store's time.
    pub now: Timestamp,
    /// The member's own epoch. It changes if the member was declared gone and joined again.
    pub epoch: u64,
    /// All members, this one too, by their epochs.
    pub members: Vec<Member>,
    /// The members that this beat declared gone.
    pub swept: Vec<String>,
    /// Whether the member has taken the place of another start of its name that had not left. One beat tells it.
    pub replaced: bool,
    /// Whether there are open tasks that no member owns, and that may be claimed.
    pub orphans: bool,
    /// Whether there are deliveries of webhooks that no member sends, and that may be claimed.
    pub unsent: bool,
    /// Whether ids that the member was given are others' now, because it was taken for gone for long.
    pub lost_ids: bool,
    /// Whether the member has reached the store by another way since the beat before. It may be another server now, which
    /// lacks the last commits.
    pub anew: bool,
    /// Open tasks of this member that somebody asked to cancel.
    pub cancels: Vec<Gid>,
    /// The changes since the beat before.
    pub changes: Changes,
    /// For each session the tasks of other members: those that it ever had, and those that have not ended. `None` unless
    /// they were asked for.
    pub counts: Option<Vec<(SessionId, u64, u64)>>,
}

/// Records that changed, by whomever.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Whether these are all records that there are, and not only those that changed.
    pub whole: bool,
    /// New and changed sessions.
    pub sessions: Vec<Session>,
    /// New and changed keys.
    pub keys: Vec<ApiKey>,
    /// New and changed records of miners.
    pub miners: Vec<MinerRecord>,
    /// Sessions that were deleted.
    pub gone_sessions: Vec<SessionId>,
    /// Keys that were deleted.
    pub gone_keys: Vec<String>,
    /// Miners whose records were deleted.
    pub gone_miners: Vec<String>,
    /// Tasks that somebody deleted. The list is never whole.
    pub gone_tasks: Vec<Gid>,
    /// Whether managed upstreams came, changed or went. They are few, and are read as a whole.
    pub upstreams: bool,
}

/// Ids that a session needs.
#[derive(Debug, Clone, Copy)]
pub struct IdsWish {
    /// The session.
    pub session: SessionId,
    /// The id of its first task.
    pub first: TaskId,
    /// The number of ids.
    pub count: u64,
    /// The greatest number of tasks that the session may ever have.
    pub most: Option<u64>,
}

/// Ids of one session that no other member gets, from `first` up to but not including `end`. Equal: the session may have
/// no further task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdBlock {
    /// The first id.
    pub first: TaskId,
    /// The id after the last one.
    pub end: TaskId,
}

impl IdBlock {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.end <= self.first
    }
}

/// A wish for tasks that no member owns.
#[derive(Debug, Clone, Default)]
pub struct ClaimWish {
    /// The greatest number of tasks.
    pub limit: u64,
    /// Only tasks whose deadline is over.
    pub only_expired: bool,
    /// Tasks that are not wanted.
    pub except: Vec<Gid>,
    /// If it is not empty: these tasks alone.
    pub among: Vec<Gid>,
    /// Whether the tasks of a member that is gone may be claimed at once, and not after two seconds only, because this
    /// member has the work on them so far.
    pub at_once: bool,
}

/// Tasks that a member has taken over.
#[derive(Debug, Clone, Default)]
pub struct Claimed {
    /// The tasks with their bands, oldest first.
    pub tasks: Vec<(Task, u8)>,
    /// Tasks that have been taken over too often to run again. They are the member's, too.
    pub quarantined: Vec<Task>,
    /// The number of this takeover among all starts and takeovers: the numbers of pieces of these tasks begin with it.
    pub run: u64,
}

/// Where a task is.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The task. It has not ended, or this is its end.
    pub task: Task,
    /// The epoch of its owner; 0: nobody owns it.
    pub owner: u64,
    /// Whether this member owns it.
    pub is_own: bool,
}

/// The name by which a session is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionName {
    /// Its number.
    Id(SessionId),
    /// Its hash.
    Sid(String),
}

/// The calls of a member.
///
/// A member joins with [`Store::recover`](super::Store::recover), which also gives it the tasks that nobody owns if it
/// is alone, and leaves with [`Store::close`](super::Store::close), which releases what it still owns.
pub trait Fleet: Send + Sync + fmt::Debug {
    /// Renews the member's lease, and tells what is new. A member that was declared gone joins again: it gets another
    /// epoch, and with it those of its open tasks that nobody has claimed meanwhile.
    fn beat(&self, counts: bool) -> Pending<Beat>;

    /// Gives ids to a session.
    fn ids(&self, wish: IdsWish) -> Pending<IdBlock>;

    /// Gives the number of a new session.
    fn session_id(&self) -> Pending<SessionId>;

    /// Reads tasks that [`claim`](Self::claim) would take over, the oldest first.
    fn orphans(&self, wish: ClaimWish) -> Pending<Vec<Task>>;

    /// Tells which of these tasks the store has, and whether each of them has an end.
    fn known(&self, gids: Vec<Gid>) -> Pending<Vec<(Gid, bool)>>;

    /// Writes an end again that the store had taken from this member and has lost. The task may have become another's
    /// since, who then no longer ends it. `false`: it has an end, or is not there.
    fn end_again(&self, end: Arc<Task>) -> Pending<bool>;

    /// Ends an open task that nobody owns, or whose owner was declared gone, as the member that takes it over would. This
    /// member becomes its owner. `false`: it has an end, is not there, or is a living member's.
    fn end_orphan(&self, end: Arc<Task>) -> Pending<bool>;

    /// Notes that a member with that number is there. A member that joins again gets a greater one, even if the store has
    /// lost the row of the other.
    fn heard(&self, epoch: u64);

    /// Takes over open tasks that nobody owns, the oldest first.
    fn claim(&self, wish: ClaimWish) -> Pending<Claimed>;

    /// Gives up open tasks of this member, so that others may claim them. Gives those that were given up.
    fn release(&self, gids: Vec<Gid>) -> Pending<Vec<Gid>>;

    /// Takes over deliveries of webhooks that are not done and that no member sends. Only the member that has a delivery
    /// notes what became of it: the one that ended its task, or that claimed it.
    fn claim_deliveries(&self, limit: u64) -> Pending<Vec<(Gid, WebhookDelivery)>>;

    /// Tells the others how to connect to this member.
    fn reach(&self, reach: Reach) -> Pending<()>;

    /// Tells the others that this member takes no new work.
    fn retire(&self) -> Pending<()>;

    /// Asks the owner of a task to cancel it, whoever that is or will be.
    fn ask_cancel(&self, gid: Gid) -> Pending<()>;

    /// Reads a task and its owner.
    fn place(&self, gid: Gid) -> Pending<Option<Placed>>;

    /// Reads a session, and the number of its version.
    fn session(&self, name: SessionName) -> Pending<Option<(Session, u64)>>;

    /// Writes a session whose row still has that version; the audit log records the act, if there is one. `false`: the
    /// row has another version, or there is none.
    fn change_session(&self, session: Session, version: u64, act: Option<Act>) -> Pending<bool>;

    /// Reads a key.
    fn key(&self, id: String) -> Pending<Option<ApiKey>>;

    /// Writes the record of a miner whose reputation was `before` when this member changed it. A move of the reputation,
    /// and a revocation, that another member wrote meanwhile stays.
    fn merge_miner(&self, miner: MinerRecord, before: f64) -> Pending<()>;
}
