//! Submitting, finding and cancelling tasks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::drive::Deed;
use super::ending::stored_end;
use super::intake::{Checked, Intake, RepeatKey};
use super::live::{Judged, Live, LiveSpec, wake, weight_of};
use super::memory::Memory;
use super::shared::{Router, Shared};
use super::submission::{Submission, SubmitOptions, written_down};
use crate::engine::{self, Effect, Event, Refusal};
use crate::model::{
    Policy, RequestKind, SessionId, SessionSpec, Task, TaskId, TaskRequest, TaskState, Timestamp, ValidationSpec,
    estimate_tokens,
};
use crate::store::{Accepted, Idempotency, NewTask, Pending, TaskPage, TaskQuery};
use crate::{Error, ErrorKind, Result};

/// A task that the engine took, what the store will say of it, and what is to be done.
type Admitted = (Arc<Live>, Submission, Pending<Accepted>, Vec<Deed>);

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
        let admitted = self.admit(checked);
        let (live, submission, pending, deeds) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => return self.replay(idempotency, refusal).await,
        };
        let mut pending = Some(pending);
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

    /// Brings a new task in: the engine has it, and the store is asked to write it down.
    fn admit(&self, checked: Checked) -> Result<Admitted> {
        let Checked { session, mut request, idempotency, detach, any_model, patience } = checked;
        let shared = &self.shared;
        let now = shared.clock.now();
        let limits = &shared.config.limits;
        let timeout = patience.or(request.timeout).unwrap_or(limits.default_timeout_secs as f64);
        let deadline = now.plus((timeout.min(limits.max_timeout_secs as f64) * 1_000.0) as u64);
        let weight = weight_of(&request);
        let mut core = shared.core.lock();
        if !core.make_room(weight, &shared.memory) {
            shared.metrics.refused();
            return Err(Memory::full());
        }
        let Some(record) = core.sessions.get(&session) else { return Err(super::sessions::unknown(session)) };
        let retention = record.spec.retention.clone();
        let (mut task, mut judged) =
            shared.engine_task(&record.spec, &request, session, (now, deadline), idempotency.is_some())?;
        let (asked, on_failure) = (task.model.clone(), task.on_failure);
        if let Some(most) = request.max_miners.filter(|most| *most > 1 && task.required > 1) {
            let there = core.engine.answers_for(&task, most);
            if there < most {
                // Written down as it is asked for, so that a restart does not wait for miners that never were.
                Arc::make_mut(&mut request).max_miners = Some(there);
                (task, judged) =
                    shared.engine_task(&record.spec, &request, session, (now, deadline), idempotency.is_some())?;
            }
        }
        task.any_model = any_model;
        task.attached = !detach;
        task.open_ended = patience.is_some() && task.streaming && task.required == 1;
        let open_ended = task.open_ended;
        let effects = core.engine.step(Event::Submit(Box::new(task)), now);
        let (gid, id, band) = match effects.first() {
            Some(Effect::Admitted { gid, id, band }) => (*gid, *id, *band),
            Some(Effect::Refused { reason, retry_after_ms }) => {
                shared.metrics.refused();
                return Err(refusal(*reason, *retry_after_ms, session, asked.as_deref()));
            }
            _ => return Err(Error::internal("the engine neither admitted nor refused the task")),
        };
        shared.metrics.submitted();
        let live = Live::new(LiveSpec {
            gid,
            session_id: session,
            id,
            request: request.clone(),
            model: asked,
            created_at: now,
            deadline,
            retention,
            judged,
            on_failure,
            shadow: false,
            detached: detach,
            max_output_bytes: shared.config.limits.max_output_bytes,
            window_bytes: shared.config.limits.stream_window_bytes,
            base: core.engine.first_base(),
            memory: shared.memory.clone(),
            open_ended,
        });
        core.live.insert(gid, live.clone());
        core.by_id.insert((session, id), gid);
        // Under the lock, so that no miner's answer can reach the store before the task itself.
        let pending = shared.store.accept(NewTask {
            gid,
            session_id: session,
            id,
            request,
            band,
            created_at: now,
            deadline,
            idempotency,
        });
        let submission = Submission::new(shared.clone(), live.clone(), false);
        let deeds = shared.apply(&mut core, effects, now);
        Ok((live, submission, pending, deeds))
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
                shared.step(Event::Release(live.gid));
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
            return Ok(self.shared.task_now(&live));
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
                *task = self.shared.task_now(&live);
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
            self.shared.step(Event::Cancel(live.gid));
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
            .with_ids(session.0, Some(id.0))),
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
            return Err(unwritten.with_ids(session.0, Some(id.0)));
        }
        let live = Live::new(LiveSpec {
            gid: task.gid,
            session_id: session,
            id,
            request: task.request.clone(),
            model: task.model.as_deref().map(Arc::from),
            created_at: task.created_at,
            deadline: task.deadline,
            retention: "all".into(),
            judged: None,
            on_failure: task.request.on_failure.unwrap_or_default(),
            shadow: false,
            detached: true,
            open_ended: false,
            max_output_bytes: u64::from(u32::MAX),
            window_bytes: 0,
            base: self.shared.core.lock().engine.first_base(),
            memory: self.shared.memory.clone(),
        });
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
            state.outcome = task.outcome.map(|outcome| (outcome, engine::EndCause::Done));
            state.end = Some(stored_end(task));
        }
        Ok(Submission::new(self.shared.clone(), live, false))
    }
}

