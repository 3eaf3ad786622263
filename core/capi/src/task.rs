//! Tasks.

use std::ffi::{c_char, c_void};
use std::mem::MaybeUninit;
use std::ptr;

use cortensor_router::embed::{self, Bound, Canceller};
use parking_lot::Mutex;

use crate::guard::{done, give, not_yet, null, of, timeout};
use crate::table::User;
use crate::text::text;
use crate::unwind::{look, quietly};
use crate::{Bytes, Error, Router, Status};

/// A submitted task. Any thread may use the handle. Freeing the last handle of a task cancels the task, unless it has
/// ended or is detached. Streams count as handles, too.
#[derive(Debug)]
pub struct Task(pub(crate) embed::Task, Bound<Mutex<Option<Canceller>>>);

impl From<embed::Task> for Task {
    fn from(task: embed::Task) -> Self {
        Self(task, Bound::new(Mutex::new(None)))
    }
}

impl Task {
    /// Calls `wake` when the task has ended, or when this handle is freed.
    ///
    /// # Errors
    /// `Closed` with the code `forked` in a child of `fork`, where the lock may be held by a thread that is not there.
    pub(crate) fn watch(&self, wake: impl FnOnce() + Send + 'static) -> embed::Result<()> {
        self.1.check()?;
        let end = self.0.result();
        let earlier = self.1.lock().replace(end.canceller());
        if let Some(earlier) = earlier {
            earlier.cancel();
        }
        end.then(move |_| wake());
        Ok(())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // A child of `fork` has the watch, but not the work that it would end.
        if self.1.check().is_err() {
            return;
        }
        let watch = self.1.lock().take();
        if let Some(watch) = watch {
            watch.cancel();
        }
    }
}

/// Submits a task. `request` is JSON, the body of `POST /api/v1/completions` with `prompt`, or `messages` for a chat,
/// or `input` for an embedding; it may also have `idempotency_key` and `detach`. Blocks until the task is durable.
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

/// The host's place for a task that was submitted. It gets an answer exactly once.
struct Submitted {
    tell: unsafe extern "C" fn(*mut c_void, *mut Task, *mut Error),
    user: User,
}

impl Submitted {
    fn tell(self, answer: embed::Result<embed::Task>) {
        let (task, error) = match answer {
            Ok(task) => (Box::into_raw(Box::new(task.into())), ptr::null_mut()),
            Err(error) => (ptr::null_mut(), Box::into_raw(Box::new(error.into()))),
        };
        // SAFETY: this is the host's function with the host's pointer; both handles are the host's from here on.
        quietly(|| unsafe { (self.tell)(self.user.data, task, error) });
    }
}

/// Submits a task like `cortensor_router_submit`, but does not block: `on_submitted` gets the task when it is durable,
/// or the error; the other one is NULL. The host must free what it gets. The call of `on_submitted` comes at once, or
/// on a thread of the router. It must neither block nor call the library.
///
/// `on_submitted` is called exactly once in any case; except if it is NULL, which alone is refused.
///
/// # Safety
/// `request` has `request_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_submit_start(
    router: Option<&Router>,
    session_id: u64,
    request: *const c_char,
    request_len: usize,
    on_submitted: Option<unsafe extern "C" fn(user: *mut c_void, task: *mut Task, error: *mut Error)>,
    user: *mut c_void,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        let tell = on_submitted.ok_or_else(|| null("on_submitted"))?;
        let place = Submitted { tell, user: User::new(user, None) };
        // SAFETY: the caller promises the length.
        let asked = unsafe { text(request, request_len, "request") }
            .and_then(|request| Ok(of(router, "router")?.0.submit(session_id, request)));
        match asked {
            Ok(call) => call.then(move |answer| place.tell(answer)),
            Err(error) => place.tell(Err(error)),
        }
        Ok(())
    })
}

/// Submits a task, waits for its end, and gives the completion like `cortensor_task_result`. `request` is as for
/// `cortensor_router_submit`; its `timeout`, in seconds, bounds the time. Blocks. After a failure, the status is that
/// of the submission or of the task.
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

/// Joins a task by its ids. The task may be running or have ended. Blocks while the store is read.
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

/// The record of a task by its ids. Blocks while the store is read.
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

/// A page of a session's tasks, as `{"count","tasks":[...],"corrupt":[ids]}`. `query` is
/// `{"state","key","limit","offset","order"}`, each optional. Without `offset` and `order`, the page has the newest
/// tasks, oldest first. `offset` or `order: "asc"` counts from the oldest task, `order: "desc"` from the newest one back.
/// Blocks while the store is read.
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

/// Cancels a task by its ids and gives its record. Blocks until the cancellation is durable.
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

/// The id of the task's session; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_session_id(task: Option<&Task>) -> u64 {
    look(task, 0, |task| task.0.session_id())
}

/// The id of the task within its session, from 1; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_id(task: Option<&Task>) -> u64 {
    look(task, 0, |task| task.0.task_id())
}

/// The id of the task among all tasks of the router; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_gid(task: Option<&Task>) -> u64 {
    look(task, 0, |task| task.0.gid())
}

/// Whether the idempotency key led to a task that existed already; false for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_joined(task: Option<&Task>) -> bool {
    look(task, false, |task| task.0.joined())
}

/// The present record of the task.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_record(
    task: Option<&Task>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(task, "task")?.0.record().wait())
}

/// Waits for the end of the task, at most for `timeout_ms`, and gives the completion as JSON; the text is
/// `choices[0].text`. A negative time is no limit. Blocks. If the task failed, the status is that of the failure, for
/// example `CORTENSOR_STATUS_CANCELLED` or `CORTENSOR_STATUS_MINER_FAILED`. `CORTENSOR_STATUS_TIMEOUT` with the code
/// `wait_timeout` means that the task has not ended yet.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_result(
    task: Option<&Task>,
    timeout_ms: i64,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || at_end(task, timeout_ms, embed::Task::result))
}

/// Waits for a result of a task, at most for `timeout_ms`.
pub(crate) fn at_end<T: Send + 'static>(
    task: Option<&Task>,
    timeout_ms: i64,
    what: fn(&embed::Task) -> embed::Call<T>,
) -> Result<T, embed::Error> {
    let mut call = what(&of(task, "task")?.0);
    call.wait_for(timeout(timeout_ms)).unwrap_or_else(|| Err(not_yet("the task had not ended")))
}

/// Cancels the task, even if other callers wait for it. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_cancel(task: Option<&Task>, err: Option<&mut MaybeUninit<*mut Error>>) -> Status {
    done(err, || of(task, "task")?.0.cancel())
}

/// Detaches the task: from now on, it continues even if all of its handles are freed.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_detach(task: Option<&Task>, err: Option<&mut MaybeUninit<*mut Error>>) -> Status {
    done(err, || of(task, "task")?.0.detach())
}

/// Frees a handle of a task.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_free(task: Option<Box<Task>>) {
    quietly(|| drop(task));
}
