//! A job as the host's miner gets it.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use cortensor_router::embed::{self, Emit, ErrorKind};

use crate::guard::{done, give, not_yet, of, timeout};
use crate::text::{bytes, text};
use crate::unwind::{look, quietly};
use crate::{Bytes, Error, Status};

/// One attempt of a task at a miner, which `on_job` gets. Any thread may use it. The miner answers it exactly once, by
/// finish, fail or reject. Every further answer is refused with `CORTENSOR_STATUS_CLOSED`. An answer after the shutdown
/// of the router has no effect.
#[derive(Debug)]
pub struct Job(pub(crate) embed::Job);

impl From<embed::Job> for Job {
    fn from(job: embed::Job) -> Self {
        Self(job)
    }
}

/// The job as JSON: `{"gid","session_id","task_id","model","prompt","stream","deadline_ms","request"}`, with
/// `"traceparent","tracestate"` if the caller sent them, and `"partial"` if the answer must go on behind that text.
/// `request` is the caller's request; `deadline_ms` is in milliseconds since the Unix epoch.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_job_info(
    job: Option<&Job>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(job, "job")?.0.info())
}

/// The whole text that the model must read.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_job_prompt(
    job: Option<&Job>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || Ok(of(job, "job")?.0.prompt()))
}

/// Gives the next piece of the answer, as UTF-8. The last character may be incomplete if the next piece begins with the
/// rest of it. Never blocks. `CORTENSOR_STATUS_CANCELLED`: the job was cancelled; stop working and free the job. `full`
/// may be NULL; true means that the router has the piece but the reader is slow: call `cortensor_job_wait_writable`
/// before the next piece.
///
/// # Safety
/// `piece` has `piece_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_job_emit(
    job: Option<&Job>,
    piece: *const c_char,
    piece_len: usize,
    full: Option<&mut MaybeUninit<bool>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        // SAFETY: the caller promises the length.
        let piece = unsafe { bytes(piece, piece_len, "piece") }?;
        emitted(of(job, "job")?.0.emit(piece)?, full)
    })
}

/// The router's answer to a piece, as a status and a flag.
fn emitted(emitted: Emit, full: Option<&mut MaybeUninit<bool>>) -> embed::Result<()> {
    if emitted == Emit::Cancelled {
        let message = "nobody wants this job's answer any more: stop working";
        return Err(embed::Error::new(ErrorKind::Cancelled, message));
    }
    if let Some(full) = full {
        full.write(emitted == Emit::Full);
    }
    Ok(())
}

/// Gives the next piece of the answer with its other parts, as JSON: `{"text","reasoning","tool_calls"}`, each
/// optional. `tool_calls` are in OpenAI's form. A call without an `index` begins a new call if it names its tool, and
/// otherwise continues the last one. The results are those of `cortensor_job_emit`.
///
/// # Safety
/// `parts` has `parts_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_job_emit_parts(
    job: Option<&Job>,
    parts: *const c_char,
    parts_len: usize,
    full: Option<&mut MaybeUninit<bool>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        // SAFETY: the caller promises the length.
        let parts = unsafe { text(parts, parts_len, "parts") }?;
        emitted(of(job, "job")?.0.emit_parts(parts)?, full)
    })
}

/// Ends the job with success. `answer` is empty or JSON,
/// `{"text","reasoning","tool_calls","finish_reason","usage","model","embedding"}`, each optional; `embedding` is a
/// vector or a list of vectors. If pieces were emitted, they are the text. Missing usage is estimated. If `answer` is
/// wrong, the job can still be answered. If there is no content at all, not even an empty `text`, the job fails and the
/// call returns `CORTENSOR_STATUS_INVALID_ARGUMENT` with the code `no_answer`.
///
/// # Safety
/// `answer` has `answer_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_job_finish(
    job: Option<&Job>,
    answer: *const c_char,
    answer_len: usize,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        // SAFETY: the caller promises the length.
        let answer = unsafe { text(answer, answer_len, "answer") }?;
        of(job, "job")?.0.finish(answer)
    })
}

/// Ends the job with a failure. `code` is `overloaded`, `context`, `invalid`, `model`, `refused`, `credentials`,
/// `unreadable`, `internal`, `unreachable` or `cancelled`; `message` reaches the caller.
///
/// # Safety
/// `code` has `code_len` bytes, `message` has `message_len`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_job_fail(
    job: Option<&Job>,
    code: *const c_char,
    code_len: usize,
    message: *const c_char,
    message_len: usize,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        // SAFETY: the caller promises the length.
        let code = unsafe { text(code, code_len, "code") }?;
        // SAFETY: the caller promises the length.
        let message = unsafe { text(message, message_len, "message") }?;
        of(job, "job")?.0.fail(code, message)
    })
}

/// Gives the job back. The miner is not blamed, and another one is tried.
///
/// # Safety
/// `reason` has `reason_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_job_reject(
    job: Option<&Job>,
    reason: *const c_char,
    reason_len: usize,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        // SAFETY: the caller promises the length.
        let reason = unsafe { text(reason, reason_len, "reason") }?;
        of(job, "job")?.0.reject(reason)
    })
}

/// Whether the job was cancelled or answered; true for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_job_is_cancelled(job: Option<&Job>) -> bool {
    look(job, true, |job| job.0.is_cancelled())
}

/// Whether the job was answered; true for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_job_is_answered(job: Option<&Job>) -> bool {
    look(job, true, |job| job.0.is_answered())
}

/// Waits until a slow reader has caught up, or until the job is cancelled or answered, at most for `timeout_ms`; a
/// negative time is no limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: the time has passed.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_job_wait_writable(
    job: Option<&Job>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        let writable = of(job, "job")?.0.wait_writable(timeout(timeout_ms))?;
        if writable { Ok(()) } else { Err(not_yet("the reader had not caught up")) }
    })
}

/// Waits until the job is cancelled, at most for `timeout_ms`; a negative time is no limit. Blocks.
/// `CORTENSOR_STATUS_TIMEOUT`: the time has passed; `CORTENSOR_STATUS_CLOSED`: the job was answered.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_job_wait_cancelled(
    job: Option<&Job>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        let job = &of(job, "job")?.0;
        if job.wait_cancelled(timeout(timeout_ms))? {
            Ok(())
        } else if job.is_answered() {
            Err(embed::Error::new(ErrorKind::Closed, "the job was answered already").with_code("job_answered"))
        } else {
            Err(not_yet("the job was not cancelled"))
        }
    })
}

/// Frees a job. A job that was not answered fails with `internal` and `dropped`.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_job_free(job: Option<Box<Job>>) {
    quietly(|| drop(job));
}
