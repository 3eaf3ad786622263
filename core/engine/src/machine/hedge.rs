//! Races a second miner against one that is slow to begin (Dean and Barroso, "The Tail at Scale", 2013): the first
//! token wins.

use super::Engine;
use crate::effect::StopReason;
use crate::step::Step;
use crate::task::AttemptState;
use crate::timer::Timer;
use cortensor_router_model::{Fence, Gid, Timestamp};

impl Engine {
    /// Sets the time at which another miner may race the one that has just got the task.
    pub(super) fn watch_for_hedge(&mut self, gid: Gid, fence: Fence, now: Timestamp) {
        self.hedging.save(self.settings.hedge_budget);
        let Some(task) = self.tasks.known(gid) else { return };
        if task.redundant() || task.spec.embedding || !task.spec.streaming {
            return;
        }
        if let Some(wait) = self.hedging.usual_wait(&task.lane.model) {
            self.timers.set(now.plus(wait.max(1)), Timer::Hedge(fence));
        }
    }

    /// Starts a race if the first token of an attempt has taken longer than usual.
    pub(super) fn hedge(&mut self, fence: Fence, step: &mut Step) {
        let Some((gid, task, _)) = self.tasks.attempt(fence) else { return };
        let waits = match task.attempts.as_slice() {
            [only] => only.fence == fence && only.first_token_at.is_none() && only.state != AttemptState::Done,
            _ => false,
        };
        if !waits || task.is_ending() || !self.hedging.may_hedge() {
            return;
        }
        let (lane, window) = (task.lane.clone(), [(task.place.tag, gid)]);
        let Some((gid, miner)) = self.choose(&lane, &window, task.place.tag, step.now) else { return };
        if self.fleet.get(miner).is_none_or(|miner| miner.rules().last_resort) {
            return;
        }
        self.hedging.spend();
        self.offer(gid, miner, true, step);
    }

    /// Stops the attempts that run beside the one whose answer is taken.
    pub(super) fn stop_others(&mut self, gid: Gid, winner: Fence, step: &mut Step) {
        let Some(task) = self.tasks.known_mut(gid) else { return };
        let others: Vec<Fence> = task
            .attempts
            .iter()
            .filter(|a| a.fence != winner && a.state != AttemptState::Done)
            .map(|a| a.fence)
            .collect();
        if others.is_empty() {
            return;
        }
        self.stop_all(gid, &others, StopReason::Superseded, step);
    }
}
