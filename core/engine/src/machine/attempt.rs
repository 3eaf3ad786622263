//! Handles the events of an attempt after its offer: acceptance, progress, the answer, and the stop.

use smallvec::SmallVec;

use cortensor_router_model::{Fence, Gid, TaskState};

use super::Engine;
use crate::effect::{Effect, StopReason};
use crate::rules::MinerKey;
use crate::step::Step;
use crate::timer::Timer;

impl Engine {
    pub(super) fn accepted(&mut self, fence: Fence, step: &mut Step) {
        let Some((gid, task)) = self.tasks.of_attempt(fence) else { return };
        let due = task.silent_until(step.now(), self.settings.progress_timeout_ms);
        let Some(attempt) = task.attempt_mut(fence).filter(|attempt| attempt.is_offered()) else { return };
        let (was_due, timer) = attempt.timer();
        self.timers.clear(was_due, timer);
        attempt.accept(step.now(), due);
        let (due, timer) = attempt.timer();
        self.timers.set(due, timer);
        if task.acknowledge() && !task.is_deputy() {
            step.push(Effect::State { gid, state: TaskState::Acked });
        }
    }

    pub(super) fn progress(&mut self, fence: Fence, first: bool, shown: bool, step: &mut Step) {
        self.accepted(fence, step);
        let Some((gid, task)) = self.tasks.of_attempt(fence) else { return };
        let Some(attempt) = task.attempt_mut(fence) else { return };
        attempt.hear(step.now());
        let key = attempt.miner();
        let waited = if first { attempt.begin(step.now()) } else { None };
        if let Some(waited) = waited {
            if let Some(miner) = self.fleet.get_mut(key) {
                miner.began_after(waited);
            }
            if self.settings.hedge {
                self.hedging.note(task.lane().model(), waited);
            }
            if let Some(deadline) = task.lift_deadline() {
                self.timers.clear(deadline, Timer::Deadline(gid));
            }
            if task.races() {
                task.stream(fence);
                self.stop_others(gid, fence, step);
            }
        }
        if waited.is_some() {
            self.tasks.note_begun(gid);
        }
        if shown {
            self.shown(fence);
        }
    }

    /// Notes that a client has seen pieces of that attempt.
    pub(super) fn shown(&mut self, fence: Fence) {
        if let Some((_, task)) = self.tasks.of_attempt(fence) {
            task.show(fence);
        }
    }

    pub(super) fn done(&mut self, fence: Fence, tokens: u64, step: &mut Step) {
        if self.tasks.deputies() > 0 && self.loan_done(fence, tokens, step) {
            return;
        }
        self.accepted(fence, step);
        let Some((gid, task)) = self.tasks.of_attempt(fence) else { return };
        let Some((attempt, took)) = task.finish(fence, step.now()) else { return };
        let key = attempt.miner();
        let (due, timer) = attempt.timer();
        self.timers.clear(due, timer);
        let all_in = task.is_complete_with(fence);
        let charged = all_in && task.is_charged();
        let (cost, actual) = (task.cost(), task.cost_with(tokens));
        let (expected, session) = (task.demand().max_tokens, task.session());
        self.tasks.close(fence);
        if charged {
            if let Some(session) = self.sessions.get_mut(session) {
                session.answered(tokens, expected);
                session.correct(cost, actual);
            }
            self.drain.note(cost, took, self.line.tasks() > 0, step.now());
        }
        self.budget.success();
        self.fleet.succeeded(key, tokens, took);
        if all_in {
            // This comes first, so that none of the stopped miners gets the task again.
            self.all_in(gid, step);
            self.stop_others(gid, fence, step);
        }
        self.release(gid, key, fence, step);
    }

    /// Gives the miner's credit for an attempt back, and offers waiting tasks to the miner.
    pub(super) fn release(&mut self, gid: Gid, key: MinerKey, fence: Fence, step: &mut Step) {
        let own = self.tasks.get(gid).and_then(|task| task.lane().ruled_by());
        if let Some(session) = own {
            self.sessions.stopped_working(session, key);
        }
        if let Some(miner) = self.fleet.get_mut(key)
            && miner.stopped(fence)
        {
            self.fleet.reindex(key);
            self.pump_for(key, step);
        }
        // Another miner may work for the session now.
        if let Some(session) = own {
            self.pump_own(session, step);
        }
    }

    /// Takes attempts that nobody wants any more off their task, and offers waiting tasks to the miners that have room
    /// now.
    pub(super) fn stop_all(&mut self, gid: Gid, fences: &[Fence], reason: StopReason, step: &mut Step) {
        let mut freed: SmallVec<[MinerKey; 4]> = SmallVec::new();
        let mut own = None;
        for fence in fences {
            let Some(attempt) = self.tasks.lose(gid, *fence) else { continue };
            own = self.tasks.get(gid).and_then(|task| task.lane().ruled_by());
            let (due, timer) = attempt.timer();
            self.timers.clear(due, timer);
            let key = attempt.miner();
            step.push(Effect::Stop { gid, miner: key, fence: *fence, reason });
            if let Some(session) = own {
                self.sessions.stopped_working(session, key);
            }
            if let Some(miner) = self.fleet.get_mut(key)
                && miner.stopped(*fence)
            {
                self.fleet.reindex(key);
                freed.push(key);
            }
        }
        for key in freed {
            self.pump_for(key, step);
        }
        if let Some(session) = own {
            self.pump_own(session, step);
        }
    }
}
