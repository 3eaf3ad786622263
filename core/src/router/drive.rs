//! Passes events to the engine and carries out its effects: offers to miners, rows for the store, ends for callers.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use smallvec::SmallVec;
use tracing::Level;

use super::attempt::Attempt;
use super::core::Core;
use super::live::{Live, LiveState, wake};
use super::metrics::Ended;
use super::quota::Charge;
use super::shared::Shared;
use super::slot::MinerSlot;
use super::spans::{Tried, parent_for};
use super::unwritten::Unwritten;
use crate::engine::{BreakerState, Effect, EndCause, Event, MinerKey, Role, StopReason};
use crate::miner::{FailClass, Failure, Job, JobInfo, Miner};
use crate::model::{Fence, Gid, Outcome, StoreKind, TaskState, Timestamp, estimate_tokens};
use crate::store::UsageCounts;
use crate::task::error_of;
use crate::{Error, Result};

/// An action that the router takes after it has released the core's lock.
pub(super) enum Deed {
    /// Offer the job to the miner.
    Offer(Arc<dyn Miner>, Offered),
    /// Write the end of the task to the store.
    Finish(Arc<Live>),
    /// Show the end of the task to its callers.
    Ended(Arc<Live>, Afterwards),
    /// Compare the answers of the task.
    Judge(Arc<Live>),
    /// Log that tasks end because no miner is up, with the miners' own words.
    Deserted(String),
    /// Write a line into the log.
    Log(Box<dyn FnOnce() + Send>),
    /// Write the miner's reputation to the store.
    Reputed(Arc<str>, f64),
    /// Lend a slot of the miner for the deputy of another router's task.
    #[cfg(feature = "postgres")]
    Lend(Gid, Lent, Arc<dyn Miner>),
    /// Take back a slot that was lent.
    #[cfg(feature = "postgres")]
    Lapse(Fence),
}

/// A slot that is lent.
#[cfg(feature = "postgres")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Lent {
    pub(super) miner: MinerKey,
    /// The fence under which the slot is taken.
    pub(super) fence: Fence,
    /// Whether the miner is kept for the session of the task for which the slot is lent.
    pub(super) kept: bool,
}

/// A job on its way to its miner. Its attempt keeps the description meanwhile, because a deed is moved several times.
pub(super) struct Offered(Arc<Attempt>);

impl Offered {
    /// The job, once.
    fn job(&self) -> Option<Job> {
        Some(Job::new(self.0.take_info()?, self.0.clone()))
    }
}

impl Drop for Offered {
    /// A job that did not reach its miner fails as one does that a miner drops.
    fn drop(&mut self) {
        drop(self.job());
    }
}

/// The place of a task after its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// The task stays in memory for a while, because the store cannot give all of it.
    Stays,
    /// The store has the task, and the memory has it no more.
    Stored,
    /// The store does not have the end. The task runs again if the store has the task.
    Lost,
}

/// The deeds of one event. Most events lead to one deed at most, which needs no memory of its own.
pub(super) type Deeds = SmallVec<[Deed; 1]>;

thread_local! {
    /// Deeds that wait on this thread while another deed runs. A miner may answer inside `offer` and so become free for
    /// the next task. This queue turns the recursion that would follow, as deep as the queue of tasks is long, into a
    /// loop.
    static WAITING: RefCell<Waiting> = const { RefCell::new(Waiting { is_running: false, queue: VecDeque::new() }) };
}

struct Waiting {
    /// Whether a deed runs.
    is_running: bool,
    queue: VecDeque<(Arc<Shared>, Deed)>,
}

/// The number of deeds for which a thread keeps the memory. Every task needs a place or two for a moment.
const KEPT: usize = 16;

/// Empties the queue when the outermost call ends. After a panic too, the next caller on this thread must find it empty.
struct Reset;

impl Drop for Reset {
    fn drop(&mut self) {
        let left = WAITING.with_borrow_mut(|waiting| {
            waiting.is_running = false;
            let keeps = waiting.queue.is_empty() && waiting.queue.capacity() <= KEPT;
            if keeps { VecDeque::new() } else { std::mem::take(&mut waiting.queue) }
        });
        // Outside of the borrow, because dropping a job that is left may lead to deeds of its own.
        drop(left);
    }
}

/// Lets a line be logged after the lock is released, if the log has lines at that level.
fn log_debug(deeds: &mut Deeds, write: impl FnOnce() + Send + 'static) {
    if tracing::enabled!(Level::DEBUG) {
        deeds.push(Deed::Log(Box::new(write)));
    }
}

