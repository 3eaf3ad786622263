//! Which answers are compared, and what a miner is worth after it: verdicts, tie-breaks, rechecks, reputation.

use std::sync::Arc;

use super::event::Standing;
use super::event::{Demand, Effect, EndCause, MinerKey};
use super::lifecycle::mix;
use super::line::{Place, Tag};
use super::machine::Engine;
use super::phase::Phase;
use super::settings::PlantedBug;
use super::step::Step;
use super::task::{AttemptState, TaskEntry, Used};
use super::timer::Timer;
use cortensor_router_model::{Fence, Gid, OnFailure, Outcome, TaskState, Timestamp};

/// The tag of what is done when nothing else is to do.
const BACKGROUND: Tag = u64::MAX / 2;
/// From here on a reputation counts as perfect and is not remembered.
const PERFECT: f64 = 0.999;

impl Engine {
    /// All answers are in: they are compared where they are to be, else the task ends.
    pub(super) fn all_in(&mut self, gid: Gid, step: &mut Step) {
        self.dequeue(gid);
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        // Even where one answer only is left of several: then too few came.
        if task.spec.judged && task.redundant() {
            task.phase.enter(Phase::Judging);
            step.push(Effect::Judge { gid });
            return;
        }
        task.state = TaskState::Precommitted;
        task.phase.enter(Phase::Ending);
        step.push(Effect::State { gid, state: TaskState::Precommitted });
        step.push(Effect::Finish { gid, outcome: Outcome::Ok, cause: EndCause::Done });
    }

    /// The comparison is done.
    pub(super) fn verdict(&mut self, gid: Gid, standing: Standing, agrees: &[(Fence, bool)], step: &mut Step) {
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        if task.phase.now() != Phase::Judging {
            return;
        }
        if standing == Standing::Disputed && task.spec.tie_break && !task.tie_broken && step.now < task.spec.deadline {
            task.tie_broken = true;
            let lane = task.lane.clone();
            if self.tasks.get(&gid).is_some_and(|task| self.has_distinct(task)) {
                if let Some(task) = self.tasks.get_mut(&gid) {
                    task.phase.enter(Phase::Open);
                    task.spec.required += 1;
                }
                self.enqueue(gid);
                self.pump(&lane, step);
                return;
            }
        }
        // Who is right is known only where a majority says the same.
        if standing == Standing::Agreed {
            for (fence, agreed) in agrees {
                self.reputed(gid, *fence, *agreed, step);
            }
        }
        let outcome = if standing == Standing::Agreed || self.planted(PlantedBug::SilentPick) {
            Outcome::Ok
        } else {
            Outcome::Disputed
        };
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        task.state = TaskState::Precommitted;
        task.phase.enter(Phase::Ending);
        step.push(Effect::State { gid, state: TaskState::Precommitted });
        step.push(Effect::Finish { gid, outcome, cause: EndCause::Done });
    }

    fn reputed(&mut self, gid: Gid, fence: Fence, agreed: bool, step: &mut Step) {
        let Some(task) = self.tasks.get(&gid) else { return };
        let Some(name) = task.used.iter().find(|used| used.fence == fence).map(|used| used.name.clone()) else {
            return;
        };
        let old = self.reputations.get(&name).copied().unwrap_or(1.0);
        let new = old + self.settings.reputation_step * (f64::from(u8::from(agreed)) - old);
        if (new - old).abs() < 1e-12 {
            return;
        }
        self.remember(&name, new);
        step.push(Effect::Reputed { name: name.clone(), reputation: new });
        if let Some(key) = self.fleet.by_identity(&name) {
            if let Some(miner) = self.fleet.get_mut(key) {
                miner.reputation = new;
            }
            self.judge_reputation(key, step.now);
            self.fleet.reindex(key);
        }
    }

    /// What is known of a miner that may come.
    pub(super) fn known_reputation(&mut self, name: &Arc<str>, reputation: f64) {
        if (0.0..=1.0).contains(&reputation) && self.fleet.by_identity(name).is_none() {
            self.remember(name, reputation);
        }
    }

