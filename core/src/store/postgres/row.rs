//! Makes records of rows.

use std::num::NonZeroU64;

use serde::de::DeserializeOwned;
use tokio_postgres::Row;

use super::sql::TASK_COLUMNS;
use crate::model::{Gid, SessionId, Task, TaskId, Timestamp, WebhookDelivery, absent};
use crate::store::columns::{self, Damage, parse};
use crate::store::{Act, AuditEntry, MOST_MOVES, MinerRecord, damaged_thing};
use crate::{Error, Result};

/// The reason why a row cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("column {0}: {1}")]
pub(super) struct RowError(&'static str, String);

impl From<Damage> for RowError {
    fn from(Damage(column, why): Damage) -> Self {
        Self(column, why)
    }
}

impl RowError {
    /// The error of a read that was for that task, or for many.
    pub(super) fn told(&self, ids: Option<(SessionId, TaskId)>) -> Error {
        let of = ids.map_or_else(String::new, |(session, id)| format!(" of task {id} in session {session}"));
        let error = damaged_thing(&of, self);
        match ids {
            Some((session, id)) => error.with_ids(session, Some(id)),
            None => error,
        }
    }
}

/// Reads an unsigned integer.
pub(super) fn uint(row: &Row, column: usize) -> u64 {
    row.get::<_, i64>(column).cast_unsigned()
}

/// Reads the second column as JSON: a session or a key.
pub(super) fn body<T: DeserializeOwned>(row: &Row) -> Result<T, RowError> {
    Ok(parse("body", row.get::<_, &str>(1).as_bytes())?)
}

/// Reads a row of [`TASK`](super::sql::TASK) into a task and its band.
pub(super) fn task(row: &Row) -> Result<(Task, u8), RowError> {
    let int = |column: usize| row.get::<_, i64>(column);
    let text = |column: usize| row.get::<_, Option<&str>>(column).map(str::as_bytes);
    let bytes = |column: usize| row.get::<_, Option<&[u8]>>(column);
    let (accept, end) = columns::in_order(int, row.get(columns::ENDED_AT), text, bytes);
    Ok(columns::task(&accept, &end)?)
}

/// Reads rows of [`TASK`](super::sql::TASK) and then how often the task was taken over. Gives the tasks with their
/// bands, and apart from them those that have been taken over too often to run again. A row that cannot be read is
/// logged.
pub(super) fn open_tasks(rows: &[Row]) -> (Vec<(Task, u8)>, Vec<Task>) {
    let (mut tasks, mut quarantined) = (Vec::new(), Vec::new());
    for found in rows {
        match task(found) {
            Ok((task, _)) if uint(found, TASK_COLUMNS) > u64::from(MOST_MOVES) => quarantined.push(task),
            Ok(task) => tasks.push(task),
            Err(error) => tracing::error!(gid = uint(found, 0), %error, "a task of the store cannot be read"),
        }
    }
    (tasks, quarantined)
}

/// Reads rows of the numbers and the bodies of deliveries. A row that cannot be read is logged.
pub(super) fn deliveries(rows: &[Row]) -> Vec<(Gid, WebhookDelivery)> {
    let mut out = Vec::new();
    for found in rows {
        let gid = Gid(uint(found, 0));
        match body(found) {
            Ok(delivery) => out.push((gid, delivery)),
            Err(error) => tracing::error!(%gid, %error, "the delivery of a webhook cannot be read"),
        }
    }
    out
}

/// Reads a row of [`MINER`](columns::MINER).
pub(super) fn miner(row: &Row) -> Result<MinerRecord, RowError> {
    // In these columns an empty text stands for none.
    let some_text = |column: usize| absent::text::of(row.get::<_, String>(column));
    let wrong_kind = |error: Error| RowError("kind", error.to_string());
    Ok(MinerRecord {
        id: row.get(0),
        name: row.get(1),
        public_key: some_text(2),
        kind: some_text(3).map(|kind| kind.parse()).transpose().map_err(wrong_kind)?,
        owner: some_text(4),
        models: parse("models", row.get::<_, &str>(5).as_bytes())?,
        reputation: row.get(6),
        created_at: uint(row, 7),
        last_seen: NonZeroU64::new(uint(row, 8)),
        revoked: row.get(9),
    })
}

/// Reads a row of [`AUDIT`](columns::AUDIT).
pub(super) fn entry(row: &Row) -> Result<AuditEntry, RowError> {
    Ok(AuditEntry {
        number: uint(row, 0),
        act: Act {
            at: Timestamp(uint(row, 1)),
            act: row.get::<_, &str>(2).parse().map_err(|error: Error| RowError("act", error.to_string()))?,
            subject: row.get(3),
            key_id: row.get(4),
            detail: parse("detail", row.get::<_, &str>(5).as_bytes())?,
        },
    })
}
