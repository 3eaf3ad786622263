//! Checks, in the background, an answer that one miner gave alone: another miner gets the same request.

use super::Engine;
use crate::chance::mix;
use crate::demand::Demand;
use crate::effect::Effect;
use crate::line::{Place, Tag};
use crate::miner::MinerEntry;
use crate::step::Step;
use crate::task::{AttemptState, TaskEntry, Used};
use crate::timer::Timer;
use cortensor_router_model::{Gid, OnFailure, Timestamp};

/// The tag of tasks in the background, which are served only if nothing else waits.
const BACKGROUND: Tag = u64::MAX / 2;

impl Engine {
    /// Starts a check of a task that ended well, for the share of tasks that the settings name.
    pub(super) fn recheck(&mut self, of: Gid, ended: TaskEntry, step: &mut Step) {
        let draw = mix(of.0, self.settings.epoch) as f64 / u64::MAX as f64;
        let [answer] = ended.attempts.as_slice() else { return };
        if draw >= self.settings.recheck_ratio
            || answer.state != AttemptState::Done
            || ended.spec.shadow
            || ended.spec.embedding
            || ended.redundant()
            // The answer comes from two miners, so no single miner is responsible for it.
            || ended.continued
            || self.tasks.rechecks() >= self.settings.max_rechecks
        {
            return;
        }
        let (fence, key) = (answer.fence, answer.miner);
        let Some(rules) = self.fleet.get(key).map(MinerEntry::rules) else { return };
        let (name, owner) = (rules.identity.clone(), rules.owner.clone());
        let gid = self.tasks.new_gid();
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
        self.timers.set(task.spec.deadline, Timer::Deadline(gid));
        self.tasks.insert(gid, task);
        self.enqueue(gid);
        step.push(Effect::Recheck { of, fence, gid });
        self.pump(&lane, step);
    }
}
