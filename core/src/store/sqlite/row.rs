//! Converts a task to a row, and a row to a task.

use std::num::NonZeroU64;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, Statement};
use serde::de::DeserializeOwned;

use super::super::columns::{self, AcceptColumns, Damage, EndColumns, parse};
use super::super::{MinerRecord, damaged_thing};
use super::sum::{bytes_of, of_row};
use super::unusable;
use crate::model::{Gid, SessionId, Task, TaskId, WebhookDelivery, absent};
use crate::{Error, Result};

/// The columns that [`task`] reads, in its order.
pub(super) const COLUMNS: &str = "gid, session_id, id, band, bytes, attempts, fence, created_at, started_at, \
     first_token_at, precommitted_at, committed_at, ended_at, deadline, sum, idem_scope, idem_key, idem_fp, \
     assigned_miners, request, \"end\", text, raw, key_id";

/// The columns of a session before its checksum.
pub(super) const SESSION: &str = "id, body";

/// The columns of a key and of a managed upstream before the checksum.
pub(super) const KEY: &str = "id, body";

/// The columns of a delivery, without its checksum.
pub(super) const OUTBOX: &str = "gid, body, pending";

/// Reads an unsigned integer from a column.
pub(super) fn uint(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// The id in a column, for people.
pub(super) fn id_text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(id) => id.cast_unsigned().to_string(),
        other => String::from_utf8_lossy(bytes_of(other).unwrap_or_default()).into_owned(),
    }
}

/// Executes a statement with these values and their checksum.
pub(super) fn write_row<const N: usize>(
    statement: &mut Statement<'_>,
    values: [ValueRef<'_>; N],
) -> rusqlite::Result<()> {
    for (at, value) in (1..).zip(values) {
        statement.raw_bind_parameter(at, ToSqlOutput::Borrowed(value))?;
    }
    statement.raw_bind_parameter(N + 1, of_row(values))?;
    statement.raw_execute().map(drop)
}

/// Bytes as a text value, or `NULL` if there are none.
pub(super) fn text(bytes: Option<&[u8]>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(bytes.map_or(ValueRef::Null, ValueRef::Text))
}

/// The reason why a row cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum RowError {
    /// The medium failed, or the file as a whole is damaged.
    #[error(transparent)]
    Sqlite(rusqlite::Error),
    /// The file is not the store's any more.
    #[error(transparent)]
    Moved(Error),
    /// The row alone is damaged.
    #[error("column {0}: {1}")]
    Column(&'static str, String),
    /// The row alone is damaged: it is not what was written.
    #[error("its checksum is not that of what was written")]
    Sum,
}

impl From<rusqlite::Error> for RowError {
    fn from(error: rusqlite::Error) -> Self {
        // Every error that is not SQLite's is a value of the wrong type or a text that is not UTF-8.
        if error.sqlite_error().is_some() { Self::Sqlite(error) } else { Self::Column("of the row", error.to_string()) }
    }
}

impl From<Damage> for RowError {
    fn from(Damage(column, why): Damage) -> Self {
        Self::Column(column, why)
    }
}

impl RowError {
    /// The error of a read that was for that task, or for many.
    pub(super) fn told(self, ids: Option<(SessionId, TaskId)>) -> Error {
        let damaged = match &self {
            Self::Moved(error) => return error.clone(),
            Self::Sqlite(error) => unusable::is_damage(error),
            Self::Column(..) | Self::Sum => true,
        };
        if !damaged {
            return Error::store(self);
        }
        let of = ids.map_or_else(String::new, |(session, id)| format!(" of task {id} in session {session}"));
        let error = damaged_thing(&of, &self);
        match ids {
            Some((session, id)) => error.with_ids(session, Some(id)),
            None => error,
        }
    }
}

/// Reads a row of [`SESSION`] or [`KEY`], and its checksum.
pub(super) fn record<T: DeserializeOwned>(row: &Row<'_>) -> Result<T, RowError> {
    check_whole(row, 2)?;
    body(row)
}

/// Reads a row of [`OUTBOX`] and its checksum.
pub(super) fn delivery(row: &Row<'_>) -> Result<(Gid, WebhookDelivery), RowError> {
    check_whole(row, 3)?;
    Ok((Gid(uint(row, 0)?), body(row)?))
}

/// Reads the second column as JSON.
fn body<T: DeserializeOwned>(row: &Row<'_>) -> Result<T, RowError> {
    Ok(parse("body", row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?.as_bytes())?)
}

/// Reads a row of [`MINER`] and its checksum.
pub(super) fn miner(row: &Row<'_>) -> Result<MinerRecord, RowError> {
    check_whole(row, 10)?;
    // In these columns an empty text stands for none.
    let some_text = |column| row.get::<_, String>(column).map(absent::text::of);
    let wrong_kind = |error: Error| RowError::Column("kind", error.to_string());
    Ok(MinerRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        public_key: some_text(2)?,
        kind: some_text(3)?.map(|kind| kind.parse()).transpose().map_err(wrong_kind)?,
        owner: some_text(4)?,
        models: parse("models", row.get::<_, String>(5)?.as_bytes())?,
        reputation: row.get(6)?,
        created_at: uint(row, 7)?,
        last_seen: NonZeroU64::new(uint(row, 8)?),
        revoked: row.get(9)?,
    })
}

