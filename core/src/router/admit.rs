//! Admits tasks. [`Shared::admit`] does three things in one step under the core's lock: the engine takes the task, the
//! memory holds it, and the store is asked to write it. It serves callers, the recovery at the start, and the router's
//! own tasks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::core::Core;
use super::drive::Deeds;
use super::in_force::Settings;
use super::intake::Checked;
use super::live::{Live, weight_of};
use super::memory::Memory;
use super::quota::{Charge, Reservation};
use super::shared::Shared;
use super::skills::skill_of;
use super::transcript::Transcript;
use crate::engine::{self, Demand, Effect, Event, Refusal, Skills};
use crate::model::{
    Gid, OnFailure, Policy, RequestKind, Retention, SessionId, SessionSpec, Task, TaskId, TaskRequest, Timestamp,
    ValidationSpec, estimate_tokens,
};
use crate::store::{Accepted, Pending, StoreKind};
use crate::task::{Idempotency, Judged, TaskSpec, TraceContext};
use crate::{Error, ErrorKind, Result};

/// The source of a task.
pub(super) enum Origin {
    /// A caller: the store is asked to write the task down, at once or together with the task's end.
    Caller { idempotency: Option<Idempotency>, detach: bool, with_end: bool },
    /// The store: the last process left the task unfinished under these ids, or its end was lost.
    Store { gid: Gid, id: TaskId },
    /// Another router, which is gone: the attempt that it began goes on under these ids.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "without links nobody has attempts of others"))]
    Heir(Box<engine::Heir>),
    /// The router itself, on behalf of another task: it is never written down.
    Router,
}

/// The time at which the store is asked for a new row.
enum Row {
    Now,
    WithEnd,
    /// Never: the store has the row, or must not have one.
    None,
}

/// A task on its way in.
pub(super) struct Entrant {
    /// The needs of the task, for the engine.
    pub(super) demand: Demand,
    /// The key under which the task is counted.
    pub(super) key: Option<Arc<str>>,
    pub(super) request: Arc<TaskRequest>,
    pub(super) judged: Option<Judged>,
    pub(super) created_at: Timestamp,
    pub(super) retention: Retention,
    pub(super) trace: Option<Arc<TraceContext>>,
    pub(super) origin: Origin,
    /// The number from which on the pieces are numbered at least.
    pub(super) base: u64,
}

/// The reason why a task was not admitted.
pub(super) enum Turned {
    Refused(Error),
    /// The session has no ids at present. The request comes back.
    LacksIds(Box<Checked>),
}

impl From<Error> for Turned {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// A task that was admitted.
pub(super) struct Admitted {
    pub(super) live: Arc<Live>,
    /// The store's answer to come; `None`: the store was not asked.
    pub(super) written: Option<Pending<Accepted>>,
    /// The deeds, which must run after the lock is released.
    pub(super) deeds: Deeds,
}

impl Shared {
    /// Admits a task.
    ///
    /// # Errors
    /// The engine's refusal, as the error that callers get.
    pub(super) fn admit(self: &Arc<Self>, core: &mut Core, entrant: Entrant, now: Timestamp) -> Result<Admitted> {
        // Under the lock, under which the close looks at all tasks: a task is in its view, or is not admitted.
        if self.closed.load(Ordering::Acquire) {
            return Err(Self::closed_error());
        }
        let Entrant { demand, key, request, judged, created_at, retention, trace, origin, base } = entrant;
        let mut spec = TaskSpec {
            gid: Gid::default(),
            id: TaskId::default(),
            band: 0,
            idempotency: None,
            session_id: demand.session,
            key,
            request,
            model: demand.model.clone(),
            created_at,
            deadline: demand.deadline,
            open_ended: demand.open_ended,
            retention,
            judged: judged.map(Box::new),
            on_failure: demand.on_failure,
            trace,
            shadow: demand.shadow,
        };
        let runs_again = matches!(origin, Origin::Store { .. });
        let event = match origin {
            Origin::Store { gid, id } => Event::Restore(gid, id, Box::new(demand)),
            Origin::Heir(ref heir) => {
                Event::Inherit(Box::new(engine::Heir { demand: Box::new(demand), ..engine::Heir::clone(heir) }))
            }
            Origin::Caller { .. } | Origin::Router => Event::Submit(Box::new(demand)),
        };
        let effects = core.engine.step(event, now);
        match (&origin, effects.first()) {
            (Origin::Store { gid, id }, _) => (spec.gid, spec.id) = (*gid, *id),
            (Origin::Heir(heir), _) => (spec.gid, spec.id) = (heir.gid, heir.id),
            (_, Some(Effect::Admitted { gid, id, band })) => (spec.gid, spec.id, spec.band) = (*gid, *id, *band),
            (_, Some(Effect::Refused { reason, retry_after_ms })) => {
                return Err(refusal(*reason, *retry_after_ms, spec.session_id, spec.model.as_deref()));
            }
            _ => return Err(Error::internal("the engine neither admitted nor refused the task")),
        }
        let base = match origin {
            // Its text goes on with the numbers that it has.
            Origin::Heir(_) => base,
            _ => base.max(core.engine.first_base()).max(if runs_again { core.rerun_base } else { 0 }),
        };
        let (row, detached) = match origin {
            Origin::Caller { idempotency, detach, with_end } => {
                spec.idempotency = idempotency;
                (if with_end { Row::WithEnd } else { Row::Now }, detach)
            }
            Origin::Store { .. } | Origin::Heir(_) | Origin::Router => (Row::None, true),
        };
        let live = self.hold(core, spec, base, detached);
        // Under the lock, so that no miner's answer can reach the store before the task itself.
        let mut written = None;
        match row {
            Row::Now => written = Some(self.store.accept(live.spec.clone())),
            Row::WithEnd => live.state.lock().row_waits = true,
            Row::None => live.state.lock().accepted = Some(Ok(())),
        }
        let deeds = self.apply(core, effects, now);
        Ok(Admitted { live, written, deeds })
    }

