//! The records that go into a store and come out of it.

use serde::{Deserialize, Serialize};

pub use crate::config::Durability;
use crate::model::{Fence, Gid, PageStart, Session, SessionId, Task, TaskId, TaskState, Timestamp};

/// The answer of a store to a new task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The task is new and durable.
    New,
    /// The key was used before for the same request: that task is meant.
    Existing {
        /// Its global id.
        gid: Gid,
        /// Its session.
        session_id: SessionId,
        /// Its id in the session.
        id: TaskId,
    },
}

/// The query for a page of tasks.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskQuery {
    /// The session.
    pub session_id: SessionId,
    /// `Some(Ended)`: only tasks that ended; any other state: only tasks that have not ended.
    pub state: Option<TaskState>,
    /// The greatest number of tasks on the page.
    pub limit: u64,
    /// The place of the page.
    pub start: PageStart,
}

/// A page of tasks, oldest first.
#[derive(Debug, Clone, Default)]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// Tasks of this page whose rows are damaged; nothing of them is shown.
    pub corrupt: Vec<TaskId>,
    /// The number of tasks on all pages.
    pub total: u64,
}

/// The limits beyond which ended tasks may be deleted.
#[derive(Debug, Clone, Copy)]
pub struct Purge {
    /// Tasks that ended before this time may be deleted.
    pub ended_before: Timestamp,
    /// Beyond so many bytes of requests and results the oldest ended tasks may be deleted; 0: no such bound.
    pub max_bytes: u64,
    /// The greatest number of deletions in one call.
    pub limit: u64,
}

/// The content of a store at the start of a router.
#[derive(Debug, Clone, Default)]
pub struct Recovery {
    /// The number of this start, from 1. It is durable before it is answered, so that fences never repeat.
    pub epoch: u64,
    /// All sessions that can be read.
    pub sessions: Vec<Session>,
    /// Sessions whose rows are damaged; nothing of them is shown.
    pub corrupt_sessions: Vec<SessionId>,
    /// The greatest id of any session that is or ever was there.
    pub last_session: SessionId,
    /// The greatest task id of every session that has tasks or ever had, and was not deleted.
    pub last_task_ids: Vec<(SessionId, TaskId)>,
    /// The greatest global id ever given out.
    pub last_gid: Gid,
    /// Tasks that have not ended, oldest first.
    pub unfinished: Vec<(Task, u8)>,
    /// The newest fence of any task.
    pub last_fence: Fence,
}

/// A miner that the router remembers: one with an enrolled key, or one whose answers were compared with others'.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
pub struct MinerRecord {
    /// The id: that of its key (`mk_...`), or else its name.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// Base64url of its Ed25519 public key; empty: it has none.
    pub public_key: String,
    /// The kind, `ephemeral` or `dedicated`, as the miner said when it was last connected; empty: it never was.
    pub kind: String,
    /// The person or company that runs it.
    pub owner: String,
    /// The only models that it may serve; empty: all.
    pub models: Vec<String>,
    /// The share of its answers that agree with others': 1 always, 0 never.
    pub reputation: f64,
    /// When the record was made, in Unix seconds.
    pub created_at: u64,
    /// When the miner was last connected, in Unix seconds; 0: never.
    pub last_seen: u64,
    /// Whether the miner is refused.
    pub revoked: bool,
}

impl Default for MinerRecord {
    fn default() -> Self {
        Self {
            id: String::new(),
            name: String::new(),
            public_key: String::new(),
            kind: String::new(),
            owner: String::new(),
            models: Vec::new(),
            reputation: 1.0,
            created_at: 0,
            last_seen: 0,
            revoked: false,
        }
    }
}

/// A token's record. The secret is never kept, only its hash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
pub struct ApiKey {
    /// The public part of the token: `ctr_<id>_<secret>`.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// SHA-256 of the secret, hexadecimal.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub hash: String,
    /// The scopes: `submit`, `read`, `admin`, `miner`, `enrol`.
    pub scopes: Vec<String>,
    /// The only sessions it may use; empty: all.
    pub sessions: Vec<u64>,
    /// When the key was made, in Unix seconds.
    pub created_at: u64,
    /// Unix seconds after which it is refused; 0: never.
    pub expires_at: u64,
    /// For a miner's key: the only models that it may serve; empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub models: Vec<String>,
    /// For a miner's key: the person or company that runs the miner.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub owner: String,
}
