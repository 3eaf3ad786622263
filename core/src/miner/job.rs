//! The job that a miner answers exactly once.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::model::{Answer, Delta, Fence, Gid, SessionId, TaskId, TaskRequest, Timestamp};
use crate::{Error, Result};

/// A piece of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Chunk {
    /// The text; empty: the piece has only `delta` or `raw`, or is only a sign of life.
    pub text: String,
    /// The other parts: reasoning and tool calls.
    pub delta: Option<Box<Delta>>,
    /// The upstream's own JSON chunk, for callers of the OpenAI routes.
    pub raw: Option<Bytes>,
}

impl Chunk {
    /// Adds the upstream's own JSON chunk, for callers of the OpenAI routes.
    ///
    /// ```
    /// use cortensor_router::miner::Chunk;
    /// let chunk = Chunk::from("Hi").with_raw(r#"{"choices":[{"delta":{"content":"Hi"}}]}"#);
    /// assert!(chunk.raw.is_some());
    /// ```
    #[must_use]
    pub fn with_raw(mut self, raw: impl Into<Bytes>) -> Self {
        self.raw = Some(raw.into());
        self
    }
}

impl From<&str> for Chunk {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }
}

impl From<String> for Chunk {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl From<Delta> for Chunk {
    fn from(delta: Delta) -> Self {
        Self { delta: Some(Box::new(delta)), ..Self::default() }
    }
}

/// The router's answer to a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Emit {
    /// The router has the piece: go on.
    Ok,
    /// The router has the piece, but the reader is slow: wait for [`Job::writable`] before the next.
    Full,
    /// The job was cancelled: stop working. The job may be finished, failed or dropped.
    Cancelled,
}

/// The reason why an attempt failed. It decides whether another miner is tried and whether this one is blamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "embed", derive(utoipa::ToSchema), schema(as = FailCode, rename_all = "snake_case"))]
#[non_exhaustive]
pub enum FailClass {
    /// The miner has too much to do (HTTP 429 or 503). Its credits shrink, but the miner is not blamed.
    Overloaded,
    /// The prompt exceeds the model's context. The request is at fault, and no other miner is tried.
    Context,
    /// The miner considers the request wrong (HTTP 400 and similar); no other miner is tried.
    Invalid,
    /// The miner does not have the model (HTTP 404). Each other miner is tried once, and this one is not blamed.
    Model,
    /// The miner refuses this request, but another one may accept it (HTTP 403). Each other miner is tried once, and
    /// this one is not blamed.
    Refused,
    /// The miner's own credentials are at fault (HTTP 401, 402, 407). The miner is blamed, and each other one is tried
    /// once.
    Credentials,
    /// The router cannot read the answer. Another try may succeed. The miner is not blamed, because its other answers
    /// may be readable.
    Unreadable,
    /// The miner has a fault.
    Internal,
    /// The miner could not be reached or went away.
    Unreachable,
    /// The job was cancelled.
    Cancelled,
}

impl FailClass {
    /// All classes.
    pub(crate) const ALL: [Self; 10] = [
        Self::Overloaded,
        Self::Context,
        Self::Invalid,
        Self::Model,
        Self::Refused,
        Self::Credentials,
        Self::Unreadable,
        Self::Internal,
        Self::Unreachable,
        Self::Cancelled,
    ];

    /// The name of the class in the miner protocol and in the bindings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overloaded => "overloaded",
            Self::Context => "context",
            Self::Invalid => "invalid",
            Self::Model => "model",
            Self::Refused => "refused",
            Self::Credentials => "credentials",
            Self::Unreadable => "unreadable",
            Self::Internal => "internal",
            Self::Unreachable => "unreachable",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for FailClass {
    /// Writes the name of the class.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for FailClass {
    type Err = Error;

    /// Reads the name of a class.
    ///
    /// ```
    /// use cortensor_router::miner::FailClass;
    /// assert_eq!("overloaded".parse(), Ok(FailClass::Overloaded));
    /// assert!("busy".parse::<FailClass>().is_err());
    /// ```
    fn from_str(word: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word).ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str);
            let (last, others) = words.split_last().unwrap_or((&"", &[]));
            Error::invalid("code", format!("code must be {} or {last}, not {word:?}", others.join(", ")))
        })
    }
}

/// The failure of an attempt, with the miner's own message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// The class, which decides what the router does.
    pub class: FailClass,
    /// The miner's message.
    pub message: String,
    /// The upstream's HTTP status, if there is one.
    pub http_status: Option<u16>,
    /// Milliseconds after which the miner wants to be asked again.
    pub retry_after_ms: Option<u64>,
    /// The upstream's own JSON error, for callers of the OpenAI routes.
    pub raw: Option<Bytes>,
}