fn unknown(session: SessionId, id: TaskId) -> Error {
    Error::not_found(format!("there is no task {id} in session {session}"))
        .with_code("task_not_found")
        .with_param("task_id")
}

fn refusal(reason: Refusal, retry_after_ms: u64, session: SessionId, model: Option<&str>) -> Error {
    let overloaded = |message: &str, code| {
        Error::new(ErrorKind::Overloaded, message).with_code(code).with_retry_after_ms(retry_after_ms)
    };
    match reason {
        Refusal::NoSession => super::sessions::unknown(session),
        Refusal::SessionClosed => {
            Error::new(ErrorKind::Conflict, format!("session {session} is closed: create another one"))
                .with_code("session_closed")
                .with_param("session_id")
        }
        Refusal::SessionExhausted => Error::new(
            ErrorKind::Conflict,
            format!("session {session} has taken all the tasks that max_task_execution_count allows"),
        )
        .with_code("session_exhausted")
        .with_param("session_id"),
        Refusal::QueueFull => overloaded("too many tasks wait for a miner: try again later", "queue_full"),
        Refusal::SessionQueueFull => {
            overloaded("too many tasks of this session wait for a miner: try again later", "session_queue_full")
        }
        Refusal::DeadlineUnreachable => overloaded(
            "the task would wait longer than its timeout: try again later or give it a longer one",
            "deadline_unreachable",
        ),
        Refusal::NoMiner => Error::new(
            ErrorKind::Unavailable,
            "no miner is connected: add a miner or an upstream to the router, or start it with --upstream URL",
        )
        .with_code("no_miner")
        .with_retry_after_ms(retry_after_ms),
        Refusal::TooFewMiners { wanted, there } => Error::new(
            ErrorKind::Unavailable,
            format!("the task needs {wanted} miners and {there} are there that could serve it: connect more, ask for fewer (the session's redundant and min_num_of_nodes), or give max_miners, which takes as many as there are"),
        )
        .with_code("too_few_miners")
        .with_retry_after_ms(retry_after_ms),
        Refusal::NoModel => Error::not_found(match model {
            Some(model) => format!("no miner serves the model {model:?}: the list of models says which are there"),
            None => "no miner that is connected can serve this kind of request".to_owned(),
        })
        .with_code("model_not_found")
        .with_param("model"),
    }
}

impl Shared {
    /// The task as the engine sees it, and how its answers are compared where several are wanted.
    ///
    /// # Errors
    /// `InvalidArgument` names the field.
    pub(super) fn engine_task(
        &self,
        session: &SessionSpec,
        request: &TaskRequest,
        id: SessionId,
        (created_at, deadline): (Timestamp, Timestamp),
        held: bool,
    ) -> Result<(engine::NewTask, Option<Judged>)> {
        let text = request.prompt_text();
        let model = request.model.as_deref().or((!session.model.is_empty()).then_some(session.model.as_str()));
        // Vectors are compared by whoever uses them.
        let embedding = request.kind == RequestKind::Embedding;
        let required = if embedding { 1 } else { request.max_miners.unwrap_or(session.redundant).max(1) };
        let how = match &request.validation {
            Some(own) => Some(own.over(&session.validation)?),
            None if required > 1 => Some(ValidationSpec::default().over(&session.validation)?),
            None => None,
        };
        let how = how.filter(|how| required > 1 && how.policy != Policy::First);
        let task = engine::NewTask {
            session: id,
            model: model.map(Arc::from),
            any_model: false,
            embedding,
            band: request.priority,
            prompt_tokens: estimate_tokens(&text),
            max_tokens: request.token_limit().unwrap_or(self.config.limits.default_max_tokens),
            bytes: text.len() as u64
                + request.extra.iter().map(|(key, value)| key.len() + value.get().len()).sum::<usize>() as u64,
            deadline,
            streaming: request.stream,
            required,
            judged: how.is_some(),
            // Where all must agree one more answer cannot help.
            precommit_by: request
                .precommit_timeout
                .map_or(Timestamp(u64::MAX), |secs| created_at.plus((secs * 1_000.0) as u64)),
            tie_break: how.as_ref().is_some_and(|how| how.tie_break && how.policy != Policy::All),
            on_failure: request.on_failure.unwrap_or(self.config.dispatch.on_failure),
            shadow: false,
            attached: false,
            open_ended: false,
            prefix: engine::prefix_blocks(&text),
            held,
        };
        Ok((task, how.map(|how| Judged { how, asked: required })))
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
            self.step(Event::Cancel(live.gid));
        }
        wake(wakers);
    }

    /// A held task is not to be: no trace of it is left.
    fn forget(self: &Arc<Self>, live: &Arc<Live>, unwritten: bool) {
        live.detached.store(true, Ordering::Release);
        let give_back = unwritten.then_some(live.id);
        self.step(Event::Forget { gid: live.gid, give_back });
        let mut core = self.core.lock();
        core.live.remove(&live.gid);
        // Its number may be another's by now.
        let key = (live.session_id, live.id);
        if core.by_id.get(&key) == Some(&live.gid) {
            core.by_id.remove(&key);
        }
    }
}
