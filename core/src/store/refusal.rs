//! The refusals that all stores share, in equal words.

use super::TaskSpec;
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

pub(super) fn id_in_use(task: &TaskSpec) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("the store holds a task {} of session {} already", task.id, task.session_id),
    )
    .with_code("task_id_in_use")
    .with_ids(task.session_id.0, Some(task.id.0))
}