    /// Whether the row of a task may wait for the task's end. It saves a write, which for a store in a file is a commit.
    /// A store that refuses writes says so at once, before a miner works for nothing.
    fn writes_rows_with_ends(&self) -> bool {
        self.store.kind() == StoreKind::Memory || self.store.check().is_ok()
    }

    /// Puts a task into memory. Its pieces have the numbers after `base`.
    pub(super) fn hold(&self, core: &mut Core, spec: TaskSpec, base: u64, detached: bool) -> Arc<Live> {
        let settings = self.settings.now();
        let limits = &settings.limits;
        // The stream of the router's own tasks has no readers.
        let window = if spec.shadow { 0 } else { limits.stream_window_bytes };
        let transcript = Transcript::new(limits.max_output_bytes as usize, window as usize).numbered_from(base);
        let live = Live::new(Arc::new(spec), transcript, &self.memory, detached);
        let spec = &live.spec;
        if !spec.shadow {
            core.by_id.insert((spec.session_id, spec.id), spec.gid);
        }
        core.live.insert(spec.gid, live.clone());
        live
    }

    /// Admits a caller's task.
    ///
    /// # Errors
    /// `NotFound` if there is no such session or model; `Overloaded`, `Unavailable` and `Conflict` give the reason why
    /// the task was refused.
    pub(super) fn submitted(self: &Arc<Self>, checked: Checked) -> Result<Admitted, Turned> {
        let early = self.membership.is_some().then(|| self.core.lock());
        if early.as_ref().is_some_and(|core| core.engine.lacks_ids(checked.session)) {
            return Err(Turned::LacksIds(Box::new(checked)));
        }
        let Checked { session, key, meter, mut request, text, idempotency, .. } = checked;
        let Checked { detach, waits, any_model, patience, trace, route, .. } = checked;
        let trace = self.traced(trace, route);
        let now = self.clock.now();
        let settings = self.settings.now();
        let limits = &settings.limits;
        let timeout = patience.or(request.timeout).unwrap_or(limits.default_timeout_secs as f64);
        let deadline = now.plus((timeout.min(limits.max_timeout_secs as f64) * 1_000.0) as u64);
        let mut core = early.unwrap_or_else(|| self.core.lock());
        if !core.make_room(weight_of(&request), &self.memory) {
            drop(core);
            return Err(self.refused(session, Memory::full()).into());
        }
        let Some(record) = core.sessions.get(&session) else {
            return Err(super::sessions::absent(&core, session).into());
        };
        let session_meter = match self.terms(record, request.model.as_deref(), now) {
            Ok(meter) => meter,
            Err(error) => {
                drop(core);
                return Err(self.refused(session, error).into());
            }
        };
        let retention = record.spec.retention;
        let demand =
            |request: &TaskRequest| Self::demand(&settings, &record.spec, (request, &text), session, (now, deadline));
        let (mut task, mut judged) = demand(&request)?;
        if let Some(most) = request.max_miners.filter(|most| *most > 1 && task.required > 1) {
            let there = core.engine.answers_for(&task, most);
            if there < most {
                // The store keeps the lowered number, so that after a restart the task does not wait for more miners.
                Arc::make_mut(&mut request).max_miners = Some(there);
                task.required = there;
                judged = judged.filter(|_| there > 1).map(|judged| Judged { asked: there, ..judged });
                task.judged = judged.is_some();
                task.tie_break &= task.judged;
            }
        }
        task.held = idempotency.is_some();
        // A name of several models means these and no other.
        task.any_model = any_model && task.targets.is_empty() && record.spec.models.is_empty();
        task.attached = !detach;
        task.open_ended = patience.is_some() && task.streaming && task.required == 1;
        let meters = meter.into_iter().chain(session_meter);
        let reserved = match meters.map(|meter| meter.admit(greatest_use(&task, &request))).collect::<Result<_>>() {
            Ok(reserved) => reserved,
            Err(error) => {
                drop(core);
                return Err(self.refused(session, error).into());
            }
        };
        let with_end = waits && idempotency.is_none() && !detach && self.writes_rows_with_ends();
        let origin = Origin::Caller { idempotency, detach, with_end };
        let entrant =
            Entrant { demand: task, key, request, judged, created_at: now, retention, trace, origin, base: 0 };
        match self.admit(&mut core, entrant, now) {
            Ok(admitted) => {
                self.metrics.submitted();
                let reserved: SmallVec<[Reservation; 1]> = reserved;
                if !reserved.is_empty() {
                    admitted.live.state.lock().charge = Some(Charge::Reserved(reserved));
                }
                Ok(admitted)
            }
            Err(error) => {
                drop(core);
                Err(self.refused(session, error).into())
            }
        }
    }