/// Logs that the breaker of a miner changed.
fn switched(miner: &str, state: BreakerState, now: Timestamp, last_failure: Option<&str>) {
    match state {
        BreakerState::Open(until) => {
            let for_ms = until.since(now);
            tracing::warn!(miner, for_ms, last_failure, "a breaker opened: the miner gets no tasks for a while");
        }
        BreakerState::HalfOpen => {
            tracing::info!(miner, last_failure, "a breaker is half open: one task tries the miner");
        }
        BreakerState::Closed => tracing::info!(miner, "a breaker closed: the miner gets tasks again"),
    }
}

impl Shared {
    /// Passes an event to the engine and carries out the effects.
    pub(super) fn step(self: &Arc<Self>, event: Event) {
        self.step_at(event, self.clock.now());
    }

    /// Passes an event of that time to the engine and carries out the effects.
    pub(super) fn step_at(self: &Arc<Self>, event: Event, now: Timestamp) {
        self.step_with(now, |_| Some(event));
    }

    /// Changes the tables, and passes the event that follows from the change to the engine, under one lock: nothing
    /// comes in between. Carries out the effects. `None`: nothing follows.
    pub(super) fn step_with(self: &Arc<Self>, now: Timestamp, change: impl FnOnce(&mut Core) -> Option<Event>) {
        let deeds = {
            let mut core = self.core.lock();
            let Some(event) = change(&mut core) else { return };
            let effects = core.engine.step(event, now);
            self.apply(&mut core, effects, now)
        };
        self.perform(deeds);
    }

