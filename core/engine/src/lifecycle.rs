//! What becomes of attempts and tasks after the offer.

use smallvec::SmallVec;

use cortensor_router_model::{Fence, Gid, OnFailure, Outcome, TaskState, Timestamp};

use super::entering::cost_of;
use super::event::{Blame, Effect, EndCause, MinerKey, StopReason};
use super::line::SCALE;
use super::machine::Engine;
use super::settings::PlantedBug;
use super::step::Step;
use super::task::{Attempt, AttemptState};
use super::timer::Timer;

/// The deadline of a stream that has begun and whose deadline was for its first token.
const NEVER: Timestamp = Timestamp(u64::MAX);

/// How much a new measurement weighs.
const SMOOTHING: f64 = 0.2;

pub(super) fn smooth(old: f64, new: f64) -> f64 {
    if old <= 0.0 { new } else { old + SMOOTHING * (new - old) }
}

impl Attempt {
    fn open_timer(&self) -> Timer {
        if self.state == AttemptState::Offered { Timer::Accept(self.fence) } else { Timer::Progress(self.fence) }
    }
}

impl Engine {
    pub(super) fn accepted(&mut self, fence: Fence, step: &mut Step) {
        let Some(gid) = self.fences.get(&fence).copied() else { return };
        let Some(task) = self.tasks.get_mut(&gid) else { return };
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
        let Some(gid) = self.fences.get(&fence).copied() else { return };
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        let Some(attempt) = task.attempts.iter_mut().find(|a| a.fence == fence) else { return };
        // The timer stays where it is: when it is due it looks at this.
        attempt.heard_at = step.now;
        let newly = first && attempt.first_token_at.is_none();
        if newly {
            attempt.first_token_at = Some(step.now);
            let waited = step.now.since(attempt.offered_at);
            if let Some(miner) = self.fleet.get_mut(attempt.miner) {
                miner.first_token_ms = smooth(miner.first_token_ms, waited as f64);
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

    /// A client has seen what that attempt gave.
    pub(super) fn shown(&mut self, fence: Fence) {
        if let Some(task) = self.fences.get(&fence).and_then(|gid| self.tasks.get_mut(gid))
            && task.primary == Some(fence)
        {
            task.shown = true;
        }
    }

    pub(super) fn done(&mut self, fence: Fence, tokens: u64, step: &mut Step) {
        self.accepted(fence, step);
        let keep_fence = self.planted(PlantedBug::IgnoreFence);
        let Some(gid) = self.fences.get(&fence).copied() else { return };
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        let races = task.races();
        let Some(attempt) = task.attempts.iter_mut().find(|a| a.fence == fence) else { return };
        attempt.state = AttemptState::Done;
        self.timers.clear(attempt.timer, Timer::Progress(fence));
        let (key, took) = (attempt.miner, step.now.since(attempt.offered_at).max(1));
        if !keep_fence {
            self.fences.remove(&fence);
        }
        if races {
            task.primary = Some(fence);
        }
        // Where answers are not compared the first one will do; of a stream, the one that is streamed.
        let first = !task.spec.judged
            && task.spec.required > 1
            && (!task.spec.streaming || task.primary.is_none_or(|primary| primary == fence));
        let all_in = first || task.done() == task.spec.required;
        let (cost, expected, session) = (task.cost, task.spec.max_tokens, task.spec.session);
        let actual = cost_of(task.spec.prompt_tokens, tokens, task.spec.required);
        let charged = all_in && !task.spec.shadow && !task.tie_broken;
        if charged {
            if let Some(session) = self.sessions.get_mut(&session) {
                let mean = if session.mean_out > 0.0 { session.mean_out } else { tokens.min(expected) as f64 };
                session.mean_out = smooth(mean, tokens as f64).max(1.0);
                // The estimate is corrected: what was charged too much is given back, never below what was served.
                let weight = u64::from(session.rules.weight.max(1));
                session.finish = if actual >= cost {
                    session.finish.saturating_add((actual - cost) * SCALE / weight)
                } else {
                    session.finish.saturating_sub((cost - actual) * SCALE / weight)
                };
            }
            self.drain.note(cost, took, self.line.tasks() > 0, step.now);
        }
        self.budget.success();
        if let Some(miner) = self.fleet.get_mut(key) {
            miner.succeeded(tokens, took);
        }
        if all_in {
            // First, so that none of those who are stopped gets it again.
            self.all_in(gid, step);
            self.stop_others(gid, fence, step);
        }
        self.release(gid, key, fence, step);
    }

    /// Gives a miner's credit back and offers it what waits.
    fn release(&mut self, gid: Gid, key: MinerKey, fence: Fence, step: &mut Step) {
        let own = self.tasks.get(&gid).and_then(|task| task.lane.own);
        if let Some(session) = own {
            self.stopped_working(session, key);
        }
        let twice = self.planted(PlantedBug::DoubleCredit);
        if let Some(miner) = self.fleet.get_mut(key)
            && miner.fences.remove(&fence)
        {
            // The self-check compares it with the fences.
            miner.in_flight = miner.in_flight.saturating_sub(if twice { 2 } else { 1 });
            self.fleet.reindex(key);
            self.pump_for(key, step);
        }
        // Another miner may work for the session now.
        if let Some(session) = own {
            self.pump_own(session, step);
        }
    }

    /// Takes attempts that are wanted no more off their task, and offers those who have room now what waits.
    pub(super) fn stop_all(&mut self, gid: Gid, fences: &[Fence], reason: StopReason, step: &mut Step) {
        let mut freed: SmallVec<[MinerKey; 4]> = SmallVec::new();
        let mut own = None;
        for fence in fences {
            let Some(task) = self.tasks.get_mut(&gid) else { return };
            let Some(index) = task.attempts.iter().position(|a| a.fence == *fence) else { continue };
            let attempt = task.attempts.remove(index);
            own = task.lane.own;
            self.fences.remove(fence);
            self.timers.clear(attempt.timer, attempt.open_timer());
            if !self.planted(PlantedBug::ForgetCancel) {
                step.push(Effect::Stop { gid, miner: attempt.miner, fence: *fence, reason });
            }
            if let Some(session) = own {
                self.stopped_working(session, attempt.miner);
            }
            if let Some(miner) = self.fleet.get_mut(attempt.miner)
                && miner.fences.remove(fence)
            {
                miner.in_flight -= 1;
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

    /// An attempt is over without an answer. `declined`: the miner never took it.
    pub(super) fn attempt_lost(&mut self, fence: Fence, blame: Blame, declined: bool, step: &mut Step) {
        let Some(gid) = self.fences.remove(&fence) else { return };
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        let Some(index) = task.attempts.iter().position(|a| a.fence == fence) else { return };
        let raced = task.races();
        let attempt = task.attempts.remove(index);
        self.timers.clear(attempt.timer, attempt.open_timer());
        let was_primary = task.primary == Some(fence);
        if was_primary {
            task.primary = None;
        }
        if !task.tried.contains(&attempt.miner) {
            task.tried.push(attempt.miner);
        }
        if blame.is_final_there() && !task.refused_by.contains(&attempt.miner) {
            task.refused_by.push(attempt.miner);
            self.picky.insert(gid);
        }
        if declined && !task.declined_by.contains(&attempt.miner) {
            task.declined_by.push(attempt.miner);
        }
        if declined || blame.is_final_there() {
            task.tries = task.tries.saturating_sub(1);
        }
        // One that gave nothing may be asked again when nobody else is left.
        if let Some(at) = task.used.iter().position(|used| used.fence == fence) {
            task.used.remove(at);
        }
        if raced {
            // The other one runs on alone.
            if was_primary && let Some(other) = task.attempts.first().map(|a| a.fence) {
                task.primary = Some(other);
                step.push(Effect::Promoted { gid, fence: other });
            }
            if blame.is_the_miners() {
                self.blame(attempt.miner, gid, step.now);
            }
            self.release(gid, attempt.miner, fence, step);
            return;
        }
        let broken = was_primary && task.shown;
        let (wish, tries, required) = (task.spec.on_failure, task.tries, task.spec.required);
        let (recheck, single) = (task.recheck, !task.redundant());
        // While it is broken, only who goes on from the text will do, or who starts over where clients can.
        let goes_on = broken && single && wish != OnFailure::Fail && self.has_continuer(gid);
        let retry = blame != Blame::Request
            && (!blame.is_final_there() || self.has_untried(gid))
            && (!broken || goes_on || wish == OnFailure::Restart)
            && !recheck
            && tries < self.settings.max_attempts.max(required)
            && (declined || self.budget.take(step.now));
        if blame.is_the_miners() {
            self.blame(attempt.miner, gid, step.now);
        }
        if retry {
            if !self.planted(PlantedBug::DropRequeue) {
                self.requeue(gid, was_primary, goes_on, step);
            }
        } else if let Some(task) = self.tasks.get_mut(&gid) {
            // The answers of the other miners, if any, are all there will be.
            task.spec.required = task.attempts.len() as u32;
            let (left, done) = (task.spec.required, task.done());
            if left == 0 || broken {
                let cause = match (broken, blame) {
                    (true, _) => EndCause::Broken,
                    (_, Blame::Request) => EndCause::Request,
                    _ => EndCause::Attempts,
                };
                self.end(gid, Outcome::Failed, cause, StopReason::Superseded, step);
            } else if left == done {
                self.all_in(gid, step);
            } else {
                self.dequeue(gid);
                if was_primary {
                    step.push(Effect::Voided { gid });
                }
            }
        }
        self.release(gid, attempt.miner, fence, step);
    }

    /// Whether a miner is there that has not been asked yet.
    pub(super) fn has_untried(&self, gid: Gid) -> bool {
        self.tasks.get(&gid).is_some_and(|task| {
            self.fleet.iter().any(|(key, miner)| {
                !task.tried.contains(key)
                    && !miner.rules.last_resort
                    && miner.takes_part()
                    && miner.serves(&task.lane)
                    && !task.attempts.iter().any(|attempt| attempt.miner == *key)
            })
        })
    }

    /// Whether the work may be sent to its miner once more, as another try of the task.
    pub fn try_again(&mut self, fence: Fence, now: Timestamp) -> bool {
        let most = self.settings.max_attempts;
        let Some(task) = self.fences.get(&fence).and_then(|gid| self.tasks.get_mut(gid)) else { return false };
        let may = !task.is_ending() && task.tries < most.max(task.spec.required) && self.budget.take(now);
        task.tries += u32::from(may);
        may
    }

    /// Whether a miner is there that can go on from the task's text.
    fn has_continuer(&self, gid: Gid) -> bool {
        self.tasks.get(&gid).is_some_and(|task| {
            self.fleet.iter().any(|(key, miner)| {
                miner.rules.continues && miner.takes_part() && miner.serves(&task.lane) && !task.tried.contains(key)
            })
        })
    }

    /// Tasks that wait for a miner that goes on from their text, and for which there is none any more.
    pub(super) fn settle_continuing(&mut self, step: &mut Step) {
        if self.continuing.is_empty() {
            return;
        }
        let left: Vec<Gid> = self.continuing.iter().copied().filter(|gid| !self.has_continuer(*gid)).collect();
        for gid in left {
            self.continuing.remove(&gid);
            let Some(task) = self.tasks.get_mut(&gid) else { continue };
            task.continuing = false;
            if task.spec.on_failure == OnFailure::Restart {
                task.shown = false;
                step.push(Effect::Voided { gid });
                let lane = task.lane.clone();
                self.pump(&lane, step);
            } else {
                self.end(gid, Outcome::Failed, EndCause::Broken, StopReason::Superseded, step);
            }
        }
    }

    fn blame(&mut self, key: MinerKey, task: Gid, now: Timestamp) {
        if let Some(until) = self.fleet.failed(key, task, now, &self.settings) {
            self.timers.set(until, Timer::Breaker(key));
        }
    }

    /// Back to its old place in the queue after a short wait with full jitter.
    fn requeue(&mut self, gid: Gid, was_primary: bool, goes_on: bool, step: &mut Step) {
        let from_nothing = self.planted(PlantedBug::ContinueFromNothing);
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        if task.spec.open_ended && task.spec.deadline == NEVER {
            // It is to begin again.
            task.spec.deadline = step.now.plus(task.patience_ms);
            self.timers.set(task.spec.deadline, Timer::Deadline(gid));
        }
        if task.attempts.is_empty() {
            task.state = TaskState::Queued;
            step.push(Effect::State { gid, state: TaskState::Queued });
        }
        if goes_on {
            task.continuing = !from_nothing;
            if task.continuing {
                self.continuing.insert(gid);
            }
        } else if was_primary {
            task.shown = false;
            step.push(Effect::Voided { gid });
        }
        // Another miner may take it at once; a wait only helps where all of them were tried.
        let lane = task.lane.clone();
        let fresh = self.tasks.get(&gid).is_some_and(|task| {
            let worst = self.worst_fit(task, None);
            self.fleet.iter().any(|(key, miner)| {
                !task.tried.contains(key)
                    && miner.rank.is_some()
                    && miner.serves(&lane)
                    && miner.fit(&lane) <= worst
                    && (miner.rules.continues || !task.continuing)
            })
        });
        if fresh {
            self.wait(gid, &lane, step);
            return;
        }
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        let ceiling = self.settings.retry_base_ms.saturating_mul(1 << u64::from(task.tries.min(5)));
        let wait = jitter(gid.0, u64::from(task.tries), ceiling.min(self.settings.retry_base_ms.saturating_mul(25)));
        let at = step.now.plus(wait.max(1));
        if let Some(old) = task.retry_at.replace(at) {
            self.timers.clear(old, Timer::Retry(gid));
        }
        self.timers.set(at, Timer::Retry(gid));
        self.dequeue(gid);
    }
}

/// A number from 0 to `ceiling`, the same for the same task and try, so that no randomness is needed.
fn jitter(gid: u64, tries: u64, ceiling: u64) -> u64 {
    mix(gid, tries) % (ceiling + 1)
}

/// A number that looks random, the same for the same two (splitmix64's finalizer).
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(b.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
