//! Decides what follows when an attempt is lost: another try, or the end of its task.

use cortensor_router_model::{Fence, Gid, OnFailure, Outcome, TaskState, Timestamp};

use super::Engine;
use crate::chance::jitter;
use crate::effect::{Effect, EndCause, StopReason};
use crate::event::Blame;
use crate::rules::MinerKey;
use crate::step::Step;
use crate::task::TaskEntry;
use crate::timer::Timer;

impl Engine {
    /// Ends an attempt that gave no answer, and tries its task again if that is allowed. `declined`: the miner never
    /// took the offer.
    pub(super) fn attempt_lost(&mut self, fence: Fence, blame: Blame, declined: bool, step: &mut Step) {
        let Some((gid, task)) = self.tasks.of_attempt(fence) else { return };
        if task.is_deputy() {
            if blame.is_the_miners()
                && let Some((_, _, attempt)) = self.tasks.attempt(fence)
            {
                self.blame(attempt.miner(), gid, step.now());
            }
            self.end_loan(fence, step);
            return;
        }
        let raced = task.races();
        let Some(attempt) = self.tasks.lose(gid, fence) else { return };
        let key = attempt.miner();
        if blame.is_final_there() {
            self.tasks.refused(gid, key);
        }
        let Some(task) = self.tasks.known_mut(gid) else { return };
        let (due, timer) = attempt.timer();
        self.timers.clear(due, timer);
        let was_primary = task.failed(&attempt, declined, blame.is_final_there());
        if raced {
            // The other attempt of the race goes on alone.
            if was_primary && let Some(other) = task.promote() {
                step.push(Effect::Promoted { gid, fence: other });
            }
            if blame.is_the_miners() {
                self.blame(key, gid, step.now());
            }
            self.release(gid, key, fence, step);
            return;
        }
        let broken = was_primary && task.is_shown();
        let (wish, tries, required) = (task.demand().on_failure, task.tries(), task.demand().required);
        let (recheck, single) = (task.is_recheck(), !task.redundant());
        // A client has seen a part of the text: a miner must continue it, or start over if the request allows that.
        let goes_on = broken && single && wish != OnFailure::Fail && self.has_continuer(gid);
        let retry = !blame.is_the_requests()
            && (!blame.is_final_there() || self.has_untried(gid))
            && (!broken || goes_on || wish == OnFailure::Restart)
            && !recheck
            && tries < self.settings.max_attempts.max(required)
            && (declined || self.budget.take(step.now()));
        if blame.is_the_miners() {
            self.blame(key, gid, step.now());
        }
        if retry {
            self.requeue(gid, was_primary, goes_on, step);
        } else if let Some(task) = self.tasks.get_mut(gid) {
            // No further answers will come beside those of the other miners.
            let (left, done) = (task.settle_for_attempts(), task.done());
            let elsewhere =
                left == 0 && !broken && blame.lack().is_some_and(|lack| self.reroute(gid, lack, was_primary, step));
            if elsewhere {
                // The task waits for a miner of another model now.
            } else if left == 0 || broken {
                let cause = match (broken, blame) {
                    (true, _) => EndCause::Broken,
                    _ if blame.is_the_requests() => EndCause::Request,
                    _ => EndCause::Attempts,
                };
                self.end(gid, Outcome::Failed, cause, StopReason::Superseded, step);
            } else {
                if was_primary {
                    step.push(Effect::Voided { gid, again: false });
                }
                if left == done {
                    self.all_in(gid, step);
                } else {
                    self.dequeue(gid);
                }
            }
        }
        self.release(gid, key, fence, step);
    }

    /// Whether some miner that could serve the task has not been asked yet.
    pub(super) fn has_untried(&self, gid: Gid) -> bool {
        self.tasks.get(gid).is_some_and(|task| {
            self.fleet.of_lane(task.lane()).any(|miner| {
                !task.trials().has(miner.key())
                    && !miner.rules().last_resort
                    && miner.takes_part()
                    && miner.serves(task.lane())
                    && !task.is_with(miner.key())
            })
        })
    }