    /// Updates the records in memory for these effects. Returns the deeds, which must run after the lock is released.
    pub(super) fn apply(self: &Arc<Self>, core: &mut Core, mut effects: Vec<Effect>, now: Timestamp) -> Deeds {
        let mut deeds = Deeds::new();
        let mut gone: SmallVec<[Gid; 1]> = SmallVec::new();
        for effect in effects.drain(..) {
            match effect {
                // The state after the end is shown with all that belongs to the end.
                Effect::Admitted { .. }
                | Effect::Refused { .. }
                | Effect::Stands { .. }
                | Effect::State { state: TaskState::Ended, .. } => {}
                Effect::Offer { gid, miner, fence, role } => {
                    let (Some(live), Some(slot)) = (core.live.get(&gid), core.miners.get(&miner)) else {
                        debug_assert!(false, "task {gid} is offered to {miner:?}, and one of them is not there");
                        continue;
                    };
                    let job = self.job(live, slot, fence, role, now);
                    log_debug(&mut deeds, {
                        let miner = slot.name.clone();
                        move || tracing::debug!(%gid, %fence, miner = &*miner, ?role, "a miner gets a task")
                    });
                    deeds.push(Deed::Offer(slot.miner.clone(), job));
                }
                #[cfg(feature = "postgres")]
                Effect::Lend { gid, miner, fence, kept } => {
                    if let Some(slot) = core.miners.get(&miner) {
                        deeds.push(Deed::Lend(gid, Lent { miner, fence, kept }, slot.miner.clone()));
                    }
                }
                #[cfg(not(feature = "postgres"))]
                Effect::Lend { .. } => {}
                Effect::NeedIds { session } => self.fetch_ids(session),
                Effect::Stop { gid, miner, fence, reason } => {
                    log_debug(&mut deeds, move || {
                        tracing::debug!(%gid, %fence, ?reason, "a miner is told to stop");
                    });
                    let silent = (reason == StopReason::Silent).then(|| self.silence(core, miner));
                    if let Some(live) = core.live.get(&gid) {
                        let mut state = live.state.lock();
                        if let Some(silent) = silent {
                            state.failure = Some(silent);
                        }
                        state.tried(fence, now, Some(stopped(reason)));
                        state.transcript.seal_of(fence);
                        state.attempts.iter().filter(|a| a.fence == fence).for_each(|a| a.cancel());
                    } else {
                        #[cfg(feature = "postgres")]
                        deeds.push(Deed::Lapse(fence));
                    }
                }
                Effect::Voided { gid, again } => {
                    if let Some(live) = core.live.get(&gid) {
                        log_debug(&mut deeds, move || tracing::debug!(%gid, again, "the tokens of a task are void"));
                        live.voided();
                        if again {
                            self.metrics.retried();
                        }
                    }
                }
                Effect::Rerouted { gid, model } => {
                    if let Some(live) = core.live.get(&gid) {
                        live.state.lock().rerouted = Some(model.clone());
                        log_debug(&mut deeds, move || {
                            tracing::debug!(%gid, model = &*model, "a task goes to another model of its list");
                        });
                    }
                }
                Effect::Promoted { gid, fence } => {
                    if let Some(live) = core.live.get(&gid) {
                        let mut state = live.state.lock();
                        state.transcript.promote(fence);
                        state.primary = Some(fence);
                    }
                }
                Effect::Judge { gid } => {
                    if let Some(live) = core.live.get(&gid) {
                        deeds.push(Deed::Judge(live.clone()));
                    }
                }
                Effect::Recheck { of, fence, gid } => {
                    self.hold_check(core, of, fence, gid, now);
                }
                Effect::Reputed { name, reputation } => deeds.push(Deed::Reputed(name, reputation)),
                Effect::State { gid, state: new } => {
                    if let Some(live) = core.live.get(&gid) {
                        let mut state = live.state.lock();
                        state.state = new;
                        if new == TaskState::Precommitted {
                            state.precommitted_at.get_or_insert(now);
                        }
                    }
                }
                Effect::Finish { gid, outcome, cause } => {
                    let absence = (cause == EndCause::NoMiner).then(|| core.absence(gid, now));
                    if let Some(live) = core.live.get(&gid) {
                        let mut state = live.state.lock();
                        if let Some(absence) = absence {
                            deeds.push(Deed::Deserted(absence.message.clone()));
                            state.failure = Some(absence);
                        }
                        state.outcome = Some(outcome);
                        if !matches!(outcome, Outcome::Ok | Outcome::Disputed) {
                            state.error = Some(error_of(cause, state.failure.as_ref()));
                        }
                        state.transcript.seal();
                        state.precommitted_at.get_or_insert(now);
                        state.ended_at = Some(now);
                        drop(state);
                        deeds.push(Deed::Finish(live.clone()));
                    }
                }
                Effect::Ended { gid } => {
                    if let Some(live) = core.live.get(&gid) {
                        // Where others share the store, a failover may lose an end that only this router still has.
                        let stays =
                            live.spec.shadow || self.membership.is_some() || live.outlives(core.engine.first_base());
                        if !stays {
                            gone.push(gid);
                        }
                        let afterwards = if stays { Afterwards::Stays } else { Afterwards::Stored };
                        deeds.push(Deed::Ended(live.clone(), afterwards));
                    }
                }
                Effect::Lost { gid } => {
                    deeds.extend(core.live.get(&gid).map(|live| Deed::Ended(live.clone(), Afterwards::Lost)));
                }
            }
        }
        // An audit may have taken the answer of a task that ended.
        for gid in gone {
            core.forget_ended(gid);
        }
        for (key, state) in core.engine.switched_breakers() {
            if let Some(slot) = core.miners.get(key) {
                let (name, state, words) = (slot.name.clone(), *state, slot.last_failure.clone());
                deeds.push(Deed::Log(Box::new(move || switched(&name, state, now, words.as_deref()))));
            }
        }
        #[cfg(feature = "postgres")]
        if core.engine.has_rekept() || !core.engine.switched_breakers().is_empty() {
            self.miners_shift();
        }
        core.engine.reuse(effects);
        self.servers.stir();
        #[cfg(feature = "postgres")]
        self.ask_others(&core.engine);
        self.arm(core.engine.next_deadline());
        deeds
    }

    /// Logs that no miner is up, once in a while.
    fn deserted(&self, words: &str) {
        if let Some(left_out) = self.deserted.lock().pass(Instant::now()) {
            let why = if words.is_empty() { "none is connected" } else { words };
            tracing::warn!(why, left_out, "tasks end, because no miner that could serve them is up");
        }
    }

    /// The failure of an attempt whose miner gave no sign of life for too long.
    fn silence(&self, core: &mut Core, miner: MinerKey) -> Failure {
        let most = self.settings.now().dispatch.progress_timeout_ms;
        let name = core.miners.get(&miner).map_or("that had it", |slot| slot.spec.name.as_str());
        let words = format!("the miner {name} was silent for dispatch.progress_timeout_ms = {most}");
        if let Some(slot) = core.miners.get_mut(&miner) {
            slot.figures.failures.inc();
            slot.blamed(&words);
        }
        Failure::new(FailClass::Unreachable, words)
    }

