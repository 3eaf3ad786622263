//! Tells the host when a call that waits would return at once, so that no thread of the host has to wait.

use std::ffi::c_void;
use std::mem::MaybeUninit;

use cortensor_router::embed;

use crate::guard::{done, null, of};
use crate::table::User;
use crate::{Error, Job, Status, Stream, Task};

/// Runs a call that gets the host's function, which runs once, when its holder is dropped: woken, or given up.
fn waking<T>(
    handle: Option<&T>,
    param: &str,
    wake: Option<unsafe extern "C" fn(*mut c_void)>,
    user: *mut c_void,
    err: Option<&mut MaybeUninit<*mut Error>>,
    call: impl FnOnce(&T, User) -> embed::Result<()>,
) -> Status {
    done(err, || {
        let wake = User::new(user, Some(wake.ok_or_else(|| null("wake"))?));
        call(of(handle, param)?, wake)
    })
}

/// Calls `wake` once when the task has ended, so that `cortensor_task_result` returns at once. The call comes at once,
/// or on a thread of the router. `wake` must neither block nor call the library. Until the task has ended, this counts
/// as waiting for it, until the handle is freed: then `wake` is called, too.
///
/// `wake` is called exactly once in any case, also if the call fails; except if `wake` is NULL, which is refused. A
/// later call for this handle calls the `wake` of the earlier one.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_notify(
    task: Option<&Task>,
    wake: Option<unsafe extern "C" fn(user: *mut c_void)>,
    user: *mut c_void,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    waking(task, "task", wake, user, err, |task, wake| task.watch(move || drop(wake)))
}

/// Calls `wake` once when `cortensor_stream_next` returns at once with an event or with the end. The call comes at once,
/// or on the thread that produces the event. `wake` must neither block nor call the library.
///
/// `wake` is called exactly once in any case, also if the call fails or the stream is freed; except if `wake` is NULL,
/// which is refused. A later call for this stream, or a read of it, may call the `wake` of the earlier one too early:
/// read again with a timeout of 0 after every `wake`.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_stream_notify(
    stream: Option<&Stream>,
    wake: Option<unsafe extern "C" fn(user: *mut c_void)>,
    user: *mut c_void,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    waking(stream, "stream", wake, user, err, |stream, wake| stream.notify(move || drop(wake)))
}

/// Calls `wake` once when the job is cancelled or answered. The call comes at once, or on the thread that cancels or
/// answers. `wake` must neither block nor call the library.
///
/// `wake` is called exactly once in any case, also if the call fails or the job is freed; except if `wake` is NULL,
/// which is refused.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_job_notify_cancelled(
    job: Option<&Job>,
    wake: Option<unsafe extern "C" fn(user: *mut c_void)>,
    user: *mut c_void,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    waking(job, "job", wake, user, err, |job, wake| {
        job.0.on_cancelled(move || drop(wake));
        Ok(())
    })
}

/// Calls `wake` once when a slow reader has caught up, or when the job is cancelled or answered. The call comes at once,
/// or on the thread of the reader. `wake` must neither block nor call the library.
///
/// `wake` is called exactly once in any case, also if the call fails or the job is freed; except if `wake` is NULL,
/// which is refused.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_job_notify_writable(
    job: Option<&Job>,
    wake: Option<unsafe extern "C" fn(user: *mut c_void)>,
    user: *mut c_void,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    waking(job, "job", wake, user, err, |job, wake| {
        job.0.on_writable(move || drop(wake));
        Ok(())
    })
}
