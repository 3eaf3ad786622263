//! Submitting, finding and cancelling tasks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::admit::{Admitted, Turned};
use super::intake::{Checked, Intake, RepeatKey, Wish};
use super::live::{Live, wake};
use super::shared::{Router, Shared};
use super::submission::{Submission, SubmitOptions};
use super::terms::StreamPermits;
use super::transcript::Transcript;
use super::wait::Waiter;
use crate::engine::Event;
#[cfg(feature = "listener")]
use crate::model::Gid;
use crate::model::{SessionId, Task, TaskId, TaskRequest, TaskState, check_word};
use crate::store::{Accepted, Pending, TaskPage, TaskQuery};
use crate::task::{Idempotency, TaskEnd, TaskSpec, TraceContext, add_hashes};
use crate::{Error, ErrorKind, Result};

impl Router {
    /// Submits a task. The router dispatches it at once, while the store writes it: await [`Submission::accepted`]
    /// before you show its ids to a client. With an idempotency key, the router waits for the store first.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; `NotFound` (session or model), `Conflict` (closed session), `Overloaded` and
    /// `Unavailable` (with a time after which to try again), `IdempotencyMismatch`, `Closed`.
    pub async fn submit(&self, session: SessionId, request: TaskRequest, options: SubmitOptions) -> Result<Submission> {
        let SubmitOptions { idempotency_key, scope, key_id, detach, any_model, patience, traceparent, tracestate } =
            options;
        let idempotency = idempotency_key.map(|key| RepeatKey { scope: scope.unwrap_or_default(), key });
        if let Some(key) = &key_id {
            check_word("key_id", key)?;
        }
        let trace = traceparent.and_then(|parent| TraceContext::read(&parent, tracestate.as_deref())).map(Arc::new);
        let rest = Intake::exactly(session, request);
        let intake = Intake { idempotency, key: key_id, detach, any_model, patience, trace, ..rest };
        self.enter(self.checked(intake).await?).await
    }

    /// Submits a checked request.
    ///
    /// # Errors
    /// The errors of [`submit`](Self::submit).
    pub(crate) async fn enter(&self, checked: Checked) -> Result<Submission> {
        let permits = if checked.request.stream {
            self.stream_permits(checked.meter.as_ref(), checked.session)?
        } else {
            StreamPermits::default()
        };
        let mut submission = self.admitted(checked).await?;
        submission.hold(permits);
        Ok(submission)
    }

    async fn admitted(&self, checked: Checked) -> Result<Submission> {
        let shared = &self.shared;
        let idempotency = checked.idempotency.clone();
        if shared.draining.load(Ordering::Acquire) {
            return Err(Shared::closed_error());
        }
        let held = idempotency.is_some();
        let Admitted { live, written, deeds } = match shared.submitted(checked) {
            Ok(admitted) => admitted,
            // The rarer ways are boxed, so that the usual one does not reserve memory for them.
            Err(turned) => return Box::pin(self.turned(idempotency, turned)).await,
        };
        let submission = Submission::new(shared.clone(), live.clone(), false);
        let mut pending = written;
        shared.perform(deeds);
        if held && let Some(pending) = pending.take() {
            let router = self.clone();
            return match pending.try_ready() {
                Ok(answer) => Box::pin(self.settle(live, submission, answer)).await,
                Err(pending) => {
                    let work = async move { router.settle(live, submission, pending.await).await };
                    Box::pin(shared.see_through(work)).await
                }
            };
        }
        if let Some(pending) = pending {
            shared.await_accept(live, pending);
        }
        Ok(submission)
    }

    /// Goes on with a request that was not admitted: it joins the task that its key has already made, or is admitted once
    /// its session has ids again.
    async fn turned(&self, key: Option<Idempotency>, turned: Turned) -> Result<Submission> {
        match turned {
            Turned::Refused(refusal) => self.replay(key, refusal).await,
            Turned::LacksIds(checked) => match self.shared.await_ids(checked.session).await {
                Ok(()) => self.admitted(*checked).await,
                Err(refusal) => self.replay(key, refusal).await,
            },
        }
    }

    /// Joins the task that this idempotency key has already made, although the router refuses new work at present.
    /// Without such a task, the refusal is the result.
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

