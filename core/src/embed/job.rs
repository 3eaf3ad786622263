//! A job as a host's miner gets it.

use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::call::may_block;
use super::process::Bound;
use super::visit::{self, Work};
use super::{answer, json, park};
use crate::miner::{Emit, FailClass, Failure, JobInfo};
use crate::model::{Delta, Gid, SessionId, TaskId, TaskRequest, Timestamp};
use crate::{Error, ErrorKind, Result, miner};

/// One attempt of a task at a miner. The miner calls [`emit`](Self::emit) any number of times, then
/// [`finish`](Self::finish) or [`fail`](Self::fail).
///
/// Any thread may use the job. Dropping an unanswered job counts as `fail("internal", "dropped")`. A call after the
/// answer, or after the router was closed, changes nothing and returns an error.
pub struct Job {
    info: JobInfo,
    state: Bound<Mutex<State>>,
    /// Cancelled when the job is answered, so that callers stop waiting for a cancellation.
    answered: CancellationToken,
    runtime: Handle,
}

struct State {
    job: Option<miner::Job>,
    /// The first bytes of a character that was cut off, at most three.
    partial: Vec<u8>,
    /// Whether any piece was emitted.
    begun: bool,
    /// The indexes of the tool calls that have begun.
    calls: Vec<u64>,
}

impl State {
    fn emit(&mut self, piece: &[u8]) -> Result<Emit> {
        let Some(job) = &self.job else { return Err(used_up()) };
        self.begun = true;
        if self.partial.is_empty() {
            let text = whole_characters(piece, &mut self.partial)?;
            return Ok(job.emit(text));
        }
        let mut joined = std::mem::take(&mut self.partial);
        joined.extend_from_slice(piece);
        let text = whole_characters(&joined, &mut self.partial)?;
        Ok(job.emit(text))
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("gid", &self.info.gid).finish_non_exhaustive()
    }
}

/// The stricter one of the router's answers to two pieces.
fn worse(one: Emit, other: Emit) -> Emit {
    match (one, other) {
        (Emit::Cancelled, _) | (_, Emit::Cancelled) => Emit::Cancelled,
        (Emit::Full, _) | (_, Emit::Full) => Emit::Full,
        _ => Emit::Ok,
    }
}

fn used_up() -> Error {
    Error::new(ErrorKind::Closed, "the job was answered already").with_code("job_answered")
}

impl Job {
    pub(super) fn new(job: miner::Job, runtime: Handle) -> Self {
        Self {
            info: job.info().clone(),
            state: Bound::new(Mutex::new(State {
                job: Some(job),
                partial: Vec::new(),
                begun: false,
                calls: Vec::new(),
            })),
            answered: CancellationToken::new(),
            runtime,
        }
    }

    /// The job's record: `{"gid","session_id","task_id","model","prompt","stream","deadline_ms","request"}`,
    /// with `"traceparent","tracestate"` if the caller sent them, and `"partial"` if the answer must go on behind that
    /// text. `request` is the caller's request; `deadline_ms` is in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// `Internal` if the record cannot be written as JSON.
    pub fn info(&self) -> Result<String> {
        json::text(&JobRecord {
            gid: self.info.gid,
            session_id: self.info.session_id,
            task_id: self.info.task_id,
            model: self.info.model.as_deref(),
            prompt: self.prompt(),
            stream: self.info.stream,
            deadline_ms: self.info.deadline,
            partial: self.info.partial.as_deref(),
            traceparent: self.info.traceparent.as_deref(),
            tracestate: self.info.tracestate.as_deref(),
            request: &self.info.request,
        })
    }

    /// The whole text that the model must read.
    pub fn prompt(&self) -> String {
        self.info.request.prompt_text()
    }

    /// Gives the next piece of the answer, as UTF-8. The last character may be incomplete if the next piece begins with
    /// the rest of it.
    ///
    /// # Errors
    /// `InvalidArgument` if the piece is not UTF-8; `Closed` if the job was answered already.
    pub fn emit(&self, piece: &[u8]) -> Result<Emit> {
        self.state.check()?;
        visit::during(|| self.emit_here(piece))
    }