    fn remember(&mut self, name: &Arc<str>, reputation: f64) {
        if reputation >= PERFECT {
            self.reputations.remove(name);
            return;
        }
        // Of more miners than may ever be there at a time, the best one that is gone is forgotten first.
        if self.reputations.len() as u64 >= 2 * self.settings.max_miners && !self.reputations.contains_key(name) {
            let best = self
                .reputations
                .iter()
                .filter(|(name, _)| self.fleet.by_identity(name).is_none())
                .max_by(|(_, a), (_, b)| a.total_cmp(b))
                .map(|(name, _)| name.clone());
            if let Some(best) = best {
                self.reputations.remove(&best);
            }
        }
        self.reputations.insert(name.clone(), reputation);
    }

    /// Sets a miner aside whose answers are not to be trusted.
    pub(super) fn judge_reputation(&mut self, key: MinerKey, now: Timestamp) {
        let keep = self.planted(PlantedBug::KeepLiar);
        let Some(miner) = self.fleet.get_mut(key) else { return };
        if miner.reputation < self.settings.min_reputation && miner.aside_until.is_none() && !keep {
            let until = now.plus(self.settings.set_aside_ms.max(1));
            miner.aside_until = Some(until);
            self.fleet.thin();
            self.timers.set(until, Timer::SetAside(key));
        }
    }

    /// It gets another chance: one more wrong answer, and it is set aside again.
    pub(super) fn back_from_aside(&mut self, key: MinerKey, step: &mut Step) {
        let Some(miner) = self.fleet.get_mut(key) else { return };
        if miner.aside_until.take().is_none() {
            return;
        }
        miner.reputation = miner.reputation.max(self.settings.min_reputation);
        let (name, reputation) = (miner.rules.identity.clone(), miner.reputation);
        self.remember(&name, reputation);
        step.push(Effect::Reputed { name, reputation });
        self.fleet.reindex(key);
        self.pump_for(key, step);
    }

    /// Asks again of another miner what ended well, now and then.
    pub(super) fn recheck(&mut self, of: Gid, ended: TaskEntry, step: &mut Step) {
        let draw = mix(of.0, self.settings.epoch) as f64 / u64::MAX as f64;
        let [answer] = ended.attempts.as_slice() else { return };
        if draw >= self.settings.recheck_ratio
            || answer.state != AttemptState::Done
            || ended.spec.shadow
            || ended.spec.embedding
            || ended.redundant()
            // Nobody alone answers for it.
            || ended.continued
            || self.rechecks >= self.settings.max_rechecks
        {
            return;
        }
        let (fence, key) = (answer.fence, answer.miner);
        let Some(rules) = self.fleet.get(key).map(|miner| &miner.rules) else { return };
        let (name, owner) = (rules.identity.clone(), rules.owner.clone());
        let gid = self.new_gid();
        let timeout = ended.patience_ms.max(1);
        let spec = Demand {
            deadline: step.now.plus(timeout),
            required: 2,
            judged: true,
            tie_break: true,
            precommit_by: Timestamp(u64::MAX),
            on_failure: OnFailure::Fail,
            streaming: false,
            shadow: true,
            attached: false,
            open_ended: false,
            ..ended.spec
        };
        let place = Place { band: 0, tag: BACKGROUND, since: step.now };
        let mut task = TaskEntry::new(spec, ended.lane, place, ended.cost);
        task.used.push(Used { fence, name, owner });
        task.recheck = true;
        if !self.has_distinct(&task) {
            return;
        }
        task.attempts = ended.attempts;
        task.primary = Some(fence);
        task.tries = 1;
        let lane = task.lane.clone();
        self.rechecks += 1;
        self.timers.set(task.spec.deadline, Timer::Deadline(gid));
        self.tasks.insert(gid, task);
        self.enqueue(gid);
        step.push(Effect::Recheck { of, fence, gid });
        self.pump(&lane, step);
    }
}