    /// Releases a held task or drops it, after the store has answered whether its idempotency key is new.
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
                // After any other error, the store may have written the task, so its number is not used again.
                shared.forget(&live, error.kind() == ErrorKind::IdempotencyMismatch);
                shared.doubt(&error);
                Err(shared.reread_ids(error))
            }
        }
    }

    /// One task.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn task(&self, session: SessionId, id: TaskId) -> Result<Task> {
        if let Some(live) = self.shared.find(session, id) {
            self.shared.written_down(&live).await?;
            let mut task = self.shared.task_of(&live);
            self.with_deliveries(std::slice::from_mut(&mut task)).await?;
            return Ok(task);
        }
        let mut task = self.stored(session, id).await?;
        self.with_deliveries(std::slice::from_mut(&mut task)).await?;
        Ok(task)
    }

    async fn stored(&self, session: SessionId, id: TaskId) -> Result<Task> {
        self.learn_session(&Wish::Exactly(session)).await?;
        self.session(session)?;
        let mut task = self.shared.store.task(session, id).await?.ok_or_else(|| unknown(session, id))?;
        add_hashes(&mut task);
        Ok(task)
    }

    /// A page of a session's tasks, oldest first.
    ///
    /// # Errors
    /// `NotFound` when there is no such session.
    pub async fn tasks(&self, query: TaskQuery) -> Result<TaskPage> {
        self.learn_session(&Wish::Exactly(query.session_id)).await?;
        self.session(query.session_id)?;
        let mut page = self.shared.store.tasks(query).await?;
        for task in &mut page.tasks {
            if task.state == TaskState::Ended {
                add_hashes(task);
            } else if let Some(live) = self.shared.find(task.session_id, task.id) {
                *task = self.shared.task_of(&live);
            }
        }
        self.with_deliveries(&mut page.tasks).await?;
        Ok(page)
    }

    /// Cancels a task and waits until the cancellation is durable. Cancelling a cancelled task changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if the task has ended otherwise; the store's error if the end could not be written.
    pub async fn cancel(&self, session: SessionId, id: TaskId) -> Result<Task> {
        let found = self.shared.find(session, id);
        if found.is_none() && self.shared.membership.is_some() {
            let task = self.stored(session, id).await?;
            if task.state != TaskState::Ended {
                self.shared.cancel_elsewhere(task.gid, (session, id)).await?;
            }
        }
        if let Some(live) = found {
            self.shared.step(Event::Cancel(live.spec.gid));
            let submission = Submission::new(self.shared.clone(), live.clone(), true);
            // The outcome is reported below; an end that the store could not write is an error here.
            let end = submission.result().await;
            if live.state.lock().unwritten.is_some() {
                end?;
            }
        }
        let task = self.task(session, id).await?;
        if task.state != TaskState::Ended {
            return Err(unwritten(session, id));
        }
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

    /// Deletes a task that has ended, with its request and its answer. Its usage stays counted. Whoever reads the task at
    /// this time may read on.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` with the code `task_running` while the task has not ended; the store's error.
    #[cfg(feature = "listener")]
    pub(crate) async fn delete_task(&self, session: SessionId, id: TaskId) -> Result<()> {
        let shared = &self.shared;
        let gid = match shared.find(session, id) {
            Some(live) => {
                shared.written_down(&live).await?;
                let state = live.state.lock();
                if state.unwritten.is_some() {
                    return Err(unwritten(session, id));
                }
                if state.state != TaskState::Ended {
                    return Err(running(session, id));
                }
                live.spec.gid
            }
            None => self.stored(session, id).await?.gid,
        };
        let deleted = shared.store.delete_task(gid).await?;
        if !deleted {
            match self.stored(session, id).await {
                // Its end could not be written, and it runs again.
                Ok(_) => return Err(running(session, id)),
                // The retention was over, or it was deleted at the same time.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        let forgotten = shared.core.lock().forget_ended(gid);
        if deleted || forgotten.is_some() { Ok(()) } else { Err(unknown(session, id)) }
    }

    /// Joins a task, running or ended, to wait for it or to read its tokens. Dropping the submission does not cancel
    /// the task while another handle of it exists.
    ///
    /// # Errors
    /// `NotFound`; the store's error if the task's end could not be written.
    pub async fn attach(&self, session: SessionId, id: TaskId) -> Result<Submission> {
        match self.shared.find(session, id) {
            Some(live) => self.attach_live(live).await,
            None => self.attach_stored(self.stored(session, id).await?),
        }
    }

    /// Joins the task with that number, like [`attach`](Self::attach); `None`: there is no such task in a session that
    /// `may_use` allows.
    ///
    /// # Errors
    /// The store's error.
    #[cfg(feature = "listener")]
    pub(crate) async fn attach_gid(&self, gid: Gid, may_use: impl Fn(SessionId) -> bool) -> Result<Option<Submission>> {
        let live = self.shared.core.lock().live.get(&gid).cloned();
        if let Some(live) = live {
            return if may_use(live.spec.session_id) { self.attach_live(live).await.map(Some) } else { Ok(None) };
        }
        let found = self.shared.store.task_by_gid(gid).await?;
        let Some(mut task) = found.filter(|task| may_use(task.session_id)) else { return Ok(None) };
        add_hashes(&mut task);
        self.attach_stored(task).map(Some)
    }

    pub(super) async fn attach_live(&self, live: Arc<Live>) -> Result<Submission> {
        self.shared.written_down(&live).await?;
        if live.attached.load(Ordering::Acquire) == 0 {
            live.detached.store(true, Ordering::Release);
        }
        Ok(Submission::new(self.shared.clone(), live, false))
    }

    fn attach_stored(&self, task: Task) -> Result<Submission> {
        if task.state != TaskState::Ended && self.shared.membership.is_some() {
            // It is another router's, or comes into memory in a moment: its row tells of its end.
            let live = self.shared.follow_stored(&task);
            return Ok(Submission::new(self.shared.clone(), live, false));
        }
        if task.state != TaskState::Ended {
            return Err(unwritten(task.session_id, task.id));
        }
        Ok(Submission::new(self.shared.clone(), self.shared.rejoin(task), false))
    }
}

/// The error for a task that the store has as unfinished and that does not run.
fn unwritten(session: SessionId, id: TaskId) -> Error {
    Error::store("the end of the task could not be written; it runs again as soon as the store works: ask again later")
        .with_ids(session, Some(id))
}

/// The error for a task that cannot be deleted yet.
#[cfg(feature = "listener")]
fn running(session: SessionId, id: TaskId) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("task {id} has not ended: cancel it, or wait for its end, before you delete it"),
    )
    .with_code("task_running")
    .with_ids(session, Some(id))
}