    /// Counts and logs a refused task.
    fn refused(&self, session: SessionId, error: Error) -> Error {
        self.metrics.refused(error.code());
        let (code, bound) = (error.code(), bound_of(error.code()));
        tracing::info!(session = session.0, code, bound, "a task is refused");
        error
    }

    /// Admits a task that the store has as unfinished, under its old ids. `band`: the band in which it waited; `None`:
    /// the one that its request and its session give it now. Its pieces are numbered from `base` on at least.
    pub(super) fn restore(self: &Arc<Self>, task: &Task, band: Option<u8>, base: u64) {
        let now = self.clock.now();
        let deeds = {
            let mut core = self.core.lock();
            if core.live.contains_key(&task.gid) {
                return;
            }
            let Some(session) = core.sessions.get(&task.session_id) else { return };
            let (retention, metered) = (session.spec.retention, !session.spec.limits.is_none());
            // An accepted task stays accepted, even if the session's rules have changed.
            let (times, text) = ((task.created_at, task.deadline), task.request.prompt_text());
            let prompted = (&*task.request, &*text);
            let made = Self::demand(&self.settings.now(), &session.spec, prompted, task.session_id, times).and_then(
                |(demand, judged)| {
                    let entrant = Entrant {
                        demand: Demand { band: band.or(demand.band), ..demand },
                        key: task.key_id.clone(),
                        request: task.request.clone(),
                        judged,
                        created_at: task.created_at,
                        retention,
                        trace: None,
                        origin: Origin::Store { gid: task.gid, id: task.id },
                        base,
                    };
                    self.admit(&mut core, entrant, now)
                },
            );
            match made {
                Ok(admitted) => {
                    if task.key_id.is_some() || metered {
                        admitted.live.state.lock().charge = Some(Charge::Restored);
                    }
                    admitted.deeds
                }
                // It stays in the store for the next start.
                Err(error) if error.kind() == ErrorKind::Closed => return,
                Err(error) => {
                    tracing::error!(gid = %task.gid, %error, "an unfinished task of the store cannot be read any more");
                    return;
                }
            }
        };
        self.perform(deeds);
    }

    /// Whether a miner is up that could serve a task of the store.
    pub(super) fn serves(&self, task: &Task) -> bool {
        let core = self.core.lock();
        let Some(session) = core.sessions.get(&task.session_id) else { return false };
        let (times, text) = ((task.created_at, task.deadline), task.request.prompt_text());
        let demand = Self::demand(&self.settings.now(), &session.spec, (&task.request, &text), task.session_id, times);
        demand.is_ok_and(|(demand, _)| core.engine.attends(&demand))
    }

