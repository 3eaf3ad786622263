//! Handles the events of an attempt after its offer: acceptance, progress, the answer, and the stop.

use smallvec::SmallVec;

use cortensor_router_model::{Fence, Gid, TaskState, Timestamp};

use super::Engine;
use crate::cost::cost_of;
use crate::effect::{Effect, StopReason};
use crate::rules::MinerKey;
use crate::step::Step;
use crate::task::{Attempt, AttemptState};
use crate::timer::Timer;

/// The deadline of a stream that has begun and whose deadline was for its first token.
const NEVER: Timestamp = Timestamp(u64::MAX);

impl Attempt {
    pub(super) fn open_timer(&self) -> Timer {
        if self.state == AttemptState::Offered { Timer::Accept(self.fence) } else { Timer::Progress(self.fence) }
    }
}

impl Engine {
    pub(super) fn accepted(&mut self, fence: Fence, step: &mut Step) {
        let Some((gid, task)) = self.tasks.of_attempt(fence) else { return };
        let silent_until = task.silent_until(step.now, self.settings.progress_timeout_ms);
        let Some(attempt) = task.attempts.iter_mut().find(|a| a.fence == fence && a.state == AttemptState::Offered)
        else {
            return;
        };
        self.timers.clear(attempt.timer, Timer::Accept(fence));
        attempt.state = AttemptState::Running;
        attempt.heard_at = step.now;
        attempt.timer = silent_until;
        self.timers.set(attempt.timer, Timer::Progress(fence));
        if task.state < TaskState::Acked {
            task.state = TaskState::Acked;
            step.push(Effect::State { gid, state: TaskState::Acked });
        }
    }

    pub(super) fn progress(&mut self, fence: Fence, first: bool, shown: bool, step: &mut Step) {
        self.accepted(fence, step);
        let Some((gid, task)) = self.tasks.of_attempt(fence) else { return };
        let Some(attempt) = task.attempt_mut(fence) else { return };
        // The timer stays where it is: when it is due it looks at this.
        attempt.heard_at = step.now;
        let newly = first && attempt.first_token_at.is_none();
        if newly {
            attempt.first_token_at = Some(step.now);
            let waited = step.now.since(attempt.offered_at);
            if let Some(miner) = self.fleet.get_mut(attempt.miner) {
                miner.began_after(waited);
            }
            if self.settings.hedge {
                self.hedging.note(task.lane.model.as_ref(), waited);
            }
        }
        if newly && task.spec.open_ended && task.spec.deadline != NEVER {
            self.timers.clear(task.spec.deadline, Timer::Deadline(gid));
            task.spec.deadline = NEVER;
        }
        if newly && task.races() {
            task.primary = Some(fence);
            self.stop_others(gid, fence, step);
        }
        if shown {
            self.shown(fence);
        }
    }

    /// Notes that a client has seen pieces of that attempt.
    pub(super) fn shown(&mut self, fence: Fence) {
        if let Some((_, task)) = self.tasks.of_attempt(fence)
            && task.primary == Some(fence)
        {
            task.shown = true;
        }
    }

    pub(super) fn done(&mut self, fence: Fence, tokens: u64, step: &mut Step) {
        self.accepted(fence, step);
        let Some((gid, task)) = self.tasks.of_attempt(fence) else { return };
        let races = task.races();
        let Some(attempt) = task.attempt_mut(fence) else { return };
        attempt.state = AttemptState::Done;
        self.timers.clear(attempt.timer, Timer::Progress(fence));
        let (key, took) = (attempt.miner, step.now.since(attempt.offered_at).max(1));
        if races {
            task.primary = Some(fence);
        }
        // If answers are not compared, the first one is taken; for a stream, that is the answer that is streamed.
        let first = !task.spec.judged
            && task.spec.required > 1
            && (!task.spec.streaming || task.primary.is_none_or(|primary| primary == fence));
        let all_in = first || task.done() == task.spec.required;
        let (cost, expected, session) = (task.cost, task.spec.max_tokens, task.spec.session);
        let actual = cost_of(task.spec.prompt_tokens, tokens, task.spec.required);
        let charged = all_in && !task.spec.shadow && !task.tie_broken;
        self.tasks.close(fence);
        if charged {
            if let Some(session) = self.sessions.get_mut(session) {
                session.answered(tokens, expected);
                session.correct(cost, actual);
            }
            self.drain.note(cost, took, self.line.tasks() > 0, step.now);
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
        let own = self.tasks.get(gid).and_then(|task| task.lane.own);
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
            own = self.tasks.get(gid).and_then(|task| task.lane.own);
            self.timers.clear(attempt.timer, attempt.open_timer());
            step.push(Effect::Stop { gid, miner: attempt.miner, fence: *fence, reason });
            if let Some(session) = own {
                self.sessions.stopped_working(session, attempt.miner);
            }
            if let Some(miner) = self.fleet.get_mut(attempt.miner)
                && miner.stopped(*fence)
            {
                self.fleet.reindex(attempt.miner);
                freed.push(attempt.miner);
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
