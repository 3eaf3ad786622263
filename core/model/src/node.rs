//! The router itself.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

use crate::absent;
use crate::fleet::FleetStatus;
use crate::word::words;

/// The events that an acknowledged write survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Durability {
    /// Survives power loss (`SQLite`: WAL with `synchronous=FULL`).
    #[default]
    Full,
    /// Survives the end of the process by any cause, but not power loss (`synchronous=NORMAL`).
    Relaxed,
    /// Survives nothing: the tasks are gone with the process.
    Memory,
}

impl Durability {
    /// The word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Relaxed => "relaxed",
            Self::Memory => "memory",
        }
    }
}

words! {
    /// Whether the router takes tasks.
    #[derive(Default)]
    NodeState in "status" {
        /// It takes tasks.
        #[default]
        Ok = "ok",
        /// It is closing: it takes none, and running ones finish.
        Draining = "draining",
        /// Its store refuses to write, so that it takes none.
        StoreUnavailable = "store_unavailable",
    }

    /// Where the router keeps its tasks.
    #[derive(Default)]
    StoreKind in "store" {
        /// In a file of SQLite.
        Sqlite = "sqlite",
        /// In a PostgreSQL database.
        Postgres = "postgres",
        /// In its memory.
        #[default]
        Memory = "memory",
    }
}

crate::record! {
/// How many miners of each sort there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NodeStats {
    /// Dedicated miners.
    pub dedicated_count: u64,
    /// Miners that come and go.
    pub ephemeral_count: u64,
    /// Both.
    pub total_count: u64,
}
}

crate::record! {
/// The name of the router, its counts and its offers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NodeInfo {
    /// Sessions that take tasks.
    pub active_sessions: u64,
    /// The address that stands for the router.
    pub address: String,
    /// The address under which it is reached from outside, as configured.
    pub ip_address: String,
    /// Its configured name.
    pub name: String,
    /// Its miners.
    pub node_stats: NodeStats,
    /// All sessions.
    pub total_sessions: u64,
    /// The version of the product.
    pub version: String,
    /// Models that can be asked for.
    pub models: Vec<String>,
    /// The abilities of the router: `completions`, `chat`, `embeddings`, `streaming` ...
    pub capabilities: Vec<String>,
    /// The greatest context of its miners; 0 where none says.
    #[serde(with = "absent::number")]
    #[cfg_attr(feature = "schema", schema(value_type = u64))]
    pub max_context_tokens: Option<NonZeroU64>,
}
}

crate::record! {
/// How the router is doing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct NodeStatus {
    /// `ok`, `draining`, or `store_unavailable` while the store refuses to write.
    pub status: NodeState,
    /// Sessions that take tasks.
    pub active_sessions: u64,
    /// Miners that are there.
    pub connected_miners: u64,
    /// Alias of `connected_miners`, for clients that read `miner_count`.
    pub miner_count: u64,
    /// Miners that get work.
    pub active_miners: u64,
    /// Per cent of the machine's processors that this process uses; 0 without the listener.
    pub cpu_usage: f64,
    /// Resident memory of this process in MiB; 0 without the listener.
    pub memory_usage: f64,
    /// Seconds since the router was opened.
    pub uptime: u64,
    /// The version of the product.
    pub version: String,
    /// Tasks that wait for a miner.
    pub queued_tasks: u64,
    /// Tasks that a miner works on.
    pub running_tasks: u64,
    /// `full`, `relaxed` or `memory`.
    pub durability: Durability,
    /// `sqlite`, `postgres` or `memory`.
    pub store: StoreKind,
    /// The routers that share the database.
    pub fleet: FleetStatus,
    /// Always 0: there is no chain.
    pub block_height: u64,
}
}
