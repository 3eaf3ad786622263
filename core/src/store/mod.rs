//! Keeps sessions, tasks and keys: one trait, several stores, and one conformance suite for all of them.
//!
//! A store is a journal with group commit. The router keeps the queue in memory and rebuilds it from [`Store::recover`]
//! at its start. Once a store answers, the row is as durable as the store's [`Durability`] says. Until then the router
//! shows the row to no client.

mod audit;
mod columns;
#[cfg(test)]
mod conformance;
mod copy;
mod end;
mod figures;
mod fleet;
mod front;
mod managed;
mod memory;
mod op;
mod pending;
#[cfg(feature = "postgres")]
mod postgres;
mod queue;
mod record;
mod refusal;
#[cfg(test)]
mod row_tests;
#[cfg(test)]
mod samples;
pub mod sqlite;
mod usage;
mod want;
mod wanted;
mod weight;

pub use crate::model::{ActKind, Durability, Retention, StoreKind, UsageBy};
pub use crate::task::{Idempotency, Judged, TaskSpec, TraceContext};
pub(crate) use audit::HOST;
pub use audit::{Act, AuditEntry, AuditPage, AuditQuery, COMMAND};
pub use copy::{
    CopiedRows, CopyCounters, CopyKind, CopyOptions, CopyPlace, CopyProgress, CopyReport, SkippedRow, copy,
};
pub use figures::{Commits, StoreFigures};
pub(crate) use fleet::GID_BITS;
pub use fleet::{
    Beat, Changes, ClaimWish, Claimed, Fleet, IdBlock, IdsWish, MOST_MOVES, Member, MemberState, Placed, Reach,
    SessionName,
};
pub use managed::UpstreamRecord;
pub use memory::{MemberStore, MemoryStore, SharedMemory, StoreFault};
pub use pending::{Pending, Resolver};
#[cfg(feature = "postgres")]
pub(crate) use postgres::way_to;
#[cfg(feature = "postgres")]
pub use postgres::{DatabaseReport, PostgresOptions, PostgresStore, survey};
pub use record::{Accepted, ApiKey, Deliveries, MinerRecord, Purge, Recovery, TaskPage, TaskQuery};
pub use sqlite::{Holder, Integrity, SqliteOptions, SqliteStore, check_integrity, holder};

pub use usage::{OTHER, UsageCounts, UsageGroup, UsagePage, UsageQuery, UsageRow};

pub(crate) use refusal::damaged_session;
use refusal::{check_times, closed, damaged_thing, id_in_use, key_mismatch};
use wanted::Wanted;
pub(crate) use weight::{request_weight, traffic};

use std::sync::Arc;

use crate::model::{Day, Gid, Session, SessionId, Task, TaskId, Timestamp, WebhookDelivery};