impl Failure {
    /// A failure of this class.
    pub fn new(class: FailClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), http_status: None, retry_after_ms: None, raw: None }
    }

    /// Adds the HTTP status of the model's server.
    #[must_use]
    pub fn with_http_status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }

    /// Sets the number of milliseconds after which the miner wants to be asked again.
    ///
    /// ```
    /// use cortensor_router::miner::{FailClass, Failure};
    /// let failure = Failure::new(FailClass::Overloaded, "all slots are in use").with_retry_after_ms(500);
    /// assert_eq!(failure.retry_after_ms, Some(500));
    /// ```
    #[must_use]
    pub fn with_retry_after_ms(mut self, millis: u64) -> Self {
        self.retry_after_ms = Some(millis);
        self
    }

    /// Adds the JSON error of the model's server, for callers of the OpenAI routes.
    #[must_use]
    pub fn with_raw(mut self, raw: impl Into<Bytes>) -> Self {
        self.raw = Some(raw.into());
        self
    }
}

/// A miner's message about a job.
#[derive(Debug)]
#[non_exhaustive]
pub enum MinerEvent {
    /// The miner takes the job.
    Accept,
    /// The miner does not take the job. The miner is not blamed, and another one is tried.
    Reject {
        /// The reason.
        reason: String,
        /// Milliseconds after which the miner wants to be asked again.
        retry_after_ms: Option<u64>,
    },
    /// The work is done.
    Done(Answer),
    /// The work failed.
    Fail(Failure),
}

/// The receiver of a job's answer. The router implements it, and so may tests of miners.
pub trait JobSink: Send + Sync + 'static {
    /// Takes a piece of the answer.
    fn emit(&self, chunk: Chunk) -> Emit;
    /// Takes another message of the miner.
    fn event(&self, event: MinerEvent);
    /// Notes a sign of life of the miner without a piece of the answer.
    fn alive(&self) {}
    /// Asks whether the request may be sent to the model's server once more. `true` counts as another try of the task.
    fn may_try_again(&self) -> bool {
        true
    }
    /// Whether the job was cancelled.
    fn is_cancelled(&self) -> bool;
    /// Ready when the job is cancelled. Only the task that works on the job may call this, because the one that called
    /// last is woken. It costs less than [`cancelled`](Self::cancelled).
    fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()>;
    /// Resolves when the job is cancelled.
    fn cancelled(&self) -> futures_util::future::BoxFuture<'static, ()>;
    /// Resolves when the reader has caught up, or when the job is cancelled.
    fn writable(&self) -> futures_util::future::BoxFuture<'static, ()>;
    /// Resolves after [`MinerEvent::Done`], when the fate of the answer is durable. A miner that can send the answer
    /// again keeps it until then.
    fn settled(&self) -> futures_util::future::BoxFuture<'static, Settled> {
        Box::pin(std::future::ready(Settled::Committed))
    }
}

/// The description of a job.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct JobInfo {
    /// The id of the task among all tasks of the router.
    pub gid: Gid,
    /// The session of the task.
    pub session_id: SessionId,
    /// The id of the task within its session.
    pub task_id: TaskId,
    /// The attempt's fence.
    pub fence: Fence,
    /// The request.
    pub request: Arc<TaskRequest>,
    /// The model to use: the request's, or else the session's.
    pub model: Option<String>,
    /// The time at which the router gives up the task, by the system's clock.
    pub deadline: Timestamp,
    /// Whether the answer is streamed piece by piece.
    pub stream: bool,
    /// The text that another miner gave before it was lost. The answer must continue it. Only miners with the feature
    /// [`continue`](crate::model::MinerSpec::features) get a partial text.
    pub partial: Option<Arc<str>>,
    /// The W3C `traceparent` under which the miner's own work belongs, if the caller sent one.
    pub traceparent: Option<Arc<str>>,
    /// The W3C `tracestate` that belongs to `traceparent`.
    pub tracestate: Option<Arc<str>>,
}

impl JobInfo {
    /// The description of a job of task 1 in session 0, without a deadline and not streamed. It is meant for tests of
    /// miners.
    pub fn new(request: impl Into<Arc<TaskRequest>>) -> Self {
        let request = request.into();
        Self {
            gid: Gid(1),
            session_id: SessionId(0),
            task_id: TaskId(1),
            fence: Fence(1),
            model: request.model.clone(),
            request,
            deadline: Timestamp(u64::MAX),
            stream: false,
            partial: None,
            traceparent: None,
            tracestate: None,
        }
    }
}

/// The fate of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settled {
    /// The answer is part of the task's result, which is durable.
    Committed,
    /// Another answer was taken, or the attempt was given up before its answer came.
    Superseded,
    /// The task was cancelled.
    Cancelled,
}

const TEXT: u8 = 1;
const REASONING: u8 = 2;
const CALLS: u8 = 4;

/// The kinds of parts in a piece, as a set of bits. A raw chunk of an upstream counts as text.
fn kinds_of(chunk: &Chunk) -> u8 {
    let text = if chunk.text.is_empty() && chunk.raw.is_none() { 0 } else { TEXT };
    let Some(delta) = &chunk.delta else { return text };
    let reasoning = if delta.reasoning.is_empty() { 0 } else { REASONING };
    text | reasoning | if delta.tool_calls.is_empty() { 0 } else { CALLS }
}

