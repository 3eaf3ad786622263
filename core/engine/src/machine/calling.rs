//! Tells which of the miners that are not up would be of use, so that the router can start them.

use std::collections::BTreeMap;

use super::Engine;
use crate::fit::Fit;
use crate::lane::LaneKey;
use crate::rules::MinerKey;
use crate::task::TaskEntry;
use cortensor_router_model::Timestamp;

impl Engine {
    /// Those of the `absent` miners for which tasks wait, each with the time at which the oldest of these tasks came in.
    /// No other miner that is up, and none of those that are `coming` up, would serve the tasks as well. Where several
    /// absent miners would serve a task equally well, the one with the smallest key is called.
    pub fn called(&self, absent: &[MinerKey], coming: &[MinerKey]) -> Vec<(MinerKey, Timestamp)> {
        let mut called = BTreeMap::new();
        if absent.is_empty() || self.line.is_empty() {
            return Vec::new();
        }
        for lane in self.line.lanes() {
            if let (Some(key), Some(since)) = (self.called_by(lane, None, absent, coming), self.line.waits_since(lane))
            {
                note(&mut called, key, since);
            }
        }
        // A miner that could serve the other tasks of the lane may be no help for these.
        for task in self.tasks.picky().filter_map(|gid| self.tasks.get(gid)).filter(|task| task.is_queued()) {
            if let Some(key) = self.called_by(task.lane(), Some(task), absent, coming) {
                note(&mut called, key, task.place().since());
            }
        }
        called.into_iter().collect()
    }

    /// The absent miner that the tasks of a lane need, or that one task of it needs.
    fn called_by(
        &self,
        lane: &LaneKey,
        task: Option<&TaskEntry>,
        absent: &[MinerKey],
        coming: &[MinerKey],
    ) -> Option<MinerKey> {
        let (mut best, mut there): (Option<(Fit, MinerKey)>, Option<Fit>) = (None, None);
        for miner in self.fleet.of_lane(lane) {
            let key = miner.key();
            if !miner.serves(lane) || task.is_some_and(|task| task.trials().is_refused_by(key)) {
                continue;
            }
            let Some(fit) = miner.fit(lane) else { continue };
            if absent.contains(&key) {
                if !miner.is_draining() && best.is_none_or(|best| (fit, key) < best) {
                    best = Some((fit, key));
                }
            } else if (miner.takes_part() || coming.contains(&key)) && there.is_none_or(|there| fit < there) {
                there = Some(fit);
            }
        }
        best.filter(|(fit, _)| there.is_none_or(|there| *fit < there)).map(|(_, key)| key)
    }
}

/// Keeps the earliest time for each miner.
fn note(called: &mut BTreeMap<MinerKey, Timestamp>, key: MinerKey, since: Timestamp) {
    called.entry(key).and_modify(|known: &mut Timestamp| *known = since.min(*known)).or_insert(since);
}