/// Keeps sessions, tasks and keys. A call never blocks: each returns a [`Pending`] answer.
///
/// The conformance suite checks these rules on every store:
/// * `accept` answers after the row is durable; one idempotency key never makes two tasks.
/// * `finish` on a task that has ended changes nothing and answers `false`.
/// * Usage is the sum over the tasks whose `finish` answered `true`, after any crash.
/// * A write that comes with an [`Act`] is done together with the entry of the audit log, or not at all.
/// * Calls of one thread take effect in the order in which it made them.
/// * After an error of the medium the store refuses writes until the medium works again. It never acknowledges a write
///   that may be lost.
pub trait Store: Send + Sync + 'static {
    /// The place where the store keeps them.
    fn kind(&self) -> StoreKind;

    /// The durability of an acknowledged write.
    fn durability(&self) -> Durability;

    /// Starts a new epoch and gives everything that the last one left.
    fn recover(&self) -> Pending<Recovery>;

    /// Writes a session, new or changed; the audit log records the act, if there is one.
    fn put_session(&self, session: Session, act: Option<Act>) -> Pending<()>;

    /// Deletes a session that has no tasks. Gives `false` if the session still has tasks, and `true` if it does not
    /// exist.
    fn delete_session(&self, id: SessionId) -> Pending<bool>;

    /// Writes a new task with its idempotency key, in one transaction.
    ///
    /// # Errors
    /// `IdempotencyMismatch` when the key was used for another request.
    fn accept(&self, task: Arc<TaskSpec>) -> Pending<Accepted>;

    /// Finds the task that was accepted under that key.
    ///
    /// # Errors
    /// `IdempotencyMismatch` when the key was used for another request.
    fn find(&self, key: Idempotency) -> Pending<Option<Accepted>>;

    /// Writes the end of a task, once, and counts the task's usage in the same transaction. Gives `false` if the task
    /// had ended already or does not exist (never accepted, or purged).
    ///
    /// # Errors
    /// `InvalidArgument` names the time of the task that is missing or 0.
    fn finish(&self, task: Arc<Task>) -> Pending<bool>;

    /// Writes a task that was never accepted together with its end. A store in a file does both in one transaction. If
    /// the store has the task already, only the end is written. Gives `false` if the task had ended already.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish).
    fn record(&self, task: Arc<TaskSpec>, end: Arc<Task>) -> Pending<bool> {
        if let Err(refused) = check_times(&end) {
            return Pending::ready(Err(refused));
        }
        drop(self.accept(task));
        self.finish(end)
    }

    /// Reads one task.
    fn task(&self, session: SessionId, id: TaskId) -> Pending<Option<Task>>;

    /// Reads one task by its global id.
    fn task_by_gid(&self, gid: Gid) -> Pending<Option<Task>>;

    /// Reads the ids of all tasks that have not ended, in their order.
    fn unfinished(&self) -> Pending<Vec<Gid>>;

    /// Reads a page of a session's tasks, oldest first.
    fn tasks(&self, query: TaskQuery) -> Pending<TaskPage>;

    /// Deletes ended tasks that are beyond the age or the byte budget, oldest first, up to `limit` in one call. Gives
    /// the number of deleted tasks.
    fn purge(&self, purge: Purge) -> Pending<u64>;

    /// Deletes a task that has ended. Gives `false` if the task has not ended or does not exist. Its idempotency key is
    /// free again, its ids are not, and its usage stays counted.
    fn delete_task(&self, gid: Gid) -> Pending<bool>;

    /// Reads usage: the counts of ended tasks. A task that is deleted stays counted.
    fn usage(&self, query: UsageQuery) -> Pending<UsagePage>;

    /// Deletes the usage of days before that one. Gives the number of deleted rows.
    fn forget_usage(&self, before: Day) -> Pending<u64>;

    /// Writes an API key (only its hash), new or changed; the audit log records the act, if there is one.
    fn put_key(&self, key: ApiKey, act: Option<Act>) -> Pending<()>;

    /// Reads all API keys.
    fn keys(&self) -> Pending<Vec<ApiKey>>;

    /// Deletes an API key; the audit log records the act, if there is one. Gives `false`, and records nothing, if there
    /// was no such key.
    fn delete_key(&self, id: String, act: Option<Act>) -> Pending<bool>;

    /// Writes the record of a miner, new or changed; the audit log records the act, if there is one.
    fn put_miner(&self, miner: MinerRecord, act: Option<Act>) -> Pending<()>;

    /// Reads the records of all miners, by id.
    fn miners(&self) -> Pending<Vec<MinerRecord>>;

    /// Deletes the record of a miner; the audit log records the act, if there is one. Gives `false`, and records
    /// nothing, if there was no such record.
    fn delete_miner(&self, id: String, act: Option<Act>) -> Pending<bool>;

    /// Writes a managed upstream, new or changed; the audit log records the act, if there is one.
    fn put_upstream(&self, upstream: UpstreamRecord, act: Option<Act>) -> Pending<()>;

    /// Reads all managed upstreams, by name.
    fn upstreams(&self) -> Pending<Vec<UpstreamRecord>>;

    /// Deletes a managed upstream; the audit log records the act, if there is one. Gives `false`, and records nothing,
    /// if there was none of that name.
    fn delete_upstream(&self, name: String, act: Option<Act>) -> Pending<bool>;

    /// Reads the deliveries of webhooks that are not done, of several routers those that this one has; or those of these
    /// tasks. [`finish`](Self::finish) writes the delivery of a task that has one, and its deletion deletes it.
    fn deliveries(&self, of: Deliveries) -> Pending<Vec<(Gid, WebhookDelivery)>>;

    /// Writes what became of a delivery. Gives `false` if the task has none any more, or another router has it.
    fn put_delivery(&self, gid: Gid, delivery: WebhookDelivery) -> Pending<bool>;

    /// Records an act in the audit log that changes nothing else in the store.
    fn note(&self, act: Act) -> Pending<()>;

    /// Reads a page of the audit log.
    fn audit(&self, query: AuditQuery) -> Pending<AuditPage>;

    /// Deletes the entries of the audit log before the first one that is not older than that. Gives their number.
    fn forget_audit(&self, before: Timestamp) -> Pending<u64>;

    /// Tells other processes the URL at which this one listens, if the store can.
    ///
    /// # Errors
    /// When the URL cannot be written. A store that other processes cannot see ignores the call.
    fn announce(&self, url: &str) -> crate::Result<()> {
        let _ = url;
        Ok(())
    }

    /// The calls of a router that shares the store with others; `None`: nobody can share it.
    fn fleet(&self) -> Option<&dyn Fleet> {
        None
    }

    /// The figures of a store that writes in batches; `None`: it writes each thing at once.
    fn figures(&self) -> Option<StoreFigures> {
        None
    }

    /// Whether the store accepts writes now, as far as it knows without trying one.
    ///
    /// # Errors
    /// The reason why it refuses them.
    fn check(&self) -> crate::Result<()> {
        Ok(())
    }

    /// Writes everything that is outstanding and closes the store. Later calls fail with `Closed`.
    fn close(&self) -> Pending<()>;
}
