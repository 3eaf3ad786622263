//! Decides how well a miner must suit a task's model to get the task, by the best miners that are up.

use super::Engine;
use super::limits::Limits;
use crate::fit::Fit;
use crate::miner::MinerEntry;
use crate::task::TaskEntry;

impl Engine {
    /// The worst rank that a miner of that task may have. It is the rank of the best miners that are up and may have
    /// the task; `None`: there is no such miner.
    pub(super) fn worst_fit(&self, task: &TaskEntry, limits: Option<&Limits<'_>>) -> Option<Fit> {
        if !self.fleet.names().tell_apart(task.lane()) {
            return Some(Fit::LastResort);
        }
        let mut best = None;
        for miner in self.fleet.of_lane(task.lane()) {
            let Some(fit) = miner.fit(task.lane()).filter(|fit| best.is_none_or(|best| *fit < best)) else { continue };
            if miner.counts()
                && miner.serves(task.lane())
                && self.could_take(task, miner)
                && limits.is_none_or(|limits| limits.allow(miner))
            {
                best = Some(fit);
                if fit == Fit::Named {
                    // No rank is better, so the other miners need not be looked at.
                    break;
                }
            }
        }
        best
    }

    /// Whether the miner may still have the task. For a check in the background, miners that have answered count, too,
    /// because the check compares answers of miners with the same rank.
    fn could_take(&self, task: &TaskEntry, miner: &MinerEntry) -> bool {
        let key = miner.key();
        !task.trials().is_refused_by(key)
            && !task.trials().is_declined_by(key)
            && (!task.is_continuing() || miner.rules().continues)
            && (task.is_recheck()
                || !task.is_with(key) && (task.answerers().is_empty() || self.is_distinct(task, miner)))
    }
}
