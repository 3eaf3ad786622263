//! The refusals that all stores share, with equal texts.

use std::fmt::Display;

use super::TaskSpec;
use crate::model::SessionId;
use crate::{Error, ErrorKind};

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
