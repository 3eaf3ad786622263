//! Converts a task to a row, and a row to a task.

use std::num::NonZeroU64;
use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, Statement};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::end::StoredEnd;
use super::super::{ApiKey, MinerRecord, damaged_thing};
use super::sum::{AcceptColumns, EndColumns, bytes_of, of_row};
use super::unusable;
use crate::model::{Fence, Gid, Session, SessionId, Task, TaskId, TaskState, Timestamp, absent, write_compact};
use crate::{Error, Result};

/// The columns that [`task`] reads, in its order.
pub(super) const COLUMNS: &str = "gid, session_id, id, band, bytes, attempts, fence, created_at, started_at, \
     first_token_at, precommitted_at, committed_at, ended_at, deadline, sum, idem_scope, idem_key, idem_fp, \
     assigned_miners, request, \"end\", text, raw, key_id";

/// The columns of a session before its checksum.
pub(super) const SESSION: &str = "id, body";

/// The columns of a key before its checksum.
pub(super) const KEY: &str = "id, body";

/// The columns of a miner before its checksum, in the order of [`miner`].
pub(super) const MINER: &str = "id, name, public_key, kind, owner, models, reputation, created_at, last_seen, revoked";

/// Bytes of JSON for which there is room at once: the end of a common task.
const ROOM: usize = 256;

/// Stores an unsigned integer in a column, with its 64 bits unchanged.
pub(super) fn int(value: u64) -> i64 {
    value.cast_signed()
}

/// Reads an unsigned integer from a column.
pub(super) fn uint(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// The columns of a task's end that need encoding.
#[derive(Debug, Default)]
pub(super) struct Ending {
    pub(super) assigned_miners: Option<Vec<u8>>,
    pub(super) end: Vec<u8>,
    pub(super) raw: Option<Vec<u8>>,
}

/// Encodes the values that do not fit a column as they are.
pub(super) fn ending(task: &Task) -> Result<Ending> {
    let (end, raw) = StoredEnd::of(task);
    Ok(Ending {
        assigned_miners: (!task.assigned_miners.is_empty()).then(|| json(&task.assigned_miners)).transpose()?,
        end: json(&end)?,
        raw,
    })
}

/// The columns of a task's end that its checksum covers.
pub(super) fn end_columns<'a>(task: &'a Task, bytes: u64, request: &'a [u8], ending: &'a Ending) -> EndColumns<'a> {
    // In these columns 0 stands for a time that never came.
    let at = |time: Option<Timestamp>| int(time.map_or(0, |time| time.0));
    EndColumns {
        bytes: int(bytes),
        attempts: i64::from(task.attempts),
        fence: int(task.fence.0),
        created_at: int(task.created_at.0),
        started_at: at(task.started_at),
        first_token_at: at(task.first_token_at),
        precommitted_at: at(task.precommitted_at),
        committed_at: at(task.committed_at),
        ended_at: Some(at(task.ended_at)),
        deadline: int(task.deadline.0),
        key_id: task.key_id.as_deref().map(str::as_bytes),
        assigned_miners: ending.assigned_miners.as_deref(),
        request,
        end: Some(&ending.end),
        text: Some(task.text.as_bytes()),
        raw: ending.raw.as_deref(),
    }
}

/// Encodes a value as JSON text. The bytes are always UTF-8.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(ROOM);
    match write_compact(&mut out, value) {
        Ok(()) => Ok(out),
        Err(error) => Err(Error::internal(format!("the store cannot keep this: {error}"))),
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

pub(super) fn parse<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T, RowError> {
    serde_json::from_str(text).map_err(|e| RowError::Column(column, e.to_string()))
}

/// Reads a row of [`SESSION`] and its checksum.
pub(super) fn session(row: &Row<'_>) -> Result<Session, RowError> {
    check_whole(row, 2)?;
    body(row)
}

/// Reads a row of [`KEY`] and its checksum.
pub(super) fn key(row: &Row<'_>) -> Result<ApiKey, RowError> {
    check_whole(row, 2)?;
    body(row)
}

/// Reads the second column as JSON.
fn body<T: DeserializeOwned>(row: &Row<'_>) -> Result<T, RowError> {
    parse("body", row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?)
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
        models: parse("models", &row.get::<_, String>(5)?)?,
        reputation: row.get(6)?,
        created_at: uint(row, 7)?,
        last_seen: NonZeroU64::new(uint(row, 8)?),
        revoked: row.get(9)?,
    })
}

