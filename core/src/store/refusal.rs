//! The refusals that all stores share, with equal texts.

use std::fmt::Display;

use super::TaskSpec;
use crate::model::{SessionId, Task, Timestamp};
use crate::{Error, ErrorKind, Result};

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store is closed: open a new router")
}

pub(super) fn key_mismatch() -> Error {
    Error::new(
        ErrorKind::IdempotencyMismatch,
        "the idempotency key was used before with another request: use a new key for a new request",
    )
    .with_param("Idempotency-Key")
}

/// The error for a part of the store that cannot be read. `of` names the part after a leading space, or is empty.
pub(super) fn damaged_thing(of: &str, why: &dyn Display) -> Error {
    Error::store_corrupt(format!(
        "what the store holds{of} is damaged ({why}): restore the database from a back-up; \
         `cortensor-router doctor` lists what is damaged"
    ))
}

/// The error for a session whose row is damaged.
pub(crate) fn damaged_session(id: SessionId) -> Error {
    let error = damaged_thing(&format!(" of session {id}"), &"its row is not what was written");
    error.with_param("session_id").with_ids(id, None)
}

pub(super) fn id_in_use(task: &TaskSpec) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("the store holds a task {} of session {} already", task.id, task.session_id),
    )
    .with_code("task_id_in_use")
    .with_ids(task.session_id, Some(task.id))
}

/// Refuses the end of a task whose times no store could give back: 0 is no time, and an end has one.
pub(super) fn check_times(task: &Task) -> Result<()> {
    let times = [
        ("started_at", task.started_at),
        ("first_token_at", task.first_token_at),
        ("precommitted_at", task.precommitted_at),
        ("committed_at", task.committed_at),
        ("ended_at", task.ended_at),
    ];
    let wrong = match times.into_iter().find(|(_, time)| *time == Some(Timestamp(0))) {
        Some((field, _)) => Some((field, "is 0, which is no time: leave it out")),
        None => task.ended_at.is_none().then_some(("ended_at", "is missing: an ended task has a time of its end")),
    };
    wrong.map_or(Ok(()), |(field, why)| Err(Error::invalid(field, format!("{field} of task {} {why}", task.gid))))
}