/// One attempt of a task at a miner. The miner calls [`emit`](Self::emit) any number of times, then
/// [`finish`](Self::finish) or [`fail`](Self::fail); or [`reject`](Self::reject) before the first piece.
///
/// Dropping an unanswered job fails it with the message `dropped`.
pub struct Job {
    info: JobInfo,
    sink: Arc<dyn JobSink>,
    answered: bool,
    /// The kinds of parts that were emitted.
    given: AtomicU8,
}

impl Job {
    /// A job that reports to a sink. The router makes jobs, and tests of miners may do so, too.
    pub fn new(info: JobInfo, sink: Arc<dyn JobSink>) -> Self {
        Self { info, sink, answered: false, given: AtomicU8::new(0) }
    }

    /// The description of the job.
    pub fn info(&self) -> &JobInfo {
        &self.info
    }

    /// The request.
    pub fn request(&self) -> &TaskRequest {
        &self.info.request
    }

    /// The whole text that the model must read.
    pub fn prompt(&self) -> Cow<'_, str> {
        match (&self.info.request.prompt, &self.info.request.prompt_template) {
            (Some(prompt), None) => Cow::Borrowed(prompt),
            _ => Cow::Owned(self.info.request.prompt_text()),
        }
    }

    /// Whether the answer is streamed piece by piece.
    pub fn stream(&self) -> bool {
        self.info.stream
    }

    /// Accepts the job. This is optional, because the first `emit` or `finish` accepts it, too.
    pub fn accept(&self) {
        self.sink.event(MinerEvent::Accept);
    }

    /// Gives the job back. The miner is not blamed, and another one is tried.
    pub fn reject(mut self, reason: impl Into<String>) {
        self.answer(MinerEvent::Reject { reason: reason.into(), retry_after_ms: None });
    }

    /// Gives a sign of life without a piece of the answer, so that the time of silence starts again. An empty piece has
    /// the same effect.
    pub fn alive(&self) {
        self.sink.alive();
    }

    /// Asks whether the request may be sent to the model's server once more, although the server may have read it.
    /// `true` counts as another try of the task.
    pub(crate) fn may_try_again(&self) -> bool {
        self.sink.may_try_again()
    }

    /// Gives the next piece of the answer.
    pub fn emit(&self, chunk: impl Into<Chunk>) -> Emit {
        let chunk = chunk.into();
        let (kinds, given) = (kinds_of(&chunk), self.given.load(Ordering::Relaxed));
        // This is done once for each kind, because the function is called for every token.
        if given | kinds != given {
            self.given.fetch_or(kinds, Ordering::Relaxed);
        }
        self.sink.emit(chunk)
    }

    /// Whether the job was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.sink.is_cancelled()
    }

    /// Resolves when the job is cancelled.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        self.sink.cancelled()
    }

    /// Ready when the job is cancelled. It wakes the task that polled last.
    pub(crate) fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.sink.poll_cancelled(cx)
    }

    /// Resolves when the reader has caught up after [`Emit::Full`], or when the job is cancelled.
    pub fn writable(&self) -> impl Future<Output = ()> + Send + use<> {
        self.sink.writable()
    }

    /// Ends the job with success. If pieces were emitted, they are the text, and `answer.text` is ignored. This
    /// rule holds for the reasoning and the tool calls in `answer.parts`, too. Usage of zeros is replaced by an estimate.
    pub fn finish(mut self, mut answer: Answer) {
        let given = self.given.load(Ordering::Relaxed);
        let (thought, called) = answer.parts.take().map(|parts| parts.into_deltas()).unwrap_or_default();
        // The parts are emitted in the order in which models give them: reasoning, text, tool calls.
        if given & REASONING == 0 && !thought.is_empty() {
            self.emit(thought);
        }
        let calls = given & CALLS == 0 && !called.is_empty();
        if calls || self.given.load(Ordering::Relaxed) & !TEXT != 0 {
            // If the answer has parts of other kinds, the text must be emitted as a piece, too.
            let text = std::mem::take(&mut answer.text);
            if given & TEXT == 0 && !text.is_empty() {
                self.emit(String::from(text));
            }
        }
        if calls {
            self.emit(called);
        }
        self.answer(MinerEvent::Done(answer));
    }

    /// Ends the job with a failure.
    pub fn fail(mut self, failure: Failure) {
        self.answer(MinerEvent::Fail(failure));
    }

    /// Takes the job apart, for a miner that answers over a connection. The caller must answer the sink exactly once.
    #[cfg(any(feature = "listener", feature = "postgres"))]
    pub(crate) fn into_parts(mut self) -> (JobInfo, Arc<dyn JobSink>) {
        self.answered = true;
        (self.info.clone(), Arc::clone(&self.sink))
    }

    fn answer(&mut self, event: MinerEvent) {
        self.answered = true;
        self.sink.event(event);
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !self.answered {
            let class = if self.sink.is_cancelled() { FailClass::Cancelled } else { FailClass::Internal };
            self.sink
                .event(MinerEvent::Fail(Failure::new(class, "dropped: the miner let the job go without an answer")));
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("info", &self.info).field("answered", &self.answered).finish_non_exhaustive()
    }
}
