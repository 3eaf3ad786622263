//! What becomes of attempts and tasks after the offer.

use crate::model::{Fence, Gid, Outcome, TaskState, Timestamp};

use super::entry::AttemptState;
use super::event::{Blame, Effect, EndCause, MinerKey, StopReason};
use super::machine::{Engine, PlantedBug};
use super::queue::SCALE;
use super::timer::Timer;

/// How much a new measurement weighs in a miner's speed.
const SMOOTHING: f64 = 0.2;

fn smooth(old: f64, new: f64) -> f64 {
    if old <= 0.0 { new } else { old + SMOOTHING * (new - old) }
}

impl Engine {
    pub(super) fn accepted(&mut self, fence: Fence, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(gid) = self.fences.get(&fence).copied() else { return };
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        let silent_until = task.silent_until(now, self.settings.progress_timeout_ms);
        let Some(attempt) = task.attempts.iter_mut().find(|a| a.fence == fence && a.state == AttemptState::Offered)
        else {
            return;
        };
        self.timers.clear(attempt.timer, Timer::Accept(fence));
        attempt.state = AttemptState::Running;
        attempt.heard_at = now;
        attempt.timer = silent_until;
        self.timers.set(attempt.timer, Timer::Progress(fence));
        if task.state < TaskState::Acked {
            task.state = TaskState::Acked;
            out.push(Effect::State { gid, state: TaskState::Acked });
        }
    }

    pub(super) fn progress(&mut self, fence: Fence, first: bool, shown: bool, now: Timestamp, out: &mut Vec<Effect>) {
        self.accepted(fence, now, out);
        let Some(gid) = self.fences.get(&fence).copied() else { return };
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        let Some(attempt) = task.attempts.iter_mut().find(|a| a.fence == fence) else { return };
        // The timer stays where it is: when it is due it looks at this.
        attempt.heard_at = now;
        attempt.shown |= shown;
        if first && attempt.first_token_at.is_none() {
            attempt.first_token_at = Some(now);
            if let Some(miner) = self.miners.get_mut(&attempt.miner) {
                miner.first_token_ms = smooth(miner.first_token_ms, now.since(attempt.offered_at) as f64);
            }
        }
    }

    pub(super) fn done(&mut self, fence: Fence, tokens: u64, now: Timestamp, out: &mut Vec<Effect>) {
        self.accepted(fence, now, out);
        let keep_fence = self.planted(PlantedBug::IgnoreFence);
        let Some(gid) = self.fences.get(&fence).copied() else { return };
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        let Some(attempt) = task.attempts.iter_mut().find(|a| a.fence == fence) else { return };
        attempt.state = AttemptState::Done;
        self.timers.clear(attempt.timer, Timer::Progress(fence));
        let (key, took) = (attempt.miner, now.since(attempt.offered_at).max(1));
        if !keep_fence {
            self.fences.remove(&fence);
        }
        let all_in = task.done() == task.spec.required;
        let (cost, expected, session) = (task.cost, task.spec.max_tokens, task.spec.session);
        let actual = (task.spec.prompt_tokens + 2 * tokens).max(1) * u64::from(task.spec.required);
        if all_in {
            task.state = TaskState::Precommitted;
            task.ending = true;
            out.push(Effect::State { gid, state: TaskState::Precommitted });
            out.push(Effect::Finish { gid, outcome: Outcome::Ok, cause: EndCause::Done });
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
            self.drain.note(cost, now);
        }
        self.budget.success();
        if let Some(miner) = self.miners.get_mut(&key) {
            miner.completed += 1;
            miner.breaker.success();
            if tokens > 0 {
                miner.speed = smooth(miner.speed, tokens as f64 * 1_000.0 / took as f64);
            }
        }
        if all_in {
            self.dequeue(gid);
        }
        self.release(key, fence, now, out);
    }

    /// Gives a miner's credit back and offers it what waits.
    pub(super) fn release(&mut self, key: MinerKey, fence: Fence, now: Timestamp, out: &mut Vec<Effect>) {
        let twice = self.planted(PlantedBug::DoubleCredit);
        let Some(miner) = self.miners.get_mut(&key) else { return };
        if !miner.fences.remove(&fence) {
            return;
        }
        miner.in_flight -= 1;
        if twice {
            miner.in_flight = miner.in_flight.saturating_sub(1);
        }
        self.reindex(key);
        self.pump_for(key, now, out);
    }

