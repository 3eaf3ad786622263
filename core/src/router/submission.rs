//! A caller's handle of a submitted task, and the options of a submission.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::live::Live;
use super::shared::Shared;
use super::stream::TokenStream;
use super::terms::StreamPermits;
use super::wait::{Attachment, Waiter};
use crate::engine::Event;
use crate::model::{Completion, Gid, SessionId, Task, TaskId, TaskRequest};
use crate::{Result, model::Outcome};

/// The options of a submission.
///
/// ```
/// use cortensor_router::SubmitOptions;
/// let once = SubmitOptions::default().idempotency_key("order-17").scope("shop").detach(true);
/// assert_eq!(once.patience, None);
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SubmitOptions {
    /// The idempotency key: a request that is sent again with this key joins the task that the first one made.
    pub idempotency_key: Option<String>,
    /// The name space of the key, for example the caller's name. Equal keys in different scopes are different keys;
    /// keys without a scope have one of their own.
    pub scope: Option<String>,
    /// The name of the caller for whom the task is counted: the `key_id` of its record and of its usage.
    pub key_id: Option<Arc<str>>,
    /// Whether the task continues when its [`Submission`] is dropped.
    pub detach: bool,
    /// Whether any miner may serve the request if no miner offers its model.
    pub any_model: bool,
    /// Seconds that the caller waits for the first token of a stream, or for a whole answer. A stream that has begun
    /// ends by the miner's silence alone. `None`: the request's `timeout`, or else `limits.default_timeout_secs`,
    /// bounds the whole task.
    pub patience: Option<f64>,
    /// The W3C `traceparent` of the caller, which the task's miners get. A malformed one is ignored.
    pub traceparent: Option<String>,
    /// The W3C `tracestate` that belongs to `traceparent`. A malformed one is ignored.
    pub tracestate: Option<String>,
}

cortensor_router_model::setters! { SubmitOptions {
    idempotency_key: impl Into<String> => Some(idempotency_key.into()),
    scope: impl Into<String> => Some(scope.into()),
    key_id: impl Into<Arc<str>> => Some(key_id.into()),
    detach: bool => detach,
    any_model: bool => any_model,
    patience: f64 => Some(patience),
    traceparent: impl Into<String> => Some(traceparent.into()),
    tracestate: impl Into<String> => Some(tracestate.into()),
} }

/// A handle of a submitted task. Dropping the last handle of a task cancels the task, unless it is detached.
pub struct Submission {
    shared: Arc<Shared>,
    live: Arc<Live>,
    attachment: Attachment,
    joined: bool,
    /// The place of the stream among those that its caller may have open.
    permits: StreamPermits,
}

impl std::fmt::Debug for Submission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Submission")
            .field("session_id", &self.live.spec.session_id)
            .field("task_id", &self.live.spec.id)
            .finish_non_exhaustive()
    }
}

impl Submission {
    pub(super) fn new(shared: Arc<Shared>, live: Arc<Live>, joined: bool) -> Self {
        let attachment = Attachment::new(shared.clone(), live.clone());
        Self { shared, live, attachment, joined, permits: StreamPermits::default() }
    }

    /// The task in memory.
    #[cfg(feature = "listener")]
    pub(super) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// The session of the task.
    pub fn session_id(&self) -> SessionId {
        self.live.spec.session_id
    }

    /// The id of the task within its session.
    pub fn task_id(&self) -> TaskId {
        self.live.spec.id
    }

    /// The id of the task among all tasks of the router.
    pub fn gid(&self) -> Gid {
        self.live.spec.gid
    }

    /// The time of the submission, in Unix seconds.
    pub fn created(&self) -> u64 {
        self.live.spec.created_at.as_secs()
    }

    /// The model of the task: the one that the request names, else the session's, else `default`.
    pub fn model(&self) -> String {
        self.live.spec.request.model.as_deref().or(self.live.spec.model.as_deref()).unwrap_or("default").to_owned()
    }

    /// The model that answers, by the miner's name for it. Before a miner has the task, this is
    /// [`model`](Self::model).
    pub fn answering_model(&self) -> String {
        let state = self.live.state.lock();
        let primary = state.attempts.iter().find(|attempt| Some(attempt.fence) == state.primary);
        let given = || state.answers.first().and_then(|given| given.answer.model.clone());
        let model = primary.and_then(|attempt| attempt.model.as_deref().map(str::to_owned)).or_else(given);
        drop(state);
        model.unwrap_or_else(|| self.model())
    }

