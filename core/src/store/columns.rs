//! The columns of a task: how a task becomes a row, and a row a task, in every store that keeps rows.

use std::sync::Arc;

use serde::Serialize;

use super::TaskSpec;
use super::end::StoredEnd;
use crate::model::{Fence, Gid, SessionId, Task, TaskId, TaskState, Timestamp, write_compact};
use crate::{Error, Result};

/// Bytes of JSON for which there is room at once: the end of a common task.
const ROOM: usize = 256;

/// The columns of a miner, in the order in which every store reads them.
pub(super) const MINER: &str = "id, name, public_key, kind, owner, models, reputation, created_at, last_seen, revoked";

/// The columns of an entry of the audit log, in the order in which every store reads them.
pub(super) const AUDIT: &str = "number, at, act, subject, key_id, detail";

/// The columns that only the accept writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct AcceptColumns<'a> {
    pub(super) gid: i64,
    pub(super) session_id: i64,
    pub(super) id: i64,
    pub(super) band: i64,
    pub(super) idem_scope: Option<&'a [u8]>,
    pub(super) idem_key: Option<&'a [u8]>,
    pub(super) idem_fp: Option<&'a [u8]>,
}

/// The columns that the end may write too, and the key, which stays. In a task that has not ended they are 0 or `NULL`,
/// except its times, its key and its request.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct EndColumns<'a> {
    pub(super) bytes: i64,
    pub(super) attempts: i64,
    pub(super) fence: i64,
    pub(super) created_at: i64,
    pub(super) started_at: i64,
    pub(super) first_token_at: i64,
    pub(super) precommitted_at: i64,
    pub(super) committed_at: i64,
    pub(super) ended_at: Option<i64>,
    pub(super) deadline: i64,
    pub(super) key_id: Option<&'a [u8]>,
    pub(super) assigned_miners: Option<&'a [u8]>,
    pub(super) request: &'a [u8],
    pub(super) end: Option<&'a [u8]>,
    pub(super) text: Option<&'a [u8]>,
    pub(super) raw: Option<&'a [u8]>,
}

/// The place of the time of the end where the columns of a task stand in the order of [`in_order`].
pub(super) const ENDED_AT: usize = 12;

/// The columns of a task whose accept, numbers and times come first and whose long values come last. The readers get the
/// place of a column.
pub(super) fn in_order<'a>(
    int: impl Fn(usize) -> i64,
    ended_at: Option<i64>,
    text: impl Fn(usize) -> Option<&'a [u8]>,
    bytes: impl Fn(usize) -> Option<&'a [u8]>,
) -> (AcceptColumns<'a>, EndColumns<'a>) {
    let accept = AcceptColumns {
        gid: int(0),
        session_id: int(1),
        id: int(2),
        band: int(3),
        idem_scope: text(15),
        idem_key: text(16),
        idem_fp: bytes(17),
    };
    let end = EndColumns {
        bytes: int(4),
        attempts: int(5),
        fence: int(6),
        created_at: int(7),
        started_at: int(8),
        first_token_at: int(9),
        precommitted_at: int(10),
        committed_at: int(11),
        ended_at,
        deadline: int(13),
        key_id: text(14),
        assigned_miners: text(18),
        request: text(19).unwrap_or_default(),
        end: text(20),
        text: bytes(21),
        raw: bytes(22),
    };
    (accept, end)
}

impl<'a> AcceptColumns<'a> {
    /// The columns of an accepted task.
    pub(super) fn of(new: &'a TaskSpec) -> Self {
        let key = new.idempotency.as_ref();
        Self {
            gid: int(new.gid.0),
            session_id: int(new.session_id.0),
            id: int(new.id.0),
            band: i64::from(new.band),
            idem_scope: key.map(|key| key.scope.as_bytes()),
            idem_key: key.map(|key| key.key.as_bytes()),
            idem_fp: key.map(|key| &key.fingerprint[..]),
        }
    }
}

impl<'a> EndColumns<'a> {
    /// The columns of a task that has not ended. Its request is encoded already.
    pub(super) fn open(new: &'a TaskSpec, request: &'a [u8]) -> Self {
        Self {
            created_at: int(new.created_at.0),
            deadline: int(new.deadline.0),
            key_id: new.key.as_deref().map(str::as_bytes),
            request,
            ..Self::default()
        }
    }
}

/// Stores an unsigned integer in a column, with its 64 bits unchanged.
pub(super) fn int(value: u64) -> i64 {
    value.cast_signed()
}

/// A bound in a statement. One that is greater than any number of rows or bytes holds nothing back.
pub(super) fn bound(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
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

/// A column that cannot be read, and the reason.
#[derive(Debug)]
pub(super) struct Damage(pub(super) &'static str, pub(super) String);

/// Makes a task and its band of its columns.
pub(super) fn task(accept: &AcceptColumns<'_>, end: &EndColumns<'_>) -> Result<(Task, u8), Damage> {
    let time = |at: i64| Timestamp(at.cast_unsigned());
    let some_time = |at: i64| Some(time(at)).filter(|at| at.0 != 0);
    let miners = end.assigned_miners.map(|miners| parse("assigned_miners", miners)).transpose()?;
    let key = end.key_id.map(|key| utf8("key_id", key)).transpose()?;
    let mut task = Task::default()
        .gid(Gid(accept.gid.cast_unsigned()))
        .session_id(SessionId(accept.session_id.cast_unsigned()))
        .id(TaskId(accept.id.cast_unsigned()))
        .request(Arc::new(parse("request", end.request)?))
        .state(if end.ended_at.is_some() { TaskState::Ended } else { TaskState::Queued })
        .created_at(time(end.created_at))
        .started_at(some_time(end.started_at))
        .first_token_at(some_time(end.first_token_at))
        .precommitted_at(some_time(end.precommitted_at))
        .committed_at(some_time(end.committed_at))
        .ended_at(end.ended_at.map(time))
        .deadline(time(end.deadline))
        .assigned_miners(miners.unwrap_or_default())
        .text(utf8("text", end.text.unwrap_or_default())?.into())
        .key_id(key.map(Arc::from))
        .attempts(end.attempts.try_into().map_err(|_| Damage("attempts", format!("{} is no count", end.attempts)))?)
        .fence(Fence(end.fence.cast_unsigned()));
    if let Some(stored) = end.end {
        let stored: StoredEnd<'_> = parse("end", stored)?;
        stored.put_into(&mut task, end.raw).map_err(|e| Damage("end", e))?;
    }
    let band = accept.band.try_into().map_err(|_| Damage("band", format!("{} is no band", accept.band)))?;
    Ok((task, band))
}

fn utf8<'a>(column: &'static str, bytes: &'a [u8]) -> Result<&'a str, Damage> {
    std::str::from_utf8(bytes).map_err(|error| Damage(column, error.to_string()))
}

/// Reads the JSON of a column.
pub(super) fn parse<'a, T: serde::Deserialize<'a>>(column: &'static str, json: &'a [u8]) -> Result<T, Damage> {
    serde_json::from_slice(json).map_err(|error| Damage(column, error.to_string()))
}