/// Reads a row of [`COLUMNS`] into a task and its band, if its checksum is right.
pub(super) fn task(row: &Row<'_>) -> Result<(Task, u8), RowError> {
    let (accept, end) = columns_of(row, bytes_of(row.get_ref(20)?), bytes_of(row.get_ref(23)?))?;
    if row.get::<_, Option<i64>>(14)? != Some(accept.half() | end.half(accept.gid)) {
        return Err(RowError::Sum);
    }
    Ok(columns::task(&accept, &end)?)
}

/// Whether the checksum in that column, which covers all columns before it, is right.
pub(super) fn check_whole(row: &Row<'_>, sum: usize) -> Result<(), RowError> {
    let values = (0..sum).map(|column| row.get_ref(column)).collect::<rusqlite::Result<Vec<_>>>()?;
    if row.get_ref(sum)? == ValueRef::Integer(of_row(values)) { Ok(()) } else { Err(RowError::Sum) }
}

/// The checksum of a row of [`COLUMNS`] that has this end and this key.
pub(super) fn sum_with(row: &Row<'_>, end: Option<&[u8]>, key_id: Option<&[u8]>) -> rusqlite::Result<i64> {
    let (accept, end) = columns_of(row, end, key_id)?;
    Ok(accept.half() | end.half(accept.gid))
}

/// The columns of a row of [`COLUMNS`] that has this end and this key. Those two are not read, because older versions do
/// not have them.
fn columns_of<'a>(
    row: &'a Row<'_>,
    end: Option<&'a [u8]>,
    key_id: Option<&'a [u8]>,
) -> rusqlite::Result<(AcceptColumns<'a>, EndColumns<'a>)> {
    let int = |column| row.get::<_, i64>(column);
    let bytes = |column| row.get_ref(column).map(bytes_of);
    let accept = AcceptColumns {
        gid: int(0)?,
        session_id: int(1)?,
        id: int(2)?,
        band: int(3)?,
        idem_scope: bytes(15)?,
        idem_key: bytes(16)?,
        idem_fp: bytes(17)?,
    };
    let end = EndColumns {
        bytes: int(4)?,
        attempts: int(5)?,
        fence: int(6)?,
        created_at: int(7)?,
        started_at: int(8)?,
        first_token_at: int(9)?,
        precommitted_at: int(10)?,
        committed_at: int(11)?,
        ended_at: row.get(12)?,
        deadline: int(13)?,
        key_id,
        assigned_miners: bytes(18)?,
        request: bytes(19)?.unwrap_or_default(),
        end,
        text: bytes(21)?,
        raw: bytes(22)?,
    };
    Ok((accept, end))
}