    /// Gives several pieces of text, which the miner had at once. The router takes all of them, even if the reader is
    /// slow, and gives the strictest of its answers.
    ///
    /// # Errors
    /// Those of [`emit`](Self::emit).
    pub fn emit_each<'a>(&self, pieces: impl IntoIterator<Item = &'a str>) -> Result<Emit> {
        self.state.check()?;
        visit::during(|| {
            let mut state = self.state.lock();
            pieces.into_iter().try_fold(Emit::Ok, |said, piece| Ok(worse(said, state.emit(piece.as_bytes())?)))
        })
    }

    fn emit_here(&self, piece: &[u8]) -> Result<Emit> {
        self.state.lock().emit(piece)
    }

    /// Gives the next piece of the answer with its other parts: `{"text","reasoning","tool_calls"}`, each optional.
    /// `tool_calls` are in OpenAI's form. A call without an `index` begins a new call if it names its tool, and
    /// otherwise continues the last one.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; `Closed` if the job was answered already.
    pub fn emit_parts(&self, parts: &str) -> Result<Emit> {
        self.state.check()?;
        let pieces = answer::Pieces::parse(parts)?;
        visit::during(|| self.emit_pieces(pieces))
    }

    fn emit_pieces(&self, pieces: answer::Pieces) -> Result<Emit> {
        let (thought, called, text) = {
            let mut state = self.state.lock();
            if state.job.is_none() {
                return Err(used_up());
            }
            let (thought, called) = pieces.deltas(&mut state.calls, self.info.gid.0)?;
            state.begun = true;
            (thought, called, pieces.text)
        };
        let mut said = Emit::Ok;
        // The parts are emitted in the order in which models give them.
        if !thought.is_empty() {
            said = worse(said, self.emit_delta(thought)?);
        }
        if let Some(text) = text {
            said = worse(said, self.emit_here(text.as_bytes())?);
        }
        if !called.is_empty() {
            said = worse(said, self.emit_delta(called)?);
        }
        Ok(said)
    }

    fn emit_delta(&self, delta: Delta) -> Result<Emit> {
        let state = self.state.lock();
        Ok(state.job.as_ref().ok_or_else(used_up)?.emit(delta))
    }

    /// Ends the job with success. `answer` is empty or
    /// `{"text","reasoning","tool_calls","finish_reason","usage","model","embedding"}`, each optional. If pieces of a
    /// kind were emitted, they are that part of the answer. Missing usage is estimated.
    ///
    /// A job without any content fails, because the miner has probably forgotten its answer. A miner that wants to
    /// answer with an empty text must give `{"text": ""}`.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; the job can still be answered. `InvalidArgument` with the code `no_answer` if
    /// there was no content; the job has failed with this message. `Closed` if the job was answered already.
    pub fn finish(&self, answer: &str) -> Result<()> {
        self.state.check()?;
        let finish = answer::Finish::parse(answer)?;
        visit::during(|| self.finish_with(finish))
    }

    fn finish_with(&self, finish: answer::Finish) -> Result<()> {
        let (job, forgotten, answer) = {
            let mut state = self.state.lock();
            if state.job.is_none() {
                return Err(used_up());
            }
            let says_nothing = finish.says_nothing() && !state.begun;
            let answer = finish.into_answer(!state.calls.is_empty(), self.info.gid.0)?;
            let job = state.job.take().ok_or_else(used_up)?;
            if !state.partial.is_empty() {
                job.emit("\u{fffd}");
            }
            let forgotten = says_nothing && !job.is_cancelled();
            (job, forgotten, answer)
        };
        self.answered.cancel();
        if forgotten {
            job.fail(Failure::new(FailClass::Internal, answer::NOTHING));
            return Err(Error::invalid("answer", answer::NOTHING).with_code("no_answer"));
        }
        job.finish(answer);
        Ok(())
    }

    /// Ends the job with a failure. `code` is `overloaded`, `context`, `invalid`, `model`, `refused`, `credentials`,
    /// `unreadable`, `internal`, `unreachable` or `cancelled`.
    ///
    /// # Errors
    /// `InvalidArgument` if there is no such code; `Closed` if the job was answered already.
    pub fn fail(&self, code: &str, message: &str) -> Result<()> {
        self.state.check()?;
        let class: FailClass = code.parse()?;
        visit::during(|| {
            self.take()?.fail(Failure::new(class, message));
            Ok(())
        })
    }

    /// Gives the job back. The miner is not blamed, and another one is tried.
    ///
    /// # Errors
    /// `Closed` if the job was answered already.
    pub fn reject(&self, reason: &str) -> Result<()> {
        self.state.check()?;
        visit::during(|| {
            self.take()?.reject(reason);
            Ok(())
        })
    }

    /// Releases the job: it can be answered no more, and counts as failed if it was not answered. Its record stays.
    pub fn release(&self) {
        if self.state.check().is_ok() {
            // It may have been answered.
            visit::during(|| drop(self.take()));
        }
    }

    fn take(&self) -> Result<miner::Job> {
        let job = self.state.lock().job.take().ok_or_else(used_up)?;
        self.answered.cancel();
        Ok(job)
    }

    /// The job as the router knows it; `None`: it was answered, or belongs to the parent of this process.
    fn under_way(&self) -> Option<parking_lot::MappedMutexGuard<'_, miner::Job>> {
        self.state.check().ok()?;
        parking_lot::MutexGuard::try_map(self.state.lock(), |state| state.job.as_mut()).ok()
    }

    /// Whether the job was cancelled or answered.
    pub fn is_cancelled(&self) -> bool {
        self.under_way().is_none_or(|job| job.is_cancelled())
    }

    /// Whether the job was answered.
    pub fn is_answered(&self) -> bool {
        self.under_way().is_none()
    }

    /// Resolves when the job is cancelled (`true`) or answered (`false`).
    pub fn cancelled(&self) -> impl Future<Output = bool> + Send + use<> {
        let cancelled = self.under_way().map(|job| job.cancelled());
        let answered = self.answered.clone();
        async move {
            let Some(cancelled) = cancelled else { return false };
            tokio::select! {
                biased;
                () = answered.cancelled() => false,
                () = cancelled => true,
            }
        }
    }

    /// Calls `f` when the job is cancelled. Drops `f` without calling it when the job is answered. `f` must neither
    /// block nor call the router.
    pub fn on_cancelled(&self, f: impl FnOnce() + Send + 'static) {
        let cancelled = self.cancelled();
        Work::start(&self.runtime, None, async move {
            if cancelled.await {
                f();
            }
        });
    }

    /// Resolves when a slow reader ([`Emit::Full`]) has caught up, or when the job is cancelled or answered.
    pub fn writable(&self) -> impl Future<Output = ()> + Send + use<> {
        let writable = self.under_way().map(|job| job.writable());
        let answered = self.answered.clone();
        async move {
            let Some(writable) = writable else { return };
            tokio::select! {
                () = answered.cancelled() => {}
                () = writable => {}
            }
        }
    }

    /// Calls `f` when the reader has caught up, or when the job is cancelled or answered. `f` must neither block nor
    /// call the router.
    pub fn on_writable(&self, f: impl FnOnce() + Send + 'static) {
        let writable = self.writable();
        Work::start(&self.runtime, None, async move {
            writable.await;
            f();
        });
    }

    /// Blocks until the reader has caught up, or until the job is cancelled or answered. `false`: `timeout` has passed.
    ///
    /// # Errors
    /// `WouldDeadlock` on one of the router's worker threads; `Closed` after a fork.
    pub fn wait_writable(&self, timeout: Option<Duration>) -> Result<bool> {
        self.state.check()?;
        may_block(Some(&self.runtime))?;
        Ok(park::wait(timeout, self.writable()).is_some())
    }

    /// Blocks until the job is cancelled (`true`). `false`: `timeout` has passed, or the job was answered.
    ///
    /// # Errors
    /// `WouldDeadlock` on one of the router's worker threads; `Closed` after a fork.
    pub fn wait_cancelled(&self, timeout: Option<Duration>) -> Result<bool> {
        self.state.check()?;
        may_block(Some(&self.runtime))?;
        Ok(park::wait(timeout, self.cancelled()).unwrap_or(false))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.state.check().is_ok() {
            visit::during(|| self.answered.cancel());
        }
    }
}

