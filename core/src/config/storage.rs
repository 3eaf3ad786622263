//! Where tasks are kept, and how long.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The events that an acknowledged write survives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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

documented! {
/// Where tasks are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// The directory of the SQLite file. Without it tasks are kept in memory; `serve` uses the platform's data directory.
    pub data_dir: Option<PathBuf>,
    /// The events that an acknowledged task survives: `full` (power loss), `relaxed` (the end of the process) or
    /// `memory` (nothing). Default `full`.
    pub durability: Durability,
}
}

impl StorageConfig {
    /// The durability in force: without a data directory it is `memory`.
    pub fn effective_durability(&self) -> Durability {
        if self.data_dir.is_none() { Durability::Memory } else { self.durability }
    }
}

documented! {
/// How long ended tasks and closed sessions are kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Seconds that an ended task is kept. Default 604800 (7 days).
    pub max_age_secs: u64,
    /// Bytes of requests and results of ended tasks; beyond it the oldest are deleted. 0: no bound. Default 8 GiB.
    pub max_bytes: u64,
    /// The bound `max_bytes` of a router that keeps its tasks in memory. Default 64 MiB.
    pub max_memory_bytes: u64,
    /// Seconds that a closed session is kept after it was closed or last changed. It stays as long as one of its tasks
    /// is kept; then it is deleted, and a later request for it answers 404. Default 604800 (7 days).
    pub closed_session_secs: u64,
    /// Seconds between two rounds of deletion. Default 60.
    pub interval_secs: u64,
}
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            max_age_secs: 7 * 24 * 3_600,
            max_bytes: 8 << 30,
            max_memory_bytes: 64 << 20,
            closed_session_secs: 7 * 24 * 3_600,
            interval_secs: 60,
        }
    }
}
