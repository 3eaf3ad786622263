//! A submitted task in its caller's hands.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::live::Live;
use super::shared::Shared;
use super::stream::TokenStream;
use super::wait::{Attachment, Waiter, written_down};
use crate::engine::Event;
use crate::model::{Completion, Gid, SessionId, Task, TaskId, TaskRequest};
use crate::{Result, model::Outcome};

/// The options of a submission, beside the request itself.
///
/// ```
/// use cortensor_router::SubmitOptions;
/// let once = SubmitOptions {
///     idempotency_key: Some("order-17".into()),
///     scope: "shop".into(),
///     detach: true,
///     ..SubmitOptions::default()
/// };
/// assert_eq!(once.patience, None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct SubmitOptions {
    /// A key under which the same request can be sent again without making a second task.
    pub idempotency_key: Option<String>,
    /// Whose key it is, for example the token and the route.
    pub scope: String,
    /// Whether the task goes on when its [`Submission`] is dropped.
    pub detach: bool,
    /// Whether a model that no miner offers stands for any model.
    pub any_model: bool,
    /// Seconds that the caller waits for the first token of a stream, or for a whole answer: a stream that has begun is ended by
    /// silence alone. `None`: the request's `timeout`, else `limits.default_timeout_secs`, for the whole task.
    pub patience: Option<f64>,
}

/// A submitted task. Dropping the last one of a task cancels it, unless it is detached.
pub struct Submission {
    shared: Arc<Shared>,
    live: Arc<Live>,
    attachment: Arc<Attachment>,
    joined: bool,
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
        Self { shared, live, attachment, joined }
    }

    /// The session.
    pub fn session_id(&self) -> SessionId {
        self.live.spec.session_id
    }

    /// The task in its session.
    pub fn task_id(&self) -> TaskId {
        self.live.spec.id
    }

    /// The task among all sessions.
    pub fn gid(&self) -> Gid {
        self.live.spec.gid
    }

    /// Unix seconds at which it was submitted.
    pub fn created(&self) -> u64 {
        self.live.spec.created_at.as_secs()
    }

    /// The model: the one that was asked for, else `default`.
    pub fn model(&self) -> String {
        self.live.spec.request.model.as_deref().or(self.live.spec.model.as_deref()).unwrap_or("default").to_owned()
    }

    /// The model that answers, once a miner has the task: what it lists, or its own name; else the one that was asked for.
    pub fn answering_model(&self) -> String {
        let state = self.live.state.lock();
        let primary = state.attempts.iter().find(|attempt| Some(attempt.fence) == state.primary);
        let given = || state.answers.first().and_then(|given| given.answer.model.clone());
        let model = primary.and_then(|attempt| attempt.model.clone()).or_else(given);
        drop(state);
        model.unwrap_or_else(|| self.model())
    }

    /// Whether an idempotency key led to a task that was there already.
    pub fn joined(&self) -> bool {
        self.joined
    }

    /// What was asked for.
    pub fn request(&self) -> &Arc<TaskRequest> {
        &self.live.spec.request
    }

    /// Waits until the task is durable. Show its ids to nobody before.
    ///
    /// # Errors
    /// The store's, when it could not be written: the task is cancelled then.
    pub async fn accepted(&self) -> Result<()> {
        written_down(&self.live).await
    }

    /// The tokens from the first one on.
    pub fn stream(&self) -> TokenStream {
        self.stream_after(0)
    }

    /// The tokens after number `seq`.
    pub fn stream_after(&self, seq: u64) -> TokenStream {
        TokenStream::new(self.live.clone(), self.attachment.clone(), seq)
    }

    /// Waits for the end, which is durable then.
    ///
    /// # Errors
    /// `Timeout`, `Cancelled`, `MinerFailed`, `InvalidArgument` (a miner refused the request), `Overloaded`, `Unavailable`;
    /// the details name the session and the task.
    pub async fn result(&self) -> Result<Completion> {
        self.shared_result().await.map(Arc::unwrap_or_clone)
    }

    /// The same without a copy.
    pub(crate) async fn shared_result(&self) -> Result<Arc<Completion>> {
        let waiter = Waiter::new(&self.live);
        std::future::poll_fn(|cx| waiter.poll(cx, |state| state.end.clone())).await
    }

    /// The task as it stands.
    pub fn state(&self) -> Task {
        self.shared.task_of(&self.live)
    }

    /// How it ended, once it has. `None` also where the store could not write that down.
    pub fn outcome(&self) -> Option<Outcome> {
        let state = self.live.state.lock();
        state.end.as_ref().filter(|_| !state.unwritten)?;
        state.outcome
    }

    /// Cancels the task, whoever else waits for it.
    pub fn cancel(&self) {
        self.shared.step(Event::Cancel(self.live.spec.gid));
    }

    /// From now on nobody's leaving cancels the task.
    pub fn detach(&self) {
        self.live.detached.store(true, Ordering::Release);
        self.shared.step(Event::Detach(self.live.spec.gid));
    }
}

impl Submission {
    pub(super) fn mark_joined(&mut self) {
        self.joined = true;
    }
}
