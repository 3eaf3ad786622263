//! Has answers compared, and draws the conclusions from a verdict: the task's end, a tie-break, the miners'
//! reputations.

use std::sync::Arc;

use super::Engine;
use crate::effect::{Effect, EndCause};
use crate::rules::MinerKey;
use crate::step::Step;
use crate::timer::Timer;
use cortensor_router_model::{Fence, Gid, Outcome, Standing, TaskState, Timestamp};

impl Engine {
    /// Handles that all answers of a task are in: has them compared, or ends the task if its answers are not compared.
    /// The caller stops the attempts that are left.
    pub(super) fn all_in(&mut self, gid: Gid, step: &mut Step) {
        self.dequeue(gid);
        let Some(task) = self.tasks.known_mut(gid) else { return };
        // A part of an answer that does not count must not be taken for the beginning of the one that does.
        if task.breaks_off() {
            task.void();
            step.push(Effect::Voided { gid, again: false });
        }
        // Even where one answer only is left of several: then too few came.
        if task.demand().judged && task.redundant() {
            task.judge();
            step.push(Effect::Judge { gid });
            return;
        }
        task.end();
        step.push(Effect::State { gid, state: TaskState::Precommitted });
        step.push(Effect::Finish { gid, outcome: Outcome::Ok, cause: EndCause::Done });
    }

    /// Ends a task by the verdict on its answers, or asks one more miner.
    pub(super) fn verdict(&mut self, gid: Gid, standing: Standing, agrees: &[(Fence, bool)], step: &mut Step) {
        let Some(task) = self.tasks.get(gid).filter(|task| task.is_judging()) else { return };
        if standing == Standing::Disputed && task.may_break_tie(step.now()) && self.has_distinct(task) {
            let lane = task.lane().clone();
            if let Some(task) = self.tasks.known_mut(gid) {
                task.break_tie();
            }
            self.enqueue(gid);
            self.pump(&lane, step);
            return;
        }
        // Only a majority of equal answers shows which miners are right.
        if standing == Standing::Agreed {
            for (fence, agreed) in agrees {
                self.reputed(gid, *fence, *agreed, step);
            }
        }
        let outcome = if standing == Standing::Agreed { Outcome::Ok } else { Outcome::Disputed };
        let Some(task) = self.tasks.known_mut(gid) else { return };
        task.end();
        step.push(Effect::State { gid, state: TaskState::Precommitted });
        step.push(Effect::Finish { gid, outcome, cause: EndCause::Done });
    }

    /// Raises or lowers the reputation of the attempt's miner, as its answer agreed or not.
    fn reputed(&mut self, gid: Gid, fence: Fence, agreed: bool, step: &mut Step) {
        let Some(task) = self.tasks.known(gid) else { return };
        let Some(name) = task.answerers().identity_of(fence).cloned() else { return };
        let old = self.trust.of(&name);
        let new = old + self.settings.reputation_step * (f64::from(u8::from(agreed)) - old);
        if (new - old).abs() < 1e-12 {
            return;
        }
        self.remember(&name, new);
        step.push(Effect::Reputed { name: name.clone(), reputation: new });
        if let Some(key) = self.fleet.by_identity(&name) {
            if let Some(miner) = self.fleet.get_mut(key) {
                miner.set_reputation(new);
            }
            self.judge_reputation(key, step.now());
            self.fleet.reindex(key);
        }
    }

    /// Remembers the reputation of a miner that is not there yet.
    pub(super) fn known_reputation(&mut self, name: &Arc<str>, reputation: f64) {
        if (0.0..=1.0).contains(&reputation) && self.fleet.by_identity(name).is_none() {
            self.remember(name, reputation);
        }
    }

    fn remember(&mut self, name: &Arc<str>, reputation: f64) {
        self.trust.remember(name, reputation, self.fleet.by_identity(name).is_some());
    }

    /// Sets a miner aside if its reputation is too low.
    pub(super) fn judge_reputation(&mut self, key: MinerKey, now: Timestamp) {
        let Some(miner) = self.fleet.get_mut(key) else { return };
        let until = now.plus(self.settings.set_aside_ms.max(1));
        if miner.set_aside_below(self.settings.min_reputation, until) {
            self.fleet.thin();
            self.timers.set(until, Timer::SetAside(key));
        }
    }

    /// Ends the time for which a miner was set aside. After one more wrong answer it is set aside again.
    pub(super) fn back_from_aside(&mut self, key: MinerKey, step: &mut Step) {
        let Some(miner) = self.fleet.get_mut(key) else { return };
        let Some(reputation) = miner.come_back(self.settings.min_reputation) else { return };
        let name = miner.rules().identity.clone();
        self.remember(&name, reputation);
        step.push(Effect::Reputed { name, reputation });
        self.fleet.reindex(key);
        self.pump_for(key, step);
    }
}
