//! Submitting, finding and cancelling tasks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::admit::Admitted;
use super::intake::{Checked, Intake, RepeatKey};
use super::live::{Live, wake};
use super::shared::{Router, Shared};
use super::submission::{Submission, SubmitOptions};
use super::transcript::Transcript;
use super::wait::written_down;
use crate::engine::Event;
use crate::model::{SessionId, Task, TaskId, TaskRequest, TaskState};
use crate::store::{Accepted, TaskPage, TaskQuery};
use crate::task::{Idempotency, TaskEnd, TaskSpec};
use crate::{Error, ErrorKind, Result};

impl Router {
    /// Submits a task. It is dispatched at once, while the store writes it down; await
    /// [`Submission::accepted`] before its ids are shown to anyone. With an idempotency key the store comes first.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; `NotFound` (session or model), `Conflict` (closed session), `Overloaded` and `Unavailable` (with a time to
    /// come back), `IdempotencyMismatch`, `Closed`.
    pub async fn submit(&self, session: SessionId, request: TaskRequest, options: SubmitOptions) -> Result<Submission> {
        let SubmitOptions { idempotency_key, scope, detach, any_model, patience } = options;
        let idempotency = idempotency_key.map(|key| RepeatKey { scope, key });
        let intake = Intake { idempotency, detach, any_model, patience, ..Intake::exactly(session, request) };
        self.enter(self.check(intake)?).await
    }

    /// Makes a submission of a request that was checked.
    ///
    /// # Errors
    /// As those of [`submit`](Self::submit).
    pub(crate) async fn enter(&self, checked: Checked) -> Result<Submission> {
        let shared = &self.shared;
        let idempotency = checked.idempotency.clone();
        if shared.draining.load(Ordering::Acquire) {
            return Err(Shared::closed_error());
        }
        let held = idempotency.is_some();
        let Admitted { live, written, deeds } = match shared.submitted(checked) {
            Ok(admitted) => admitted,
            Err(refusal) => return self.replay(idempotency, refusal).await,
        };
        let submission = Submission::new(shared.clone(), live.clone(), false);
        let mut pending = written;
        shared.perform(deeds);
        if held && let Some(pending) = pending.take() {
            let router = self.clone();
            return match pending.try_ready() {
                Ok(answer) => self.settle(live, submission, answer).await,
                Err(pending) => {
                    shared.see_through(async move { router.settle(live, submission, pending.await).await }).await
                }
            };
        }
        if let Some(pending) = pending {
            match pending.try_ready() {
                Ok(answer) => shared.accept_written(&live, answer),
                Err(pending) => {
                    let shared = shared.clone();
                    self.shared.attend(async move {
                        let answer = pending.await;
                        shared.accept_written(&live, answer);
                    });
                }
            }
        }
        Ok(submission)
    }

    /// A router that has no room for new work, or no miner, has the ends of old work all the same.
    async fn replay(&self, key: Option<Idempotency>, refusal: Error) -> Result<Submission> {
        let Some(key) = key else { return Err(refusal) };
        match self.shared.store.find(key).await? {
            Some(Accepted::Existing { session_id, id, .. }) => {
                let mut joined = self.attach(session_id, id).await?;
                joined.mark_joined();
                Ok(joined)
            }
            Some(Accepted::New) | None => Err(refusal),
        }
    }

    /// The store has said whether a held task is new.
    async fn settle(&self, live: Arc<Live>, submission: Submission, answer: Result<Accepted>) -> Result<Submission> {
        let shared = &self.shared;
        match answer {
            Ok(Accepted::New) => {
                shared.accept_written(&live, Ok(Accepted::New));
                shared.step(Event::Release(live.spec.gid));
                Ok(submission)
            }
            Ok(Accepted::Existing { session_id, id, .. }) => {
                shared.forget(&live, true);
                drop(submission);
                let mut joined = self.attach(session_id, id).await?;
                joined.mark_joined();
                Ok(joined)
            }
            Err(error) => {
                // Of any other error it is not known how far the store came.
                shared.forget(&live, error.kind() == ErrorKind::IdempotencyMismatch);
                Err(error)
            }
        }
    }

