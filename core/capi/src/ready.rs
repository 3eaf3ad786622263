//! Tells the host when a call that waits would return at once, so that no thread of the host has to wait.

use std::ffi::c_void;
use std::mem::MaybeUninit;

use cortensor_router::embed;

use crate::guard::{done, null, of};
use crate::unwind::quietly;
use crate::{Error, Job, Status, Stream, Task};

/// The host's function with its pointer. It is called exactly once: when it is woken, or when it is dropped.
pub(crate) struct Wake {
    wake: unsafe extern "C" fn(*mut c_void),
    user: *mut c_void,
}

// SAFETY: the host promises that the function may run on any thread; the router never reads through the pointer.
unsafe impl Send for Wake {}

impl Wake {
    fn new(wake: Option<unsafe extern "C" fn(*mut c_void)>, user: *mut c_void) -> embed::Result<Self> {
        wake.map(|wake| Self { wake, user }).ok_or_else(|| null("wake"))
    }

    /// A function that wakes the host. If it is dropped without a call, it wakes the host, too.
    fn once(self) -> impl FnOnce() + Send + 'static {
        move || drop(self)
    }
}

impl Drop for Wake {
    fn drop(&mut self) {
        // SAFETY: the host gave both together, and this is the one call of it.
        quietly(|| unsafe { (self.wake)(self.user) });
    }
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
    let wake = Wake::new(wake, user);
    done(err, || {
        let (wake, task) = (wake?, of(task, "task")?);
        task.watch(wake.once())
    })
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
    let wake = Wake::new(wake, user);
    done(err, || {
        let wake = wake?;
        of(stream, "stream")?.notify(wake.once())
    })
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
    let wake = Wake::new(wake, user);
    done(err, || {
        let wake = wake?;
        of(job, "job")?.0.on_cancelled(wake.once());
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
    let wake = Wake::new(wake, user);
    done(err, || {
        let wake = wake?;
        of(job, "job")?.0.on_writable(wake.once());
        Ok(())
    })
}
