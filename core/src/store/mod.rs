//! Where sessions, tasks and keys are kept: one trait, several stores, one conformance suite.
//!
//! A store is a journal with group commit. The router keeps the queue in memory and rebuilds it from
//! [`Store::recover`] at start. An answer of the store means that the row is as durable as the store's
//! [`Durability`] says; until then the router shows nothing of it to anyone.

#[cfg(test)]
mod conformance;
mod end;
mod memory;
mod pending;
mod record;
mod refusal;
#[cfg(test)]
mod samples;
pub mod sqlite;
mod wanted;
mod weight;

pub use crate::task::{Idempotency, Judged, Retention, TaskSpec};
pub use memory::MemoryStore;
pub use pending::{Pending, Resolver};
pub use record::{Accepted, ApiKey, Durability, MinerRecord, Purge, Recovery, TaskPage, TaskQuery};
pub use sqlite::{Holder, Integrity, SqliteOptions, SqliteStore, check_integrity, holder};

pub(crate) use refusal::damaged_session;
use refusal::{closed, damaged_thing, id_in_use, key_mismatch};
use wanted::Wanted;
pub(crate) use weight::request_weight;

use std::sync::Arc;

use crate::model::{Gid, Session, SessionId, Task, TaskId};

/// Keeps sessions, tasks and keys. Calls never block: each gives a [`Pending`] answer.
///
/// Rules that the conformance suite holds every store to:
/// * `accept` answers after the row is durable; the same idempotency key never makes two tasks.
/// * `finish` on a task that has ended changes nothing and answers `false`.
/// * Calls take effect in the order in which they were made by one thread.
/// * After an error of the medium the store refuses writes (never acknowledges one that may be lost)
///   until the medium works again.
pub trait Store: Send + Sync + 'static {
    /// The store's name: `sqlite`, `memory` and so on.
    fn name(&self) -> &'static str;

    /// The durability of an acknowledged write.
    fn durability(&self) -> Durability;

    /// Starts a new epoch and gives everything that the last one left.
    fn recover(&self) -> Pending<Recovery>;

    /// Writes a session, new or changed.
    fn put_session(&self, session: Session) -> Pending<()>;

    /// Deletes a session that has no task left. `false`: it still has one. A session that is not there is gone
    /// already: `true`.
    fn delete_session(&self, id: SessionId) -> Pending<bool>;

    /// Writes a new task with its idempotency key, in one transaction.
    ///
    /// # Errors
    /// `IdempotencyMismatch` when the key was used for another request.
    fn accept(&self, task: Arc<TaskSpec>) -> Pending<Accepted>;

    /// The task that was accepted under that key, if there is one.
    ///
    /// # Errors
    /// `IdempotencyMismatch` when the key was used for another request.
    fn find(&self, key: Idempotency) -> Pending<Option<Accepted>>;

    /// Writes the end of a task, once. `false`: the task had ended already, or does not exist (never accepted, or
    /// purged).
    fn finish(&self, task: Arc<Task>) -> Pending<bool>;

    /// One task.
    fn task(&self, session: SessionId, id: TaskId) -> Pending<Option<Task>>;

    /// One task by its global id.
    fn task_by_gid(&self, gid: Gid) -> Pending<Option<Task>>;

    /// A page of a session's tasks, oldest first.
    fn tasks(&self, query: TaskQuery) -> Pending<TaskPage>;

    /// Deletes ended tasks that are over age or over the byte budget, oldest first, a bounded number in one call.
    /// Gives how many it deleted.
    fn purge(&self, purge: Purge) -> Pending<u64>;

    /// Writes an API key (its hash), new or changed.
    fn put_key(&self, key: ApiKey) -> Pending<()>;

    /// All API keys.
    fn keys(&self) -> Pending<Vec<ApiKey>>;

    /// Deletes an API key. `false`: there was none.
    fn delete_key(&self, id: String) -> Pending<bool>;

    /// Writes the record of a miner, new or changed.
    fn put_miner(&self, miner: MinerRecord) -> Pending<()>;

    /// All miners that are remembered, by id.
    fn miners(&self) -> Pending<Vec<MinerRecord>>;

    /// Deletes the record of a miner. `false`: there was none.
    fn delete_miner(&self, id: String) -> Pending<bool>;

    /// Tells other processes, where the store can, at which URL this one listens.
    ///
    /// # Errors
    /// If it cannot be written. A store that no other process can see does nothing.
    fn announce(&self, url: &str) -> crate::Result<()> {
        let _ = url;
        Ok(())
    }

    /// Whether the store takes writes now, as far as it knows without trying one.
    ///
    /// # Errors
    /// Why it refuses them.
    fn check(&self) -> crate::Result<()> {
        Ok(())
    }

    /// Writes everything that is outstanding and closes. Later calls answer `Closed`.
    fn close(&self) -> Pending<()>;
}
