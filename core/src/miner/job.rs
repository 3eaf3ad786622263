//! The job that a miner answers exactly once.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;

use crate::model::{Answer, Delta, Fence, Gid, SessionId, TaskId, TaskRequest, Timestamp};

/// A piece of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chunk {
    /// Its text; may be empty when `delta` or `raw` carries something else.
    pub text: String,
    /// More of what is no text: reasoning, and calls of tools.
    pub delta: Option<Box<Delta>>,
    /// The upstream's own JSON chunk, for callers of the OpenAI routes.
    pub raw: Option<Bytes>,
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

/// What the router says to a piece of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// It has it; go on.
    Ok,
    /// It has it, but the reader is slow: wait for [`Job::writable`] before the next.
    Full,
    /// Nobody wants it any more: stop working. The job may be finished, failed or dropped.
    Cancelled,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailClass {
    /// The miner has too much to do (HTTP 429 or 503): its credits shrink, it is not blamed.
    Overloaded,
    /// The prompt does not fit. The request is at fault; no other miner is tried.
    Context,
    /// The request is wrong in the miner's eyes (HTTP 400 and the like); no other miner is tried.
    Invalid,
    /// The model does not exist there (HTTP 404). Each other miner is tried once, this one is not blamed.
    Model,
    /// The miner will not do this request, another one may (HTTP 403). Each other miner is tried once, this one is not blamed.
    Refused,
    /// The miner's own credentials are at fault (HTTP 401, 402, 407): it is blamed, each other one is tried once.
    Credentials,
    /// An answer came whole and cannot be read. Another try may do better; nobody is blamed, since others' answers may be fine.
    Unreadable,
    /// The miner broke.
    Internal,
    /// The miner could not be reached or went away.
    Unreachable,
    /// The work was cancelled, as asked.
    Cancelled,
}

impl FailClass {
    /// All of them.
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

    /// The word, as miners over the wire and in other languages say it.
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

    /// The class of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}

/// Why an attempt failed, with the miner's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The class, on which the router acts.
    pub class: FailClass,
    /// The miner's own words.
    pub message: String,
    /// The upstream's status, where there is one.
    pub http_status: Option<u16>,
    /// Milliseconds after which the miner wants to be asked again.
    pub retry_after_ms: Option<u64>,
    /// The upstream's own JSON error, for callers of the OpenAI routes.
    pub raw: Option<Bytes>,
}

impl Failure {
    /// A failure of that class.
    pub fn new(class: FailClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), http_status: None, retry_after_ms: None, raw: None }
    }
}

/// What a miner has to say about a job.
#[derive(Debug)]
pub enum MinerEvent {
    /// It takes the job.
    Accept,
    /// It does not take it: no blame, another miner is tried.
    Reject {
        /// Why.
        reason: String,
        /// Milliseconds after which it wants to be asked again.
        retry_after_ms: Option<u64>,
    },
    /// It is done.
    Done(Answer),
    /// It failed.
    Fail(Failure),
}

/// The router's end of a job. The router implements it; tests of miners implement it too.
pub trait JobSink: Send + Sync + 'static {
    /// A piece of the answer came.
    fn emit(&self, chunk: Chunk) -> Emit;
    /// The miner said something else.
    fn event(&self, event: MinerEvent);
    /// The miner works, though it has nothing to give yet.
    fn alive(&self) {}
    /// Whether the work may be sent once more, as another of the tries that the task has.
    fn may_try_again(&self) -> bool {
        true
    }
    /// Whether the work is wanted no more.
    fn is_cancelled(&self) -> bool;
    /// Resolves when the work is wanted no more.
    fn cancelled(&self) -> futures_util::future::BoxFuture<'static, ()>;
    /// Resolves when the reader has caught up, or the work is wanted no more.
    fn writable(&self) -> futures_util::future::BoxFuture<'static, ()>;
    /// Resolves after [`MinerEvent::Done`] when the answer's fate is durable. Until then a miner that can be asked again keeps it.
    fn settled(&self) -> futures_util::future::BoxFuture<'static, Settled> {
        Box::pin(std::future::ready(Settled::Committed))
    }
}

/// What a job is about.
#[derive(Debug, Clone)]
pub struct JobInfo {
    /// The task among all sessions.
    pub gid: Gid,
    /// The session.
    pub session_id: SessionId,
    /// The task in its session.
    pub task_id: TaskId,
    /// The attempt's fence.
    pub fence: Fence,
    /// What is asked for.
    pub request: Arc<TaskRequest>,
    /// The model to use: the request's, else the session's.
    pub model: Option<String>,
    /// When the answer is wanted no more.
    pub deadline: Timestamp,
    /// Whether somebody reads tokens as they come.
    pub stream: bool,
    /// What another miner had said before it was lost: the answer goes on behind it. Only miners with the feature
    /// [`continue`](crate::model::MinerSpec::features) get it.
    pub partial: Option<Arc<str>>,
}