    /// Whether the idempotency key led to a task that existed already.
    pub fn joined(&self) -> bool {
        self.joined
    }

    /// The request.
    pub fn request(&self) -> &Arc<TaskRequest> {
        &self.live.spec.request
    }

    /// Waits until the task is durable. A program must never show the task's ids before that.
    ///
    /// # Errors
    /// The store's error if the task could not be written. The task is cancelled in that case.
    pub async fn accepted(&self) -> Result<()> {
        self.shared.written_down(&self.live).await
    }

    /// A stream of the task's tokens, from the first on.
    pub fn stream(&self) -> TokenStream {
        self.stream_after(0)
    }

    /// A stream of the task's tokens after the one with number `seq`; 0: from the first on.
    pub fn stream_after(&self, seq: u64) -> TokenStream {
        TokenStream::new(self.live.clone(), self.attachment.clone(), seq)
    }

    /// A stream for another router, after the piece or mark with number `seq`.
    #[cfg(feature = "postgres")]
    pub(super) fn mirrored_after(&self, seq: u64) -> TokenStream {
        self.stream_after(seq).with_marks()
    }

    /// Waits for the end of the task. The end is durable when this returns.
    ///
    /// # Errors
    /// `Timeout`, `Cancelled`, `MinerFailed`, `InvalidArgument` (a miner refused the request), `Overloaded`,
    /// `Unavailable`, and the store's error; the details name the session and the task.
    pub async fn result(&self) -> Result<Completion> {
        self.shared_result().await.map(Arc::unwrap_or_clone)
    }

    /// Like [`result`](Self::result), but without a copy.
    pub(crate) async fn shared_result(&self) -> Result<Arc<Completion>> {
        let waiter = Waiter::new(&self.live);
        std::future::poll_fn(|cx| waiter.poll(cx, |state| state.end.clone())).await
    }

    /// Milliseconds that the miner with this address took for its answer; `None`: the answer comes from the store.
    #[cfg(feature = "listener")]
    pub(crate) fn took_ms(&self, miner: &str) -> Option<u64> {
        let state = self.live.state.lock();
        state.answers.iter().find(|given| given.miner.as_str() == miner).map(|given| given.took_ms)
    }

    /// Whether the answer has to be read in one piece: the task came from the store, which keeps its text so, or the
    /// memory has not kept all chunks.
    #[cfg(feature = "listener")]
    pub(crate) fn is_in_one_piece(&self) -> bool {
        let state = self.live.state.lock();
        state.rejoined || state.transcript.has_lost()
    }

    /// The time at which the task ended, if it has. The whole record costs much more.
    #[cfg(feature = "listener")]
    pub(crate) fn ended_at(&self) -> Option<crate::model::Timestamp> {
        let state = self.live.state.lock();
        state.closed.as_ref().map_or(state.ended_at, |end| end.row.ended_at)
    }

    /// The present record of the task.
    pub fn state(&self) -> Task {
        self.shared.task_of(&self.live)
    }

    /// The outcome of the task. `None`: the task has not ended, or the store does not have its end.
    pub fn outcome(&self) -> Option<Outcome> {
        let state = self.live.state.lock();
        state.end.as_ref().filter(|_| state.unwritten.is_none())?;
        state.outcome
    }

    /// Cancels the task, even if other callers wait for it.
    pub fn cancel(&self) {
        if self.live.state.lock().followed {
            return self.shared.ask_cancel_of(&self.live.spec);
        }
        self.shared.step(Event::Cancel(self.live.spec.gid));
    }

    /// Detaches the task: from now on, it continues even if all of its handles are dropped.
    pub fn detach(&self) {
        self.live.detached.store(true, Ordering::Release);
        self.shared.write_down(&self.live);
        self.shared.step(Event::Detach(self.live.spec.gid));
    }
}

impl Submission {
    /// Holds the places of an open stream for as long as this handle lives.
    pub(crate) fn hold(&mut self, permits: StreamPermits) {
        self.permits = permits;
    }

    pub(super) fn mark_joined(&mut self) {
        self.joined = true;
    }
}