    /// One task.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn task(&self, session: SessionId, id: TaskId) -> Result<Task> {
        if let Some(live) = self.shared.find(session, id) {
            written_down(&live).await?;
            return Ok(self.shared.task_of(&live));
        }
        self.stored(session, id).await
    }

    async fn stored(&self, session: SessionId, id: TaskId) -> Result<Task> {
        self.session(session)?;
        self.shared.store.task(session, id).await?.ok_or_else(|| unknown(session, id))
    }

    /// A page of a session's tasks, oldest first inside it.
    ///
    /// # Errors
    /// `NotFound` when there is no such session.
    pub async fn tasks(&self, query: TaskQuery) -> Result<TaskPage> {
        self.session(query.session_id)?;
        let mut page = self.shared.store.tasks(query).await?;
        for task in page.tasks.iter_mut().filter(|task| task.state != TaskState::Ended) {
            if let Some(live) = self.shared.find(task.session_id, task.id) {
                *task = self.shared.task_of(&live);
            }
        }
        Ok(page)
    }

    /// Cancels a task and waits until that is durable. Cancelling a cancelled task changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the task has ended otherwise.
    pub async fn cancel(&self, session: SessionId, id: TaskId) -> Result<Task> {
        if let Some(live) = self.shared.find(session, id) {
            self.shared.step(Event::Cancel(live.spec.gid));
            let submission = Submission::new(self.shared.clone(), live.clone(), true);
            // Whatever the end is, it is told below; where the store does not have it there is none.
            let end = submission.result().await;
            if live.state.lock().unwritten {
                end?;
            }
        }
        let task = self.task(session, id).await?;
        match task.outcome {
            Some(crate::model::Outcome::Cancelled) => Ok(task),
            other => Err(Error::new(
                ErrorKind::Conflict,
                format!("task {id} has ended already: {}", other.map_or("unknown", crate::model::Outcome::as_str)),
            )
            .with_code("task_ended")
            .with_ids(session, Some(id))),
        }
    }

    /// Joins a task, running or ended, to wait for it or read its tokens. Leaving it again does not cancel it
    /// while others hold it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn attach(&self, session: SessionId, id: TaskId) -> Result<Submission> {
        if let Some(live) = self.shared.find(session, id) {
            written_down(&live).await?;
            if live.attached.load(Ordering::Acquire) == 0 {
                live.detached.store(true, Ordering::Release);
            }
            return Ok(Submission::new(self.shared.clone(), live, false));
        }
        let task = self.stored(session, id).await?;
        if task.state != TaskState::Ended {
            let unwritten =
                Error::store("the end of the task could not be written; it runs again when the router is started anew");
            return Err(unwritten.with_ids(session, Some(id)));
        }
        Ok(Submission::new(self.shared.clone(), self.shared.rejoin(task), false))
    }
}

fn unknown(session: SessionId, id: TaskId) -> Error {
    Error::not_found(format!("there is no task {id} in session {session}"))
        .with_code("task_not_found")
        .with_param("task_id")
}

impl Shared {
    /// An ended task of which only the store has something, as one to read: its text is one piece.
    fn rejoin(&self, task: Task) -> Arc<Live> {
        let base = self.core.lock().engine.first_base();
        let transcript = Transcript::new(u32::MAX as usize, 0).numbered_from(base);
        let live = Live::new(Arc::new(TaskSpec::of_stored(&task)), transcript, &self.memory, true);
        {
            let mut state = live.state.lock();
            state.state = TaskState::Ended;
            state.accepted = Some(Ok(()));
            state.rejoined = true;
            state.transcript.begin(task.fence);
            if !task.text.is_empty() {
                state.transcript.push(task.fence, &task.text, None);
            }
            state.transcript.seal();
            state.outcome = task.outcome;
            let end = TaskEnd::stored(task);
            state.end = Some(end.told.clone());
            state.closed = Some(end);
        }
        live
    }

    pub(super) fn find(&self, session: SessionId, id: TaskId) -> Option<Arc<Live>> {
        let core = self.core.lock();
        core.by_id.get(&(session, id)).and_then(|gid| core.live.get(gid)).cloned()
    }

    /// The store has written the task down, or could not.
    fn accept_written(self: &Arc<Self>, live: &Arc<Live>, answer: Result<Accepted>) {
        let failed = answer.is_err();
        let wakers = {
            let mut state = live.state.lock();
            if let Err(error) = &answer {
                state.end.get_or_insert_with(|| Err(error.clone()));
            }
            // Where the end is written already, the task is.
            state.accepted.get_or_insert_with(|| answer.map(|_| ()));
            state.take_wakers()
        };
        if failed {
            self.step(Event::Cancel(live.spec.gid));
        }
        wake(wakers);
    }

    /// A held task is not to be: no trace of it is left.
    fn forget(self: &Arc<Self>, live: &Arc<Live>, unwritten: bool) {
        live.detached.store(true, Ordering::Release);
        let give_back = unwritten.then_some(live.spec.id);
        self.step(Event::Forget { gid: live.spec.gid, give_back });
        let mut core = self.core.lock();
        core.live.remove(&live.spec.gid);
        // Its number may be another's by now.
        let key = (live.spec.session_id, live.spec.id);
        if core.by_id.get(&key) == Some(&live.spec.gid) {
            core.by_id.remove(&key);
        }
    }
}
