//! Calls for programs without a JSON library: they take a prompt and return a text.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use cortensor_router::embed;

use crate::guard::{give, of};
use crate::task::at_end;
use crate::text::text;
use crate::{Bytes, Error, Router, Status, Task};

/// Submits a prompt, which may be any text. `options` is JSON with fields of `POST /api/v1/completions`, for example
/// `{"max_tokens": 64, "temperature": 0.5}`, or empty. An unknown name is refused, with the name that was probably
/// meant; fields that only the miner understands go into `extra`, an object. Blocks until the task is durable.
///
/// # Safety
/// `prompt` has `prompt_len` bytes, `options` has `options_len`.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "a text is two arguments in C")]
pub unsafe extern "C" fn cortensor_router_submit_prompt(
    router: Option<&Router>,
    session_id: u64,
    prompt: *const c_char,
    prompt_len: usize,
    options: *const c_char,
    options_len: usize,
    out: Option<&mut MaybeUninit<*mut Task>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let prompt = unsafe { text(prompt, prompt_len, "prompt") }?;
        // SAFETY: the caller promises the length.
        let options = unsafe { text(options, options_len, "options") }?;
        of(router, "router")?.0.submit_prompt(session_id, prompt, options).wait()
    })
}

/// Waits for the end of the task, at most for `timeout_ms`, and gives the text of the answer, which is
/// `choices[0].text` of `cortensor_task_result`. A negative time is no limit. Blocks. If the task failed, the status is
/// that of the failure.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_text(
    task: Option<&Task>,
    timeout_ms: i64,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || at_end(task, timeout_ms, embed::Task::text))
}

/// Converts a text to a JSON string with quotes, for programs that write JSON by hand.
///
/// # Safety
/// `value` has `value_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_json_escape(
    value: *const c_char,
    value_len: usize,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let value = unsafe { text(value, value_len, "value") }?;
        Ok::<_, embed::Error>(embed::json_text(value))
    })
}
