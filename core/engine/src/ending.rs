//! How tasks end, and what time does to them.

use cortensor_router_model::{Fence, Gid, Outcome, TaskState};

use super::event::{Blame, Effect, EndCause, MinerKey, StopReason};
use super::machine::Engine;
use super::phase::Phase;
use super::settings::PlantedBug;
use super::step::Step;
use super::task::{AttemptState, TaskEntry};
use super::timer::Timer;

impl Engine {
    pub(super) fn miner_gone(&mut self, key: MinerKey, step: &mut Step) {
        if let Some(miner) = self.fleet.get_mut(key) {
            miner.draining = true;
        }
        self.fleet.unindex(key);
        let Some(fences) = self.fleet.get(key).map(|miner| miner.fences.clone()) else { return };
        for fence in fences {
            // A miner that was removed, and not just lost, is still there to be told.
            if let Some(gid) = self.fences.get(&fence).copied() {
                step.push(Effect::Stop { gid, miner: key, fence, reason: StopReason::Superseded });
            }
            self.attempt_lost(fence, Blame::Nobody, false, step);
        }
        self.drop_reservation(key);
        self.fleet.remove(key);
        self.settle_continuing(step);
        for session in self.sessions.values_mut() {
            if session.last_miner == Some(key) {
                session.last_miner = None;
            }
        }
    }

    /// Ends a task, whatever it is doing. Its end is written before it is shown.
    pub(super) fn end(&mut self, gid: Gid, outcome: Outcome, cause: EndCause, reason: StopReason, step: &mut Step) {
        if self.tasks.get(&gid).is_none_or(TaskEntry::is_ending) {
            return;
        }
        self.dequeue(gid);
        self.continuing.remove(&gid);
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        task.phase.enter(Phase::Ending);
        task.state = TaskState::Precommitted;
        let open: Vec<Fence> =
            task.attempts.iter().filter(|a| a.state != AttemptState::Done).map(|a| a.fence).collect();
        step.push(Effect::Finish { gid, outcome, cause });
        if self.planted(PlantedBug::ShowBeforeCommit) {
            step.push(Effect::Ended { gid });
        }
        self.stop_all(gid, &open, reason, step);
    }

    /// The store has the end.
    pub(super) fn committed(&mut self, gid: Gid, step: &mut Step) {
        let Some(task) = self.over(gid) else { return };
        step.push(Effect::State { gid, state: TaskState::Ended });
        step.push(Effect::Ended { gid });
        if self.settings.recheck_ratio > 0.0 {
            self.recheck(gid, task, step);
        }
    }

    /// The store does not have the end. An answer that nobody gets is not checked either.
    pub(super) fn unwritten(&mut self, gid: Gid, step: &mut Step) {
        if self.planted(PlantedBug::ShowUnwritten) {
            return self.committed(gid, step);
        }
        if self.over(gid).is_some() {
            step.push(Effect::Lost { gid });
        }
    }

    /// Lets go of a task that ends.
    pub(super) fn over(&mut self, gid: Gid) -> Option<TaskEntry> {
        if self.tasks.get(&gid).is_none_or(|task| !task.is_ending()) {
            return None;
        }
        let task = self.tasks.remove(&gid)?;
        self.picky.remove(&gid);
        self.timers.clear(task.spec.deadline, Timer::Deadline(gid));
        if task.spec.judged {
            self.timers.clear(task.spec.precommit_by, Timer::Precommit(gid));
        }
        for attempt in &task.attempts {
            self.fences.remove(&attempt.fence);
        }
        if let Some(at) = task.retry_at {
            self.timers.clear(at, Timer::Retry(gid));
        }
        if let Some(at) = task.unservable_at {
            self.timers.clear(at, Timer::Unservable(gid));
        }
        if task.recheck {
            self.rechecks -= 1;
        }
        if !task.spec.shadow
            && let Some(session) = self.sessions.get_mut(&task.spec.session)
        {
            session.active = session.active.saturating_sub(1);
        }
        Some(task)
    }