    /// An attempt is over without an answer. `declined`: the miner never took it.
    pub(super) fn attempt_lost(
        &mut self,
        fence: Fence,
        blame: Blame,
        declined: bool,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        let Some(gid) = self.fences.remove(&fence) else { return };
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        let Some(index) = task.attempts.iter().position(|a| a.fence == fence) else { return };
        let attempt = task.attempts.remove(index);
        self.timers.clear(
            attempt.timer,
            if attempt.state == AttemptState::Offered { Timer::Accept(fence) } else { Timer::Progress(fence) },
        );
        let was_primary = task.primary == Some(fence);
        if was_primary {
            task.primary = None;
        }
        if !task.tried.contains(&attempt.miner) {
            task.tried.push(attempt.miner);
        }
        if declined {
            task.tries = task.tries.saturating_sub(1);
        }
        let broken = was_primary && attempt.shown;
        let retry = blame != Blame::Request
            && !broken
            && task.tries < self.settings.max_attempts.max(task.spec.required)
            && (declined || self.budget.take(now));
        if blame == Blame::Miner {
            self.blame(attempt.miner, now);
        }
        if retry {
            if !self.planted(PlantedBug::DropRequeue) {
                self.requeue(gid, was_primary, now, out);
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
                self.end(gid, Outcome::Failed, cause, StopReason::Superseded, now, out);
            } else if left == done {
                task.state = TaskState::Precommitted;
                task.ending = true;
                self.dequeue(gid);
                out.push(Effect::Finish { gid, outcome: Outcome::Ok, cause: EndCause::Done });
            } else {
                self.dequeue(gid);
                if was_primary {
                    out.push(Effect::Voided { gid });
                }
            }
        }
        self.release(attempt.miner, fence, now, out);
    }

    fn blame(&mut self, key: MinerKey, now: Timestamp) {
        let Some(miner) = self.miners.get_mut(&key) else { return };
        miner.failed += 1;
        if let Some(until) = miner.breaker.failure(now, self.settings.breaker_failures, self.settings.breaker_open_ms) {
            self.timers.set(until, Timer::Breaker(key));
        }
    }

    /// Back to its old place in the queue after a short wait with full jitter.
    fn requeue(&mut self, gid: Gid, void: bool, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        if task.attempts.is_empty() {
            task.state = TaskState::Queued;
            out.push(Effect::State { gid, state: TaskState::Queued });
        }
        if void {
            out.push(Effect::Voided { gid });
        }
        // Another miner may take it at once; a wait only helps where all of them were tried.
        let lane = task.lane.clone();
        let tried = task.tried.clone();
        let fresh =
            self.miners.iter().any(|(key, miner)| !tried.contains(key) && miner.rank.is_some() && miner.serves(&lane));
        if fresh {
            self.enqueue(gid);
            self.pump(&lane, now, out);
            return;
        }
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        let ceiling = self.settings.retry_base_ms.saturating_mul(1 << u64::from(task.tries.min(5)));
        let wait = jitter(gid.0, u64::from(task.tries), ceiling.min(self.settings.retry_base_ms.saturating_mul(25)));
        let at = now.plus(wait.max(1));
        if let Some(old) = task.retry_at.replace(at) {
            self.timers.clear(old, Timer::Retry(gid));
        }
        self.timers.set(at, Timer::Retry(gid));
        self.dequeue(gid);
    }

    pub(super) fn miner_gone(&mut self, key: MinerKey, now: Timestamp, out: &mut Vec<Effect>) {
        if let Some(miner) = self.miners.get_mut(&key) {
            miner.draining = true;
        }
        self.unindex(key);
        let Some(fences) = self.miners.get(&key).map(|miner| miner.fences.clone()) else { return };
        for fence in fences {
            // A miner that was removed, and not just lost, is still there to be told.
            if let Some(gid) = self.fences.get(&fence).copied() {
                out.push(Effect::Stop { gid, miner: key, fence, reason: StopReason::Superseded });
            }
            self.attempt_lost(fence, Blame::Nobody, false, now, out);
        }
        self.unindex(key);
        self.miners.remove(&key);
        for session in self.sessions.values_mut() {
            if session.last_miner == Some(key) {
                session.last_miner = None;
            }
        }
    }