/// The record of a job. Fields of the request that the router does not know are copied byte by byte, so that the order
/// of their members and every digit of their numbers stay.
#[derive(Serialize, ToSchema)]
#[schema(as = JobInfo, description = "A job as the router has it.")]
pub(super) struct JobRecord<'a> {
    /// The task among all sessions.
    #[schema(value_type = u64)]
    gid: Gid,
    /// The session.
    #[schema(value_type = u64)]
    session_id: SessionId,
    /// The task in its session.
    #[schema(value_type = u64)]
    task_id: TaskId,
    /// The model to use, where one was asked for.
    #[schema(required)]
    model: Option<&'a str>,
    /// The whole text that the model must read.
    prompt: String,
    /// Whether somebody reads tokens as they come.
    stream: bool,
    /// Milliseconds since the Unix epoch after which nobody wants the answer.
    #[schema(value_type = u64)]
    deadline_ms: Timestamp,
    /// The text that another miner gave before it was lost, if the answer must go on behind it. Only miners that said
    /// that they can continue get such work.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    partial: Option<&'a str>,
    /// The W3C trace context under which the miner's own work belongs, if the caller sent one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    traceparent: Option<&'a str>,
    /// The W3C `tracestate` that belongs to `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    tracestate: Option<&'a str>,
    /// The caller's request.
    #[schema(value_type = Object)]
    request: &'a TaskRequest,
}

/// The text of `bytes` without an incomplete last character, whose bytes go to `partial`.
fn whole_characters<'a>(bytes: &'a [u8], partial: &mut Vec<u8>) -> Result<&'a str> {
    let cut = match std::str::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) if error.error_len().is_none() => error.valid_up_to(),
        Err(error) => {
            let message = format!("the piece is not UTF-8 at byte {}", error.valid_up_to());
            return Err(Error::invalid("piece", message));
        }
    };
    let (whole, rest) = bytes.split_at(cut);
    *partial = rest.to_vec();
    std::str::from_utf8(whole).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_may_be_cut_anywhere() {
        let text = "a\u{e9}\u{20ac}\u{1f600}z";
        for cut in 0..=text.len() {
            let mut partial = Vec::new();
            let first = whole_characters(&text.as_bytes()[..cut], &mut partial).unwrap().to_owned();
            let mut rest = std::mem::take(&mut partial);
            rest.extend_from_slice(&text.as_bytes()[cut..]);
            let second = whole_characters(&rest, &mut partial).unwrap();
            assert_eq!(format!("{first}{second}"), text, "cut at {cut}");
            assert!(partial.is_empty());
        }
        assert_eq!(whole_characters(b"a\xff", &mut Vec::new()).unwrap_err().details().param.as_deref(), Some("piece"));
    }
}