    pub(super) fn tick(&mut self, step: &mut Step) {
        while let Some(timer) = self.timers.pop(step.now) {
            match timer {
                Timer::Deadline(gid) => {
                    if !self.planted(PlantedBug::ForgetDeadline) {
                        self.deadline(gid, step);
                    }
                }
                Timer::Retry(gid) => {
                    let Some(task) = self.tasks.get_mut(&gid) else { continue };
                    task.retry_at = None;
                    if task.wants_miner() {
                        let lane = task.lane.clone();
                        self.wait(gid, &lane, step);
                    }
                }
                Timer::Accept(fence) => self.silent(fence, true, step),
                Timer::Progress(fence) => {
                    let Some(gid) = self.fences.get(&fence).copied() else { continue };
                    let Some(task) = self.tasks.get(&gid) else { continue };
                    let Some(index) = task.attempts.iter().position(|a| a.fence == fence) else { continue };
                    let due = task.silent_until(task.attempts[index].heard_at, self.settings.progress_timeout_ms);
                    let begun = task.attempts[index].first_token_at.is_some();
                    let due = match () {
                        () if due > step.now => Some(due),
                        // To take it away would only begin its work again: its deadline bounds the wait.
                        () if !begun && !self.has_untried(gid) => {
                            Some(step.now.plus(self.settings.progress_timeout_ms.max(1)))
                        }
                        () => None,
                    };
                    if let (Some(due), Some(task)) = (due, self.tasks.get_mut(&gid)) {
                        task.attempts[index].timer = due;
                        self.timers.set(due, Timer::Progress(fence));
                    } else {
                        self.silent(fence, false, step);
                    }
                }
                Timer::Precommit(gid) => {
                    if self.tasks.get(&gid).is_some_and(|task| task.done() > 0) {
                        self.deadline(gid, step);
                    }
                }
                Timer::Hedge(fence) => self.hedge(fence, step),
                Timer::SetAside(key) => self.back_from_aside(key, step),
                Timer::Reservation(session) => self.reservation_due(session, step),
                Timer::Breaker(key) => {
                    if let Some(miner) = self.fleet.get_mut(key) {
                        if matches!(miner.breaker.state(), super::BreakerState::Open(until) if until <= step.now) {
                            miner.breaker.half_open();
                        }
                        self.fleet.reindex(key);
                        self.pump_for(key, step);
                    }
                }
                Timer::Unservable(gid) => {
                    let Some(task) = self.tasks.get_mut(&gid) else { continue };
                    task.unservable_at = None;
                    let refused = !task.refused_by.is_empty();
                    if self.tasks.get(&gid).is_some_and(|task| !self.is_attended(task)) {
                        let cause = if refused { EndCause::Attempts } else { EndCause::NoMiner };
                        self.end(gid, Outcome::Failed, cause, StopReason::Superseded, step);
                    }
                }
            }
        }
    }

    /// The time is up. Answers that are in count: they are compared without those that are not.
    fn deadline(&mut self, gid: Gid, step: &mut Step) {
        let Some(task) = self.tasks.get(&gid) else { return };
        if task.phase.now() == Phase::Judging {
            return;
        }
        let done = task.done();
        if done == 0 || !task.spec.judged || task.is_ending() || !task.redundant() {
            self.end(gid, Outcome::Expired, EndCause::Deadline, StopReason::Expired, step);
            return;
        }
        let open: Vec<Fence> =
            task.attempts.iter().filter(|a| a.state != AttemptState::Done).map(|a| a.fence).collect();
        if let Some(task) = self.tasks.get_mut(&gid) {
            task.spec.required = done;
        }
        self.all_in(gid, step);
        self.stop_all(gid, &open, StopReason::Expired, step);
    }

    fn silent(&mut self, fence: Fence, declined: bool, step: &mut Step) {
        let Some(gid) = self.fences.get(&fence).copied() else { return };
        if let Some(attempt) = self.tasks.get(&gid).and_then(|t| t.attempts.iter().find(|a| a.fence == fence)) {
            let reason = if declined { StopReason::Unanswered } else { StopReason::Silent };
            step.push(Effect::Stop { gid, miner: attempt.miner, fence, reason });
        }
        self.attempt_lost(fence, if declined { Blame::Nobody } else { Blame::Miner }, declined, step);
    }
}