    /// The needs of a task, for the engine, and the rules for comparing its answers; `None`: they are not compared. The
    /// request comes with the text of its prompt.
    ///
    /// # Errors
    /// `InvalidArgument` names the field.
    pub(super) fn demand(
        settings: &Settings,
        session: &SessionSpec,
        (request, text): (&TaskRequest, &str),
        id: SessionId,
        (created_at, deadline): (Timestamp, Timestamp),
    ) -> Result<(Demand, Option<Judged>)> {
        let asked = request.model.as_deref().or(session.model.as_deref());
        let (model, targets) = match asked.and_then(|asked| settings.aliases.next(asked)) {
            Some((first, others)) => (Some(first), others),
            None => (asked.map(Arc::from), Arc::from([])),
        };
        // The router compares texts alone, so one miner answers anything else.
        let (embedding, passes) = (request.kind == RequestKind::Embedding, request.kind.passes());
        let of_api = request.only_api().and_then(skill_of).unwrap_or_default();
        let required = if embedding || passes { 1 } else { request.max_miners.unwrap_or(session.redundant).max(1) };
        let how = match &request.validation {
            Some(own) => Some(own.over(&session.validation)?),
            None if required > 1 => Some(ValidationSpec::default().over(&session.validation)?),
            None => None,
        };
        let how = how.filter(|how| required > 1 && how.policy != Policy::First);
        let task = Demand {
            session: id,
            model,
            any_model: false,
            targets,
            embedding,
            skills: if passes { of_api.and(Skills::ROUTES) } else { of_api },
            band: request.priority,
            prompt_tokens: estimate_tokens(text),
            max_tokens: request.token_limit().unwrap_or(settings.limits.default_max_tokens),
            bytes: text.len() as u64
                + request.extra.iter().map(|(key, value)| key.len() + value.get().len()).sum::<usize>() as u64
                + request.original.as_deref().map_or(0, |body| body.get().len() as u64),
            deadline,
            streaming: request.stream && !passes,
            required,
            judged: how.is_some(),
            precommit_by: request
                .precommit_timeout
                .map_or(Timestamp(u64::MAX), |secs| created_at.plus((secs * 1_000.0) as u64)),
            // If all must agree, one more answer cannot help.
            tie_break: how.as_ref().is_some_and(|how| how.tie_break && how.policy != Policy::All),
            on_failure: match request.on_failure.unwrap_or(settings.dispatch.on_failure) {
                // A continuation goes out as a chat.
                OnFailure::Continue if request.only_api().is_some() => OnFailure::Fail,
                wish => wish,
            },
            shadow: false,
            attached: false,
            open_ended: false,
            prefix: engine::prefix_blocks(text),
            held: false,
        };
        Ok((task, how.map(|how| Judged { how, asked: required })))
    }
}

/// The setting or the rule that a refused task would have exceeded.
fn bound_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "memory_full" => "limits.max_memory_bytes",
        "queue_full" => "limits.max_queued_tasks or limits.max_queued_bytes",
        "session_queue_full" => "limits.max_queued_per_session",
        "session_exhausted" => "the session's max_task_execution_count",
        "deadline_unreachable" => "the task's timeout",
        "rate_limited" | "quota_exceeded" => "the limits of the key or of the session",
        "too_few_miners" => "the miners that the task or its session wants",
        _ => return None,
    })
}

/// The tokens that a task may take: those of its prompt, and those of its longest answers.
fn greatest_use(demand: &Demand, request: &TaskRequest) -> u64 {
    if demand.embedding || request.kind.passes() {
        return demand.prompt_tokens;
    }
    let count = |name| request.extra(name).and_then(|value| serde_json::from_str::<u64>(value.get()).ok()).unwrap_or(1);
    // Each of an upstream's choices may be as long as the answer.
    let choices = count("n").max(count("best_of")).max(1);
    demand.max_tokens.saturating_mul(choices).saturating_add(demand.prompt_tokens)
}

/// The error for a session that has had all tasks that it may have.
pub(super) fn exhausted(session: SessionId) -> Error {
    refusal(Refusal::SessionExhausted, 0, session, None)
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use crate::model::{SessionId, TaskRequest};
    use crate::{Config, ErrorKind, Router, SubmitOptions};

    #[tokio::test]
    async fn a_task_that_comes_after_the_close_has_looked_at_all_tasks_is_refused() {
        let router = Router::open(Config::default().echo(true)).await.unwrap();
        // A caller has seen an open router, and comes to the lock after the close.
        router.shared.closed.store(true, Ordering::Release);
        router.shared.end_tasks(false);
        let request = TaskRequest::completion("hi");
        let error = router.submit(SessionId(0), request, SubmitOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(router.shared.core.lock().engine.unfinished(), 0);
        assert!(router.shared.core.lock().live.is_empty());
    }
}
