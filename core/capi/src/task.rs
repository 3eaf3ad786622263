//! Tasks.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use cortensor_router::embed;

use crate::guard::{done, give, not_yet, of, timeout};
use crate::text::text;
use crate::unwind::{look, quietly};
use crate::{Bytes, Error, Router, Status};

/// A submitted task. Any thread may use it. When the last handle of a task is freed, its streams counted, the task is cancelled,
/// unless it has ended or was detached.
#[derive(Debug)]
pub struct Task(pub(crate) embed::Task);

impl From<embed::Task> for Task {
    fn from(task: embed::Task) -> Self {
        Self(task)
    }
}

/// Submits a task. `request` is JSON, the body of `POST /api/v1/completions`: `prompt`, or `messages` for a chat, or `input` for an
/// embedding, and beside it `idempotency_key` and `detach`. Blocks until the task is durable.
///
/// # Safety
/// `request` has `request_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_submit(
    router: Option<&Router>,
    session_id: u64,
    request: *const c_char,
    request_len: usize,
    out: Option<&mut MaybeUninit<*mut Task>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let request = unsafe { text(request, request_len, "request") }?;
        of(router, "router")?.0.submit(session_id, request).wait()
    })
}

/// Submits a task and waits for its end, in one call, and gives the completion as `cortensor_task_result` does. `request` is as for
/// `cortensor_router_submit`; its `timeout`, in seconds, bounds how long that takes. Blocks. When it fails the status is that of the submit or the task's.
///
/// # Safety
/// `request` has `request_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_complete(
    router: Option<&Router>,
    session_id: u64,
    request: *const c_char,
    request_len: usize,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let request = unsafe { text(request, request_len, "request") }?;
        of(router, "router")?.0.complete(session_id, request).wait()
    })
}

/// Joins a task by its ids, running or ended. Blocks for a look into the store.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_attach(
    router: Option<&Router>,
    session_id: u64,
    task_id: u64,
    out: Option<&mut MaybeUninit<*mut Task>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(router, "router")?.0.attach(session_id, task_id).wait())
}

/// A task's record by its ids. Blocks for a look into the store.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_task(
    router: Option<&Router>,
    session_id: u64,
    task_id: u64,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(router, "router")?.0.task(session_id, task_id).wait())
}

/// A page of a session's tasks as `{"count","tasks":[...]}`. `query` is `{"state","limit","offset","order"}`, each optional. Without `offset`
/// and `order` it is the newest page, oldest first inside it; `offset` or `order: "asc"` counts from the oldest, `order: "desc"` from the newest back.
/// Blocks for a look into the store.
///
/// # Safety
/// `query` has `query_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_tasks(
    router: Option<&Router>,
    session_id: u64,
    query: *const c_char,
    query_len: usize,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let query = unsafe { text(query, query_len, "query") }?;
        of(router, "router")?.0.tasks(session_id, query).wait()
    })
}

/// Cancels a task by its ids and gives its record. Blocks until that is durable.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_cancel(
    router: Option<&Router>,
    session_id: u64,
    task_id: u64,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(router, "router")?.0.cancel(session_id, task_id).wait())
}

/// The session that the task is in; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_session_id(task: Option<&Task>) -> u64 {
    look(task, 0, |task| task.0.session_id())
}

/// The task's id in its session, from 1; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_id(task: Option<&Task>) -> u64 {
    look(task, 0, |task| task.0.task_id())
}

/// The task's id among all sessions; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_gid(task: Option<&Task>) -> u64 {
    look(task, 0, |task| task.0.gid())
}

/// Whether an idempotency key led to a task that was there already.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_joined(task: Option<&Task>) -> bool {
    look(task, false, |task| task.0.joined())
}

/// The task's record as it stands.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_record(
    task: Option<&Task>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(task, "task")?.0.record().wait())
}

/// Waits for the end, at most for `timeout_ms`, and gives the completion as JSON: the text is `choices[0].text`. A negative time is no limit.
/// Blocks. When it fails the status is the task's: `CORTENSOR_STATUS_CANCELLED`, `CORTENSOR_STATUS_MINER_FAILED` ...;
/// `CORTENSOR_STATUS_TIMEOUT` with the code `wait_timeout` says that it has not ended yet.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_result(
    task: Option<&Task>,
    timeout_ms: i64,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || at_end(task, timeout_ms, embed::Task::result))
}

/// What a task has at its end, which is waited for at most for `timeout_ms`.
pub(crate) fn at_end(
    task: Option<&Task>,
    timeout_ms: i64,
    what: fn(&embed::Task) -> embed::Call<String>,
) -> Result<String, embed::Error> {
    let mut call = what(&of(task, "task")?.0);
    call.wait_for(timeout(timeout_ms)).unwrap_or_else(|| Err(not_yet("the task had not ended")))
}

/// Cancels the task, whoever else waits for it. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_cancel(task: Option<&Task>, err: Option<&mut MaybeUninit<*mut Error>>) -> Status {
    done(err, || of(task, "task")?.0.cancel())
}

/// From now on the task goes on when all of its handles are freed.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_detach(task: Option<&Task>, err: Option<&mut MaybeUninit<*mut Error>>) -> Status {
    done(err, || {
        of(task, "task")?.0.detach();
        Ok(())
    })
}

/// Frees a handle of a task.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_free(task: Option<Box<Task>>) {
    quietly(|| drop(task));
}
