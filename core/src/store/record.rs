//! The records that a store takes and gives.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::config::KeyLimits;
use crate::model::{
    Fence, Gid, NodeKind, PageStart, Scope, Session, SessionId, Task, TaskId, TaskState, Timestamp, absent,
};

/// The result of accepting a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The task is new and durable.
    New,
    /// The key was used before for an equal request. These are the ids of the task that it made.
    Existing {
        /// The task's global id.
        gid: Gid,
        /// The task's session.
        session_id: SessionId,
        /// The task's id in its session.
        id: TaskId,
    },
}

/// Selects deliveries of webhooks.
#[derive(Debug, Clone)]
pub enum Deliveries {
    /// All that are not done.
    Pending,
    /// Those of these tasks.
    Of(Vec<Gid>),
}

/// Selects a page of a session's tasks.
#[derive(Debug, Clone, Default)]
pub struct TaskQuery {
    /// The session.
    pub session_id: SessionId,
    /// The filter: `Some(Ended)` selects tasks that have ended, any other state tasks that have not, `None` all.
    pub state: Option<TaskState>,
    /// Only tasks of this key.
    pub key_id: Option<String>,
    /// The greatest number of tasks on the page.
    pub limit: u64,
    /// The place at which the page begins.
    pub start: PageStart,
}

/// A page of tasks, oldest first.
#[derive(Debug, Clone, Default)]
pub struct TaskPage {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// Tasks of this page whose rows are damaged. The router shows nothing of them.
    pub corrupt: Vec<TaskId>,
    /// The number of tasks on all pages.
    pub total: u64,
}

/// The limits beyond which ended tasks may be deleted.
#[derive(Debug, Clone, Copy)]
pub struct Purge {
    /// Tasks that ended before this time may be deleted.
    pub ended_before: Timestamp,
    /// The bound in bytes for the requests and results of ended tasks; the oldest beyond it may be deleted. 0: no
    /// bound.
    pub max_bytes: u64,
    /// The greatest number of deletions in one call.
    pub limit: u64,
}

/// The content of a store when a router starts.
#[derive(Debug, Clone, Default)]
pub struct Recovery {
    /// The number of this start, from 1. The store makes it durable before it answers, so that fences never repeat.
    pub epoch: u64,
    /// All sessions that can be read.
    pub sessions: Vec<Session>,
    /// Sessions whose rows are damaged. The router shows nothing of them.
    pub corrupt_sessions: Vec<SessionId>,
    /// The greatest session id that was ever used.
    pub last_session: SessionId,
    /// The greatest task id that was ever used in each session that still exists.
    pub last_task_ids: Vec<(SessionId, TaskId)>,
    /// The greatest global id that was ever used.
    pub last_gid: Gid,
    /// Tasks that have not ended, oldest first, each with its band.
    pub unfinished: Vec<(Task, u8)>,
    /// The greatest fence that any stored task has.
    pub last_fence: Fence,
    /// The store's time, by which all routers that share it go; `None`: there is one router, with a clock of its own.
    pub now: Option<Timestamp>,
    /// Open tasks whose routers died too often for them to run again.
    pub quarantined: Vec<Task>,
}

/// A miner that the router remembers: one with an enrolled key, or one whose answers were compared with others'.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
pub struct MinerRecord {
    /// The miner's id: that of its key (`mk_...`), or else its name.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// The base64url of the miner's Ed25519 public key; empty: it has none.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "listener", schema(value_type = String))]
    pub public_key: Option<String>,
    /// The miner's kind at its last connection, `ephemeral` or `dedicated`; empty: it was never connected.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "listener", schema(value_type = String))]
    pub kind: Option<NodeKind>,
    /// The person or company that runs the miner.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "listener", schema(value_type = String))]
    pub owner: Option<String>,
    /// The only models that the miner may serve; empty: all models.
    pub models: Vec<String>,
    /// The share of the miner's answers that agree with those of others, from 0 (never) to 1 (always).
    pub reputation: f64,
    /// When the record was made, in Unix seconds.
    pub created_at: u64,
    /// When the miner was last connected, in Unix seconds; 0: never.
    #[serde(with = "absent::number")]
    #[cfg_attr(feature = "listener", schema(value_type = u64))]
    pub last_seen: Option<NonZeroU64>,
    /// Whether the miner is refused.
    pub revoked: bool,
}

impl Default for MinerRecord {
    fn default() -> Self {
        Self {
            id: String::new(),
            name: String::new(),
            public_key: None,
            kind: None,
            owner: None,
            models: Vec::new(),
            reputation: 1.0,
            created_at: 0,
            last_seen: None,
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
    pub scopes: Vec<Scope>,
    /// The only sessions that the key may use; empty: all sessions.
    #[cfg_attr(feature = "listener", schema(value_type = Vec<u64>))]
    pub sessions: Vec<SessionId>,
    /// When the key was made, in Unix seconds.
    pub created_at: u64,
    /// The time from which on the key is refused, in Unix seconds; 0: never.
    #[serde(with = "absent::number")]
    #[cfg_attr(feature = "listener", schema(value_type = u64))]
    pub expires_at: Option<NonZeroU64>,
    /// The only models that tasks of the key may use, or that a miner with the key may serve; empty: all models.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub models: Vec<String>,
    /// For a miner's key: the person or company that runs the miner.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "absent::text")]
    #[cfg_attr(feature = "listener", schema(value_type = String))]
    pub owner: Option<String>,
    /// The key's limits.
    #[serde(skip_serializing_if = "KeyLimits::is_none", default)]
    #[cfg_attr(feature = "listener", schema(required = false))]
    pub limits: KeyLimits,
}
