//! Checks, in the background, an answer that one miner gave alone: another miner gets the same request.

use std::sync::Arc;

use super::Engine;
use crate::chance::mix;
use crate::demand::Demand;
use crate::effect::Effect;
use crate::lane::{BACKGROUND, Place};
use crate::step::Step;
use crate::task::TaskEntry;
use crate::timer::Timer;
use cortensor_router_model::{Gid, OnFailure, Timestamp};

impl Engine {
    /// Starts a check of a task that ended well, for the share of tasks that the settings name.
    pub(super) fn recheck(&mut self, of: Gid, ended: TaskEntry, step: &mut Step) {
        let draw = mix(of.0, self.settings.epoch) as f64 / u64::MAX as f64;
        // If the answer comes from two miners, no single miner is responsible for it.
        let Some(answer) = ended.sole_answer() else { return };
        if draw >= self.settings.recheck_ratio
            || ended.demand().shadow
            || ended.demand().embedding
            || !ended.demand().skills.is_empty()
            || self.tasks.rechecks() >= self.settings.max_rechecks
        {
            return;
        }
        let fence = answer.fence();
        let Some(miner) = self.fleet.get(answer.miner()) else { return };
        let gid = self.tasks.new_gid();
        let timeout = ended.patience_ms().max(1);
        let demand = Demand {
            deadline: step.now().plus(timeout),
            required: 2,
            judged: true,
            tie_break: true,
            precommit_by: Timestamp(u64::MAX),
            on_failure: OnFailure::Fail,
            streaming: false,
            shadow: true,
            attached: false,
            open_ended: false,
            targets: Arc::from([]),
            ..ended.demand().clone()
        };
        let place = Place::new(0, BACKGROUND, step.now());
        let task = TaskEntry::recheck(ended, Box::new(demand), place, miner.rules());
        if !self.has_distinct(&task) {
            return;
        }
        let lane = task.lane().clone();
        self.timers.set(task.demand().deadline, Timer::Deadline(gid));
        self.tasks.insert(gid, task);
        self.enqueue(gid);
        step.push(Effect::Recheck { of, fence, gid });
        self.pump(&lane, step);
    }
}