    /// Whether the attempt's work may be sent to its miner once more. If so, this counts as another try of the task.
    pub fn try_again(&mut self, fence: Fence, now: Timestamp) -> bool {
        let most = self.settings.max_attempts;
        let Some((_, task)) = self.tasks.of_attempt(fence) else { return false };
        let may = !task.is_ending() && task.tries() < most.max(task.demand().required) && self.budget.take(now);
        if may {
            task.try_again();
        }
        may
    }

    /// Whether some miner can continue the task's text.
    fn has_continuer(&self, gid: Gid) -> bool {
        self.tasks.get(gid).is_some_and(|task| {
            self.fleet.of_lane(task.lane()).any(|miner| {
                miner.rules().continues
                    && miner.takes_part()
                    && miner.serves(task.lane())
                    && !task.trials().has(miner.key())
            })
        })
    }

    /// Ends or restarts the tasks that wait for a miner to continue their text, if no such miner is up any more.
    pub(super) fn settle_continuing(&mut self, step: &mut Step) {
        let left: Vec<Gid> = self.tasks.continuing().filter(|gid| !self.has_continuer(*gid)).collect();
        for gid in left {
            self.tasks.set_continuing(gid, false);
            let Some(task) = self.tasks.get_mut(gid) else { continue };
            if task.demand().on_failure == OnFailure::Restart {
                task.void();
                step.push(Effect::Voided { gid, again: true });
                let lane = task.lane().clone();
                self.pump(&lane, step);
            } else {
                self.end(gid, Outcome::Failed, EndCause::Broken, StopReason::Superseded, step);
            }
        }
    }

    /// Counts a failure against the miner, which may open its breaker.
    fn blame(&mut self, key: MinerKey, task: Gid, now: Timestamp) {
        if let Some(until) = self.fleet.failed(key, task, now, &self.settings) {
            self.timers.set(until, Timer::Breaker(key));
        }
    }

    /// Whether a free miner that was not tried may have the task.
    fn has_fresh(&self, task: &TaskEntry) -> bool {
        let lane = task.lane();
        let Ok(limits) = self.limits(lane) else { return false };
        let Some(worst) = self.worst_fit(task, limits.as_ref()) else { return false };
        self.fleet.of_lane(lane).any(|miner| {
            !task.trials().has(miner.key())
                && miner.is_listed()
                && miner.is_kept_for_none_but(lane.own())
                && miner.fit(lane).is_some_and(|fit| fit <= worst)
                && limits.as_ref().is_none_or(|limits| limits.allow(miner))
                && self.may_have(task, miner, worst)
        })
    }

    /// Puts the task back to its old place in the queue: at once if another miner is free, else after a short wait
    /// with full jitter.
    fn requeue(&mut self, gid: Gid, was_primary: bool, goes_on: bool, step: &mut Step) {
        let Some(task) = self.tasks.known_mut(gid) else { return };
        // The answer begins again, so the time to its first token does, too.
        if let Some(deadline) = task.renew_deadline(step.now()) {
            self.timers.set(deadline, Timer::Deadline(gid));
        }
        if task.wait_again() {
            step.push(Effect::State { gid, state: TaskState::Queued });
        }
        let lane = task.lane().clone();
        if goes_on {
            self.tasks.set_continuing(gid, true);
        } else if was_primary {
            task.void();
            step.push(Effect::Voided { gid, again: true });
        }
        // A free miner that was not tried may have the task at once. If no such miner may have it, the task waits: a
        // miner that declines at once would else get it again and again in the same moment.
        let fresh = self.tasks.get(gid).is_some_and(|task| self.has_fresh(task));
        if fresh {
            self.wait(gid, &lane, step);
            return;
        }
        let Some(task) = self.tasks.known_mut(gid) else { return };
        let ceiling = self.settings.retry_base_ms.saturating_mul(1 << u64::from(task.tries().min(5)));
        let wait = jitter(gid.0, u64::from(task.tries()), ceiling.min(self.settings.retry_base_ms.saturating_mul(25)));
        let at = step.now().plus(wait.max(1));
        if let Some(old) = task.retry_at(at) {
            self.timers.clear(old, Timer::Retry(gid));
        }
        self.timers.set(at, Timer::Retry(gid));
        self.dequeue(gid);
    }
}