fn unknown(session: SessionId, id: TaskId) -> Error {
    Error::not_found(format!("there is no task {id} in session {session}"))
        .with_code("task_not_found")
        .with_param("task_id")
}

impl Shared {
    /// Makes a readable task of an ended task that only the store has. Its text is one piece.
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
            state.end = Some(end.result.clone());
            state.closed = Some(end);
        }
        live
    }

    pub(super) fn find(&self, session: SessionId, id: TaskId) -> Option<Arc<Live>> {
        let core = self.core.lock();
        core.by_id.get(&(session, id)).and_then(|gid| core.live.get(gid)).cloned()
    }

    /// Waits until the store has written the task, or has failed to.
    pub(super) async fn written_down(self: &Arc<Self>, live: &Arc<Live>) -> Result<()> {
        self.write_down(live);
        let waiter = Waiter::new(live);
        std::future::poll_fn(|cx| waiter.poll(cx, |state| state.accepted.clone())).await
    }

    /// Asks the store for a task whose row was to come with its end: somebody wants to know of the task before.
    pub(super) fn write_down(self: &Arc<Self>, live: &Arc<Live>) {
        let pending = {
            let mut state = live.state.lock();
            if !state.row_waits || state.closed.is_some() {
                return;
            }
            state.row_waits = false;
            // Under the lock, so that the end cannot reach the store before the task.
            self.store.accept(live.spec.clone())
        };
        self.await_accept(live.clone(), pending);
    }

    /// Asks the store to write the end of a task, together with the task if the store has not been asked for it yet
    /// (`row_waits`).
    pub(super) fn write_row(&self, live: &Live, end: Arc<Task>, row_waits: bool) -> Pending<bool> {
        if row_waits { self.store.record(live.spec.clone(), end) } else { self.store.finish(end) }
    }

    fn await_accept(self: &Arc<Self>, live: Arc<Live>, pending: Pending<Accepted>) {
        match pending.try_ready() {
            Ok(answer) => self.accept_written(&live, answer),
            Err(pending) => {
                let shared = self.clone();
                self.attend(async move {
                    let answer = pending.await;
                    shared.accept_written(&live, answer);
                });
            }
        }
    }

    /// Records whether the store has written the task, and wakes the waiters.
    fn accept_written(self: &Arc<Self>, live: &Arc<Live>, answer: Result<Accepted>) {
        let answer = answer.map_err(|error| self.reread_ids(error));
        let failed = answer.is_err();
        if let Err(error) = &answer {
            self.doubt(error);
        }
        let wakers = {
            let mut state = live.state.lock();
            if let Err(error) = &answer {
                state.end.get_or_insert_with(|| Err(error.clone()));
            }
            // If the end is already written, so is the task.
            state.accepted.get_or_insert_with(|| answer.map(|_| ()));
            state.take_wakers()
        };
        if failed {
            self.step(Event::Cancel(live.spec.gid));
        }
        wake(wakers);
    }

    /// Removes a held task without a trace. `unwritten`: the store does not have it, so its number may be used again.
    fn forget(self: &Arc<Self>, live: &Arc<Live>, unwritten: bool) {
        live.detached.store(true, Ordering::Release);
        let give_back = unwritten.then_some(live.spec.id);
        self.step(Event::Forget { gid: live.spec.gid, give_back });
        let mut core = self.core.lock();
        core.live.remove(&live.spec.gid);
        // Another task may have got its number in the meantime.
        let key = (live.spec.session_id, live.spec.id);
        if core.by_id.get(&key) == Some(&live.spec.gid) {
            core.by_id.remove(&key);
        }
    }
}