    /// Makes an offer and records the new attempt in the task.
    fn job(self: &Arc<Self>, live: &Arc<Live>, slot: &MinerSlot, fence: Fence, role: Role, now: Timestamp) -> Offered {
        let mut state = live.state.lock();
        let mut partial = None;
        match role {
            // The attempt before may go on elsewhere, and readers must not take pieces of two attempts for one text.
            Role::Primary if std::mem::take(&mut state.is_bequeathed) => state.transcript.begin_apart(fence),
            Role::Primary => state.transcript.begin(fence),
            Role::Continue => {
                self.metrics.continued();
                partial = Some(Arc::from(state.transcript.text()));
                state.transcript.resume(fence);
            }
            Role::Hedge => {
                self.metrics.hedged();
                state.transcript.race(fence);
            }
            Role::Aside => {}
        }
        if matches!(role, Role::Primary | Role::Continue) {
            state.primary = Some(fence);
        }
        state.started_at.get_or_insert(now);
        let inherited = partial.as_deref().map(estimate_tokens);
        let asked = state.model(&live.spec).cloned();
        let asked = asked.as_deref();
        let attempt = Attempt::new(self, live.clone(), (fence, role), slot, asked, partial.as_deref(), now);
        state.assigned.push(slot.address.clone());
        state.tried = Some(slot.name.clone());
        slot.figures.attempts.inc();
        state.attempts.push(attempt.underway().clone());
        let trace = live.spec.trace.as_deref();
        if trace.is_some_and(|trace| trace.recorded().is_some()) {
            state.tried_by.push(Tried::new(fence, slot, asked, now));
        }
        drop(state);
        let mut request = live.spec.request.clone();
        if let Some(tokens) = inherited {
            let most = request.token_limit().unwrap_or(self.settings.now().limits.default_max_tokens);
            Arc::make_mut(&mut request).limit_tokens(most.saturating_sub(tokens).max(1));
        }
        // A stream that has begun continues for as long as its tokens flow.
        let deadline = if live.spec.open_ended {
            live.spec.deadline.max(now.plus(self.settings.now().limits.max_timeout_secs.saturating_mul(1_000)))
        } else {
            live.spec.deadline
        };
        let info = JobInfo {
            gid: live.spec.gid,
            session_id: live.spec.session_id,
            task_id: live.spec.id,
            fence,
            request,
            model: slot.model_for(asked).map(str::to_owned),
            // The miner compares it with the system's clock, which may have been set since the router's began.
            deadline: Timestamp::wall_clock().plus(deadline.since(now)),
            stream: live.spec.request.stream && role != Role::Aside,
            partial,
            traceparent: trace.map(|trace| parent_for(trace, fence)),
            tracestate: trace.and_then(|trace| trace.state().cloned()),
        };
        attempt.set_info(info);
        Offered(attempt)
    }

    /// Carries out deeds in order and without recursion.
    pub(super) fn perform(self: &Arc<Self>, deeds: Deeds) {
        match &deeds[..] {
            [] => return,
            // An end that is shown leads to no further deed, so that it need not wait for the others.
            [Deed::Ended(live, afterwards)] => return self.show_end(live, *afterwards),
            _ => {}
        }
        let outermost = WAITING.with_borrow_mut(|waiting| {
            if waiting.is_running {
                waiting.queue.extend(deeds.into_iter().map(|deed| (self.clone(), deed)));
                return None;
            }
            waiting.is_running = true;
            Some(deeds)
        });
        let Some(deeds) = outermost else { return };
        let _reset = Reset;
        for deed in deeds {
            self.do_now(deed);
        }
        while let Some((shared, deed)) = WAITING.with_borrow_mut(|waiting| waiting.queue.pop_front()) {
            shared.do_now(deed);
        }
    }