/// What became of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is part of the task's result, which is durable.
    Committed,
    /// Others' answers were taken, or the attempt was given up before it answered.
    Superseded,
    /// Nobody wanted it any more.
    Cancelled,
}

const TEXT: u8 = 1;
const REASONING: u8 = 2;
const CALLS: u8 = 4;

/// The kinds of what is in a piece. An upstream's own chunk counts as text.
fn kinds_of(chunk: &Chunk) -> u8 {
    let text = if chunk.text.is_empty() && chunk.raw.is_none() { 0 } else { TEXT };
    let Some(delta) = &chunk.delta else { return text };
    let reasoning = if delta.reasoning.is_empty() { 0 } else { REASONING };
    text | reasoning | if delta.tool_calls.is_empty() { 0 } else { CALLS }
}

/// One attempt at a task, in a miner's hands: `emit` any number of times, then `finish` or `fail`.
///
/// Dropping an unanswered job counts as `fail("dropped")`.
pub struct Job {
    info: JobInfo,
    sink: Arc<dyn JobSink>,
    answered: bool,
    /// What kinds of pieces were given.
    given: AtomicU8,
}

impl Job {
    /// A job over that sink. The router makes jobs; tests of miners may.
    pub fn new(info: JobInfo, sink: Arc<dyn JobSink>) -> Self {
        Self { info, sink, answered: false, given: AtomicU8::new(0) }
    }

    /// What it is about.
    pub fn info(&self) -> &JobInfo {
        &self.info
    }

    /// What is asked for.
    pub fn request(&self) -> &TaskRequest {
        &self.info.request
    }

    /// The whole text that the model is to read.
    pub fn prompt(&self) -> Cow<'_, str> {
        match (&self.info.request.prompt, &self.info.request.prompt_template) {
            (Some(prompt), None) => Cow::Borrowed(prompt),
            _ => Cow::Owned(self.info.request.prompt_text()),
        }
    }

    /// Whether somebody reads tokens as they come.
    pub fn stream(&self) -> bool {
        self.info.stream
    }

    /// Takes the job. Not needed: the first `emit` or `finish` takes it too.
    pub fn accept(&self) {
        self.sink.event(MinerEvent::Accept);
    }

    /// Gives the job back: no blame, another miner is tried.
    pub fn reject(mut self, reason: impl Into<String>) {
        self.answer(MinerEvent::Reject { reason: reason.into(), retry_after_ms: None });
    }

    /// A sign of life without a piece of the answer: the miner counts as silent only from now on. An empty piece is one too.
    pub fn alive(&self) {
        self.sink.alive();
    }

    /// Whether the work may be sent to the model's server once more, where it is not known whether it was read there. It counts as
    /// one of the tries that the task has.
    pub(crate) fn may_try_again(&self) -> bool {
        self.sink.may_try_again()
    }

    /// A piece of the answer.
    pub fn emit(&self, chunk: impl Into<Chunk>) -> Emit {
        let chunk = chunk.into();
        let (kinds, given) = (kinds_of(&chunk), self.given.load(Ordering::Relaxed));
        // Once for each kind: this is called for every token.
        if given | kinds != given {
            self.given.fetch_or(kinds, Ordering::Relaxed);
        }
        self.sink.emit(chunk)
    }

    /// Whether the work is wanted no more.
    pub fn is_cancelled(&self) -> bool {
        self.sink.is_cancelled()
    }

    /// Resolves when the work is wanted no more.
    pub fn cancelled(&self) -> impl Future<Output = ()> + Send + use<> {
        self.sink.cancelled()
    }

    /// Resolves when the reader has caught up after [`Emit::Full`], or the work is wanted no more.
    pub fn writable(&self) -> impl Future<Output = ()> + Send + use<> {
        self.sink.writable()
    }

    /// The work is done. Where pieces were emitted they are the text, and `answer.text` may be empty;
    /// where it is not empty it must equal them. The same holds for the reasoning and the calls of tools in `answer.parts`.
    /// Usage of zeros is replaced by an estimate.
    pub fn finish(mut self, mut answer: Answer) {
        let given = self.given.load(Ordering::Relaxed);
        let (thought, called) = answer.parts.take().map(|parts| parts.into_deltas()).unwrap_or_default();
        // What is no text goes in pieces, in a model's order: the reasoning, the text, the calls of tools.
        if given & REASONING == 0 && !thought.is_empty() {
            self.emit(thought);
        }
        let calls = given & CALLS == 0 && !called.is_empty();
        if calls || self.given.load(Ordering::Relaxed) & !TEXT != 0 {
            // Behind or before pieces of another kind the text is one of them.
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

    /// The work failed.
    pub fn fail(mut self, failure: Failure) {
        self.answer(MinerEvent::Fail(failure));
    }

    /// The job in its parts, for a miner that answers for it over a wire: whoever takes it must give the sink its one end.
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

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("info", &self.info).field("answered", &self.answered).finish_non_exhaustive()
    }
}