/// Reads a row of [`COLUMNS`] into a task and its band, if its checksum is right.
pub(super) fn task(row: &Row<'_>) -> Result<(Task, u8), RowError> {
    check(row)?;
    let time = |column| uint(row, column).map(Timestamp);
    let some_time = |column| time(column).map(|at| Some(at).filter(|at| at.0 != 0));
    let text_of = |column| -> rusqlite::Result<Option<&str>> { Ok(row.get_ref(column)?.as_str_or_null()?) };
    let ended_at = row.get::<_, Option<i64>>(12)?;
    let mut task = Task::default()
        .gid(Gid(uint(row, 0)?))
        .session_id(SessionId(uint(row, 1)?))
        .id(TaskId(uint(row, 2)?))
        .request(Arc::new(parse("request", text_of(19)?.unwrap_or_default())?))
        .state(if ended_at.is_some() { TaskState::Ended } else { TaskState::Queued })
        .created_at(time(7)?)
        .started_at(some_time(8)?)
        .first_token_at(some_time(9)?)
        .precommitted_at(some_time(10)?)
        .committed_at(some_time(11)?)
        .ended_at(ended_at.map(|at| Timestamp(at.cast_unsigned())))
        .deadline(time(13)?)
        .assigned_miners(text_of(18)?.map(|miners| parse("assigned_miners", miners)).transpose()?.unwrap_or_default())
        .text(text_of(21)?.unwrap_or_default().into())
        .key_id(text_of(23)?.map(Arc::from))
        .attempts(row.get(5)?)
        .fence(Fence(uint(row, 6)?));
    if let Some(end) = text_of(20)? {
        let end: StoredEnd<'_> = serde_json::from_str(end).map_err(|e| RowError::Column("end", e.to_string()))?;
        let raw = bytes_of(row.get_ref(22)?);
        end.put_into(&mut task, raw).map_err(|e| RowError::Column("end", e))?;
    }
    Ok((task, row.get(3)?))
}

/// Whether the checksum of a row of [`COLUMNS`] is right.
fn check(row: &Row<'_>) -> Result<(), RowError> {
    let written = row.get::<_, Option<i64>>(14)?;
    if written == Some(sum_of(row, bytes_of(row.get_ref(20)?))?) { Ok(()) } else { Err(RowError::Sum) }
}

/// Whether the checksum in that column, which covers all columns before it, is right.
pub(super) fn check_whole(row: &Row<'_>, sum: usize) -> Result<(), RowError> {
    let values = (0..sum).map(|column| row.get_ref(column)).collect::<rusqlite::Result<Vec<_>>>()?;
    if row.get_ref(sum)? == ValueRef::Integer(of_row(values)) { Ok(()) } else { Err(RowError::Sum) }
}

/// The checksum of a row of [`COLUMNS`] that has this end.
pub(super) fn sum_of(row: &Row<'_>, end: Option<&[u8]>) -> rusqlite::Result<i64> {
    sum_with(row, end, bytes_of(row.get_ref(23)?))
}

/// The checksum of a row of [`COLUMNS`] that has this end and this key. The key's column is not read, because older
/// versions have none.
pub(super) fn sum_with(row: &Row<'_>, end: Option<&[u8]>, key_id: Option<&[u8]>) -> rusqlite::Result<i64> {
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
    Ok(accept.half() | end.half(accept.gid))
}
