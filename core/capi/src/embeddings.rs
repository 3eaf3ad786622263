//! Vectors of texts.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use cortensor_router::embed;

use crate::guard::{done, give, null, of};
use crate::task::at_end;
use crate::text::text;
use crate::unwind::{look, quietly};
use crate::{Bytes, Error, Router, Status, Task};

/// The vectors of texts, in the order of the texts. Any thread may use the handle.
#[derive(Debug)]
pub struct Embeddings(embed::Embeddings);

impl From<embed::Embeddings> for Embeddings {
    fn from(embeddings: embed::Embeddings) -> Self {
        Self(embeddings)
    }
}

/// Makes the vector of a text; or, if `input` is empty, the vectors of the list `input` in `options`. `options` is
/// JSON, for example `{"model": "embedder", "timeout": 30}`, or empty; unknown names are refused. Blocks. After a
/// failure, the status is that of the submission or of the task.
///
/// # Safety
/// `input` has `input_len` bytes, `options` has `options_len`.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "a text is two arguments in C")]
pub unsafe extern "C" fn cortensor_router_embed(
    router: Option<&Router>,
    session_id: u64,
    input: *const c_char,
    input_len: usize,
    options: *const c_char,
    options_len: usize,
    out: Option<&mut MaybeUninit<*mut Embeddings>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let input = unsafe { text(input, input_len, "input") }?;
        // SAFETY: the caller promises the length.
        let options = unsafe { text(options, options_len, "options") }?;
        of(router, "router")?.0.embed_text(session_id, input, options).wait()
    })
}

/// Waits for the end of a task that was submitted with `input`, at most for `timeout_ms`, and gives its vectors. A
/// negative time is no limit. Blocks. If the task failed, the status is that of the failure.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_task_embeddings(
    task: Option<&Task>,
    timeout_ms: i64,
    out: Option<&mut MaybeUninit<*mut Embeddings>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || at_end(task, timeout_ms, embed::Task::embeddings))
}

/// The number of vectors; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_embeddings_count(embeddings: Option<&Embeddings>) -> usize {
    look(embeddings, 0, |embeddings| embeddings.0.vectors().len())
}

/// Lends the vector at `index`, counted from 0: `len` numbers, which are valid as long as the embeddings.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_embeddings_vector(
    embeddings: Option<&Embeddings>,
    index: usize,
    out: Option<&mut MaybeUninit<*const f64>>,
    len: Option<&mut MaybeUninit<usize>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        let (out, len) = (out.ok_or_else(|| null("out"))?, len.ok_or_else(|| null("len"))?);
        let vectors = of(embeddings, "embeddings")?.0.vectors();
        let vector = vectors.get(index).ok_or_else(|| {
            embed::Error::invalid("index", format!("index is {index}, but there are {} vectors", vectors.len()))
        })?;
        out.write(vector.as_ptr());
        len.write(vector.len());
        Ok(())
    })
}

/// The whole answer as JSON: the record of `POST /v1/embeddings` with `session_id`, `task_id`, `gid` and
/// `miner_address`.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_embeddings_record(
    embeddings: Option<&Embeddings>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(embeddings, "embeddings")?.0.record())
}

/// Frees embeddings.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_embeddings_free(embeddings: Option<Box<Embeddings>>) {
    quietly(|| drop(embeddings));
}
