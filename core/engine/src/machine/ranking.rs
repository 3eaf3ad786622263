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
        if !self.fleet.names().tell_apart(&task.lane) {
            return Some(Fit::LastResort);
        }
        let mut best = None;
        for miner in self.fleet.values() {
            let Some(fit) = miner.fit(&task.lane).filter(|fit| best.is_none_or(|best| *fit < best)) else { continue };
            if miner.counts()
                && miner.serves(&task.lane)
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
        !task.refused_by.contains(&key)
            && !task.declined_by.contains(&key)
            && (!task.continuing || miner.rules().continues)
            && (task.recheck
                || !task.attempts.iter().any(|attempt| attempt.miner == key)
                    && (task.used.is_empty() || self.is_distinct(task, miner)))
    }

    /// Whether every miner that may have the other tasks of the lane may also have this task.
    pub(super) fn is_plain(task: &TaskEntry) -> bool {
        task.attempts.is_empty()
            && task.used.is_empty()
            && task.refused_by.is_empty()
            && task.declined_by.is_empty()
            && !task.continuing
    }
}