    /// Ends a task, whatever it is doing. Its end is written before it is shown.
    pub(super) fn end(
        &mut self,
        gid: Gid,
        outcome: Outcome,
        cause: EndCause,
        reason: StopReason,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if self.tasks.get(&gid).is_none_or(|task| task.ending) {
            return;
        }
        self.dequeue(gid);
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        task.ending = true;
        task.state = TaskState::Precommitted;
        let mut freed = Vec::new();
        let attempts: Vec<_> = task.attempts.iter().filter(|a| a.state != AttemptState::Done).cloned().collect();
        for attempt in attempts {
            self.fences.remove(&attempt.fence);
            let timer = if attempt.state == AttemptState::Offered {
                Timer::Accept(attempt.fence)
            } else {
                Timer::Progress(attempt.fence)
            };
            self.timers.clear(attempt.timer, timer);
            if !self.planted(PlantedBug::ForgetCancel) {
                out.push(Effect::Stop { gid, miner: attempt.miner, fence: attempt.fence, reason });
            }
            if let Some(miner) = self.miners.get_mut(&attempt.miner)
                && miner.fences.remove(&attempt.fence)
            {
                miner.in_flight -= 1;
                self.reindex(attempt.miner);
                freed.push(attempt.miner);
            }
        }
        out.push(Effect::Finish { gid, outcome, cause });
        if self.planted(PlantedBug::ShowBeforeCommit) {
            out.push(Effect::Ended { gid });
        }
        for key in freed {
            self.pump_for(key, now, out);
        }
    }

    pub(super) fn committed(&mut self, gid: Gid, out: &mut Vec<Effect>) {
        if self.tasks.get(&gid).is_none_or(|task| !task.ending) {
            return;
        }
        let Some(task) = self.tasks.remove(&gid) else { return };
        self.timers.clear(task.spec.deadline, Timer::Deadline(gid));
        for attempt in &task.attempts {
            self.fences.remove(&attempt.fence);
        }
        if let Some(at) = task.retry_at {
            self.timers.clear(at, Timer::Retry(gid));
        }
        if let Some(at) = task.unservable_at {
            self.timers.clear(at, Timer::Unservable(gid));
        }
        if let Some(session) = self.sessions.get_mut(&task.spec.session) {
            session.active = session.active.saturating_sub(1);
        }
        out.push(Effect::State { gid, state: TaskState::Ended });
        out.push(Effect::Ended { gid });
    }

    pub(super) fn tick(&mut self, now: Timestamp, out: &mut Vec<Effect>) {
        while let Some(timer) = self.timers.pop(now) {
            match timer {
                Timer::Deadline(gid) => {
                    if !self.planted(PlantedBug::ForgetDeadline) {
                        self.end(gid, Outcome::Expired, EndCause::Deadline, StopReason::Expired, now, out);
                    }
                }
                Timer::Retry(gid) => {
                    let Some(task) = self.tasks.get_mut(&gid) else { continue };
                    task.retry_at = None;
                    if task.wants_miner() {
                        let lane = task.lane.clone();
                        self.enqueue(gid);
                        self.pump(&lane, now, out);
                    }
                }
                Timer::Accept(fence) => self.silent(fence, true, now, out),
                Timer::Progress(fence) => {
                    let Some(gid) = self.fences.get(&fence).copied() else { continue };
                    let Some(task) = self.tasks.get_mut(&gid) else { continue };
                    let Some(index) = task.attempts.iter().position(|a| a.fence == fence) else { continue };
                    let due = task.silent_until(task.attempts[index].heard_at, self.settings.progress_timeout_ms);
                    let attempt = &mut task.attempts[index];
                    if due > now {
                        attempt.timer = due;
                        self.timers.set(due, Timer::Progress(fence));
                    } else {
                        self.silent(fence, false, now, out);
                    }
                }
                Timer::Breaker(key) => {
                    if let Some(miner) = self.miners.get_mut(&key) {
                        if matches!(miner.breaker.state(), super::BreakerState::Open(until) if until <= now) {
                            miner.breaker.half_open();
                        }
                        self.reindex(key);
                        self.pump_for(key, now, out);
                    }
                }
                Timer::Unservable(gid) => {
                    if let Some(task) = self.tasks.get_mut(&gid) {
                        task.unservable_at = None;
                    }
                    self.end(gid, Outcome::Failed, EndCause::NoMiner, StopReason::Superseded, now, out);
                }
            }
        }
    }

    fn silent(&mut self, fence: Fence, declined: bool, now: Timestamp, out: &mut Vec<Effect>) {
        let Some(gid) = self.fences.get(&fence).copied() else { return };
        if let Some(attempt) = self.tasks.get(&gid).and_then(|t| t.attempts.iter().find(|a| a.fence == fence)) {
            out.push(Effect::Stop { gid, miner: attempt.miner, fence, reason: StopReason::Silent });
        }
        self.attempt_lost(fence, if declined { Blame::Nobody } else { Blame::Miner }, declined, now, out);
    }
}

/// A number from 0 to `ceiling`, the same for the same task and try (splitmix64's finalizer), so that no randomness is needed.
fn jitter(gid: u64, tries: u64, ceiling: u64) -> u64 {
    let mut x = gid.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(tries.wrapping_mul(0xbf58_476d_1ce4_e5b9));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) % (ceiling + 1)
}