    fn do_now(self: &Arc<Self>, deed: Deed) {
        match deed {
            Deed::Offer(miner, offered) => {
                let Some(job) = offered.job() else { return };
                let _runtime = self.runtime.enter();
                if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| miner.offer(job))).is_err() {
                    tracing::error!("a miner panicked in offer; its job counts as dropped");
                }
            }
            #[cfg(feature = "postgres")]
            Deed::Lend(gid, slot, miner) => self.lend(gid, slot, miner),
            #[cfg(feature = "postgres")]
            Deed::Lapse(fence) => self.loan_lapsed(fence),
            Deed::Judge(live) => self.compare(live),
            Deed::Reputed(name, reputation) => self.reputed(&name, reputation),
            Deed::Deserted(words) => self.deserted(&words),
            Deed::Log(write) => write(),
            Deed::Finish(live) => self.write_end(live),
            Deed::Ended(live, afterwards) => self.show_end(&live, afterwards),
        }
    }

    fn write_end(self: &Arc<Self>, live: Arc<Live>) {
        let gid = live.spec.gid;
        let posted = live.spec.request.webhook.as_ref().filter(|_| !live.spec.shadow);
        let message = posted.map(|_| self.message_id(live.spec.session_id, live.spec.id));
        let (task, row_waits) = live.close(self.store.kind() != StoreKind::Memory, message);
        let now = task.ended_at.unwrap_or_else(|| self.clock.now());
        if live.spec.shadow {
            return self.step_at(Event::Committed(gid), now);
        }
        match self.write_row(&live, task, row_waits).try_ready() {
            // The store has answered at once, so that no time has passed since the end.
            Ok(answer) => self.end_written(&live, answer, now),
            Err(pending) => {
                let (shared, asked) = (self.clone(), Instant::now());
                self.attend(async move {
                    let answer = pending.await;
                    shared.metrics.stored(asked.elapsed());
                    shared.end_written(&live, answer, shared.clock.now());
                });
            }
        }
    }

    /// Tells the engine whether the store has written the end. An end that is not written must never be shown,
    /// whether it is an answer, a cancellation or a failure: the task's row is still unfinished. The engine does not
    /// hear of an end that the store refuses for now.
    fn end_written(self: &Arc<Self>, live: &Arc<Live>, answer: Result<bool>, now: Timestamp) {
        let gid = live.spec.gid;
        match answer {
            Ok(true) => self.step_at(Event::Committed(gid), now),
            Ok(false) if self.membership.is_some() => {
                let shared = self.clone();
                self.attend(shared.settle_elsewhere(live.clone()));
            }
            Ok(false) => {
                tracing::error!(%gid, "the end of a task was not written: the store has no unfinished row of it");
                self.step_at(Event::Unwritten(gid), now);
            }
            Err(error) => self.end_refused(live, error),
        }
    }

    /// Shows the end to all waiting callers. A task whose end is lost leaves the memory: if the store has it, it runs
    /// again. Takes each lock only once, because every request passes here.
    fn show_end(&self, live: &Live, afterwards: Afterwards) {
        let written = afterwards != Afterwards::Lost;
        let (weight, last_seq, attempts, spans, delivery, wakers) = {
            let mut state = live.state.lock();
            let weight = if afterwards == Afterwards::Stored { 0 } else { live.settled(&mut state) };
            state.state = TaskState::Ended;
            let attempts = std::mem::take(&mut state.attempts);
            let refused = std::mem::replace(&mut state.unwritten, (!written).then_some(Unwritten::Lost));
            // The store reported an error for the task itself, and has written it all the same.
            let doubted = written && matches!(state.accepted, Some(Err(_)));
            // Callers have got the store's error for an end that was refused at first.
            if state.end.is_none() || doubted || refused == Some(Unwritten::Kept) {
                let end = state.closed.as_ref().filter(|_| written).map(|end| end.result.clone());
                state.end = Some(end.unwrap_or_else(|| Err(Self::lost_end(live, &state))));
            }
            // A written end implies that the task itself is written. Otherwise the store's answer is still to come.
            if written && (state.accepted.is_none() || doubted || state.row_waits) {
                state.accepted = Some(Ok(()));
            } else if state.row_waits {
                state.accepted = Some(Err(Self::lost_end(live, &state)));
            }
            let mut spans = None;
            if let Some(outcome) = state.outcome
                && !live.spec.shadow
            {
                let outcome = if written { outcome } else { Outcome::Failed };
                let took = state.ended_at.map_or(0, |at| at.since(live.spec.created_at));
                let given = state.answers.first().map(|given| &given.answer);
                self.metrics.ended(&Ended {
                    outcome,
                    took_ms: took,
                    queued_ms: state.started_at.map(|at| at.since(live.spec.created_at)),
                    first_token_ms: state.first_token_at.map(|at| at.since(live.spec.created_at)),
                    answered_by: given.and_then(|answer| answer.model.as_deref()),
                    asked_for: state.model(&live.spec).map(AsRef::as_ref),
                    usage: given.map(|answer| answer.usage),
                });
                spans = self.spans_of(live, &state, outcome);
            }
            if let Some(charge) = state.charge.take() {
                // A task whose end is lost runs again, and counts when that ends.
                let end = state.closed.as_ref().filter(|_| written);
                let tokens = end.map_or(0, |end| UsageCounts::of(&end.row).tokens());
                match charge {
                    Charge::Reserved(reserved) => reserved.into_iter().for_each(|each| each.settle(tokens)),
                    Charge::Restored => {
                        if let Some(key) = live.spec.key.as_deref() {
                            self.keys.count(key, tokens);
                        }
                        self.session_meters.count(&live.spec.session_id.to_string(), tokens);
                    }
                }
            }
            let end = state.closed.as_ref().filter(|_| written && !live.spec.shadow);
            let delivery = end.and_then(|end| end.row.webhook.as_deref().cloned());
            (weight, state.transcript.last_seq(), attempts, spans, delivery, state.take_wakers())
        };
        if let (Some(sink), Some(spans)) = (&self.spans, spans) {
            sink.take(spans);
        }
        if let Some(delivery) = delivery {
            self.post(live.spec.gid, delivery);
        }
        attempts.iter().for_each(|attempt| attempt.finish());
        if tracing::enabled!(Level::DEBUG) && !live.spec.shadow {
            Self::log_end(live);
        }
        let gid = live.spec.gid;
        let forgotten = match afterwards {
            _ if live.spec.shadow => self.core.lock().live.remove(&gid).into_iter().collect(),
            Afterwards::Stays => self.core.lock().keep(gid, weight, &self.settings.now().limits, &self.memory),
            Afterwards::Stored => Vec::new(),
            Afterwards::Lost => self.core.lock().lose(gid, last_seq),
        };
        drop(forgotten);
        if !written && !live.spec.shadow {
            self.unwritten.seek_strays();
        }
        wake(wakers);
        self.ended.notify_waiters();
    }

    fn log_end(live: &Live) {
        let (miner, outcome, code) = {
            let state = live.state.lock();
            (state.tried.clone(), state.outcome.map(Outcome::as_str), state.end_code())
        };
        let (session, task) = (live.spec.session_id.0, live.spec.id.0);
        tracing::debug!(session, task, miner = miner.as_deref(), outcome, code, "a task ended");
    }

    /// The error of a task whose end the store could not write.
    pub(super) fn lost_end(live: &Live, state: &LiveState) -> Error {
        // The store says what is wrong with its files, whether it was asked for the task or for its end.
        let refused = state.lost.clone().filter(|error| error.code() == "store_unavailable");
        let lost = refused.unwrap_or_else(|| Error::store("the result could not be written"));
        // The ids of a task that is not in the store must not be shown.
        if state.accepted == Some(Ok(())) { live.sign(lost) } else { lost }
    }

    /// Runs work to its end even if the caller stops waiting, so that the store and the memory change together.
    pub(super) async fn see_through<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (to, answer) = tokio::sync::oneshot::channel();
        self.attend(async move { drop(to.send(work.await)) });
        answer.await.unwrap_or_else(|_| Err(Self::closed_error()))
    }

    /// Runs work in the background; the close waits for it.
    pub(super) fn attend(&self, work: impl Future<Output = ()> + Send + 'static) {
        crate::miner::spawn(&self.runtime, self.background.track_future(work));
    }

    /// Sets the timer if the next deadline comes before the one for which it is set.
    fn arm(&self, next: Option<Timestamp>) {
        let next = next.map_or(u64::MAX, |at| at.0);
        if next < self.armed.load(Ordering::Acquire) {
            self.armed.store(next, Ordering::Release);
            self.rearm.notify_one();
        }
    }

    /// Sends the engine a tick whenever one of its deadlines is due.
    pub(super) async fn keep_time(self: Arc<Self>) {
        loop {
            let next = {
                let core = self.core.lock();
                let next = core.engine.next_deadline();
                self.armed.store(next.map_or(u64::MAX, |at| at.0), Ordering::Release);
                next
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.rearm.notified() => {}
                () = self.clock.until(next) => self.step(Event::Tick),
            }
        }
    }
}

/// The name of the reason for which a miner was told to stop, as spans show it.
fn stopped(reason: StopReason) -> &'static str {
    match reason {
        StopReason::Cancelled => "cancelled",
        StopReason::Expired => "expired",
        StopReason::Unanswered => "unanswered",
        StopReason::Silent => "silent",
        StopReason::Superseded => "superseded",
    }
}
