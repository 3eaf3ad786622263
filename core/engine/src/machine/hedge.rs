//! Races a second miner against one that is slow to begin (Dean and Barroso, "The Tail at Scale", 2013): the first
//! token wins.

use super::Engine;
use crate::effect::StopReason;
use crate::step::Step;
use crate::timer::Timer;
use cortensor_router_model::{Fence, Gid, Timestamp};

impl Engine {
    /// Sets the time at which another miner may race the one that has just got the task.
    pub(super) fn watch_for_hedge(&mut self, gid: Gid, fence: Fence, now: Timestamp) {
        self.hedging.save(self.settings.hedge_budget);
        let Some(task) = self.tasks.known(gid) else { return };
        if task.redundant() || task.demand().embedding || !task.demand().streaming {
            return;
        }
        if let Some(wait) = self.hedging.usual_wait(task.lane().model()) {
            self.timers.set(now.plus(wait.max(1)), Timer::Hedge(fence));
        }
    }

    /// Starts a race if the first token of an attempt has taken longer than usual.
    pub(super) fn hedge(&mut self, fence: Fence, step: &mut Step) {
        let Some((gid, task, _)) = self.tasks.attempt(fence) else { return };
        let waits = match task.attempts() {
            [only] => only.fence() == fence && !only.has_begun() && !only.is_done(),
            _ => false,
        };
        if !waits || task.is_ending() || !self.hedging.may_hedge() {
            return;
        }
        let (lane, window) = (task.lane().clone(), [(task.place().tag(), gid)]);
        let Some((gid, miner)) = self.choose(&lane, &window, window[0].0, step.now()) else { return };
        if self.fleet.get(miner).is_none_or(|miner| miner.rules().last_resort) {
            return;
        }
        self.hedging.spend();
        self.offer(gid, miner, true, step);
    }

    /// Stops the attempts that run beside the one whose answer is taken.
    pub(super) fn stop_others(&mut self, gid: Gid, winner: Fence, step: &mut Step) {
        let Some(task) = self.tasks.known(gid) else { return };
        let others: Vec<Fence> = task.under_way().into_iter().filter(|fence| *fence != winner).collect();
        if others.is_empty() {
            return;
        }
        self.stop_all(gid, &others, StopReason::Superseded, step);
    }
}
