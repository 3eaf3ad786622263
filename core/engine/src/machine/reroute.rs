//! Sends tasks to the next model of their list, when they get no answer from the one before.

use std::sync::Arc;

use super::Engine;
use crate::demand::{Demand, Lack, Target};
use crate::effect::Effect;
use crate::lane::LaneKey;
use crate::step::Step;
use crate::timer::Timer;
use cortensor_router_model::{Gid, TaskState};

impl Engine {
    /// The lane of a task that comes in. If its model has no miner that is up, the task goes to the next model of its
    /// list that has one, which is returned then.
    pub(super) fn aimed(&self, task: &mut Demand) -> (LaneKey, Option<Arc<str>>) {
        let lane = self.lane_of(task);
        if task.targets.is_empty() || self.fleet.attends(&lane) {
            return (lane, None);
        }
        let Some((skipped, next)) = self.next_target(&task.targets, &lane, Lack::NoMiner) else { return (lane, None) };
        task.model = next.model().cloned();
        task.targets = task.targets.get(skipped + 1..).unwrap_or_default().into();
        let model = task.model.clone();
        (next, model)
    }

    /// Sends a task that would fail to the next model of its list that a miner serves. `false`: there is none, and
    /// nothing has changed. `was_primary`: the tokens of the attempt that failed were streamed, and nobody has seen
    /// them.
    pub(super) fn reroute(&mut self, gid: Gid, lack: Lack, was_primary: bool, step: &mut Step) -> bool {
        let Some(task) = self.tasks.get(gid) else { return false };
        // The words that a client has seen are continued by the same model, or not at all.
        let is_bound = task.is_continuing() || (task.is_shown() && !was_primary) || !task.attempts().is_empty();
        if task.demand().targets.is_empty() || task.is_ending() || task.is_recheck() || is_bound {
            return false;
        }
        let Some((skipped, lane)) = self.next_target(&task.demand().targets, task.lane(), lack) else { return false };
        let asked = task.asked();
        let required = self.answerers(&lane, asked).clamp(1, asked.max(1));
        self.dequeue(gid);
        if let Some(at) = self.tasks.retarget(gid, skipped, lane.clone(), required) {
            self.timers.clear(at, Timer::Retry(gid));
        }
        let Some(task) = self.tasks.known_mut(gid) else { return false };
        if let Some(deadline) = task.renew_deadline(step.now()) {
            self.timers.set(deadline, Timer::Deadline(gid));
        }
        if was_primary {
            task.void();
            step.push(Effect::Voided { gid, again: true });
        }
        step.extend(lane.model().map(|model| Effect::Rerouted { gid, model: model.clone() }));
        if task.wait_again() {
            step.push(Effect::State { gid, state: TaskState::Queued });
        }
        self.wait(gid, &lane, step);
        true
    }

    /// The place and the lane of the first model of a list that takes tasks for that reason and has a miner that is up.
    fn next_target(&self, targets: &[Target], lane: &LaneKey, lack: Lack) -> Option<(usize, LaneKey)> {
        let fitting = targets.iter().enumerate().filter(|(_, target)| target.when.contains(&lack));
        let lanes = fitting.map(|(place, target)| (place, lane.with_model(target.model.clone())));
        lanes.into_iter().find(|(_, lane)| self.fleet.attends(lane))
    }
}
