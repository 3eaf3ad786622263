//! Ends tasks, and handles their deadlines.

use cortensor_router_model::{Fence, Gid, Outcome, TaskState, Timestamp};

use super::Engine;
use crate::demand::Lack;
use crate::effect::{Effect, EndCause, StopReason};
use crate::event::Blame;
use crate::step::Step;
use crate::task::TaskEntry;
use crate::timer::Timer;

impl Engine {
    /// Ends a task, whatever it is doing. Its end is written before it is shown.
    pub(super) fn end(&mut self, gid: Gid, outcome: Outcome, cause: EndCause, reason: StopReason, step: &mut Step) {
        let Some(open) = self.begin_end(gid) else { return };
        step.push(Effect::Finish { gid, outcome, cause });
        self.stop_all(gid, &open, reason, step);
    }

    /// Begins the end of a task, whatever it is doing. Returns its attempts that are under way; `None`: it has ended
    /// already.
    fn begin_end(&mut self, gid: Gid) -> Option<Vec<Fence>> {
        if self.tasks.get(gid).is_none_or(TaskEntry::is_ending) {
            return None;
        }
        self.dequeue(gid);
        self.tasks.set_continuing(gid, false);
        let task = self.tasks.get_mut(gid)?;
        task.end();
        Some(task.under_way())
    }

    /// Gives no task to a miner any more, and forgets the tasks that run again at the next start.
    pub(super) fn close(&mut self, kept: Vec<Gid>, step: &mut Step) {
        self.closed = true;
        for gid in kept {
            let Some(open) = self.begin_end(gid) else { continue };
            self.stop_all(gid, &open, StopReason::Cancelled, step);
            self.over(gid);
        }
    }

    /// Forgets a task that belongs to another router, whatever it is doing.
    pub(super) fn moved(&mut self, gid: Gid, step: &mut Step) {
        if let Some(open) = self.begin_end(gid) {
            self.stop_all(gid, &open, StopReason::Superseded, step);
        }
        self.over(gid);
    }

    /// Notes that the store has the end of the task.
    pub(super) fn committed(&mut self, gid: Gid, step: &mut Step) {
        let Some(task) = self.over(gid) else { return };
        step.push(Effect::State { gid, state: TaskState::Ended });
        step.push(Effect::Ended { gid });
        if self.settings.recheck_ratio > 0.0 && !self.closed {
            self.recheck(gid, *task, step);
        }
    }

    /// Notes that the store does not have the end of the task. Nobody gets its answer, so the answer is not audited
    /// either.
    pub(super) fn unwritten(&mut self, gid: Gid, step: &mut Step) {
        if self.over(gid).is_some() {
            step.push(Effect::Lost { gid });
        }
    }

    /// Removes a task that has ended from all lists of the engine.
    pub(super) fn over(&mut self, gid: Gid) -> Option<Box<TaskEntry>> {
        if self.tasks.get(gid).is_none_or(|task| !task.is_ending()) {
            return None;
        }
        let task = self.tasks.remove(gid)?;
        for (at, timer) in task.timers(gid) {
            self.timers.clear(at, timer);
        }
        if !task.demand().shadow
            && let Some(session) = self.sessions.get_mut(task.session())
        {
            session.task_over();
            // The session pays for the work of miners alone.
            if !task.was_worked_on() {
                session.correct(task.cost(), 0);
            }
        }
        Some(task)
    }

    pub(super) fn tick(&mut self, step: &mut Step) {
        while let Some(timer) = self.timers.pop(step.now()) {
            match timer {
                Timer::Deadline(gid) => self.deadline(gid, step),
                Timer::Retry(gid) => {
                    let Some(task) = self.tasks.get_mut(gid) else { continue };
                    task.retry_due();
                    if task.wants_miner() {
                        let lane = task.lane().clone();
                        self.wait(gid, &lane, step);
                    }
                }
                Timer::Accept(fence) => self.silent(fence, true, step),
                Timer::Progress(fence) => {
                    let Some((gid, task, attempt)) = self.tasks.attempt(fence) else { continue };
                    let due = task.silent_until(attempt.heard_at(), self.settings.progress_timeout_ms);
                    let begun = attempt.has_begun();
                    let due = match () {
                        () if due > step.now() => Some(due),
                        // Another attempt would only begin the work again. The task's deadline bounds the wait.
                        () if !begun && !self.has_untried(gid) => {
                            Some(step.now().plus(self.settings.progress_timeout_ms.max(1)))
                        }
                        () => None,
                    };
                    if let Some(due) = due {
                        self.set_progress_timer(fence, due);
                    } else {
                        self.silent(fence, false, step);
                    }
                }
                Timer::Precommit(gid) => {
                    if self.tasks.get(gid).is_some_and(|task| task.done() > 0) {
                        self.deadline(gid, step);
                    }
                }
                Timer::Hedge(fence) => self.hedge(fence, step),
                Timer::SetAside(key) => self.back_from_aside(key, step),
                Timer::Reservation(session) => self.reservation_due(session, step),
                Timer::Breaker(key) => {
                    if self.fleet.get(key).is_some() {
                        self.fleet.try_breaker(key, step.now());
                        self.fleet.reindex(key);
                        self.pump_for(key, step);
                    }
                }
                Timer::Unservable(gid) => {
                    let Some(task) = self.tasks.get_mut(gid) else { continue };
                    task.clear_failure();
                    let (refused, attached) = (task.trials().is_refused(), task.demand().attached);
                    if self.tasks.get(gid).is_some_and(|task| !self.is_attended(task)) {
                        if self.reroute(gid, Lack::NoMiner, false, step) {
                            continue;
                        }
                        if !attached {
                            // A miner of another model may come.
                            self.watch(gid, step.now());
                            continue;
                        }
                        let cause = if refused { EndCause::Attempts } else { EndCause::NoMiner };
                        self.end(gid, Outcome::Failed, cause, StopReason::Superseded, step);
                    }
                }
            }
        }
    }

    /// Handles the deadline of a task. If some answers are in, they are compared without the missing ones.
    fn deadline(&mut self, gid: Gid, step: &mut Step) {
        let Some(task) = self.tasks.known(gid) else { return };
        if task.is_judging() {
            return;
        }
        // Where answers are not compared, the streamed one is taken once a client has seen a part of it.
        let settles = task.done() > 0 && task.redundant() && (task.demand().judged || !task.is_shown());
        if task.is_ending() || !settles {
            self.end(gid, Outcome::Expired, EndCause::Deadline, StopReason::Expired, step);
            return;
        }
        let open = task.under_way();
        if let Some(task) = self.tasks.get_mut(gid) {
            task.settle_for_done();
        }
        self.all_in(gid, step);
        self.stop_all(gid, &open, StopReason::Expired, step);
    }

    /// Sets the time at which the engine checks again whether the attempt's miner is silent.
    fn set_progress_timer(&mut self, fence: Fence, due: Timestamp) {
        let attempt = self.tasks.of_attempt(fence).and_then(|(_, task)| task.attempt_mut(fence));
        if let Some(attempt) = attempt {
            attempt.wait_until(due);
            let (due, timer) = attempt.timer();
            self.timers.set(due, timer);
        }
    }

    fn silent(&mut self, fence: Fence, declined: bool, step: &mut Step) {
        let Some((gid, _, attempt)) = self.tasks.attempt(fence) else { return };
        let reason = if declined { StopReason::Unanswered } else { StopReason::Silent };
        step.push(Effect::Stop { gid, miner: attempt.miner(), fence, reason });
        self.attempt_lost(fence, if declined { Blame::Nobody } else { Blame::Miner }, declined, step);
    }
}
