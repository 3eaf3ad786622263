//! Decides which free miner gets which of the first waiting tasks.
//!
//! Only *free* miners are considered, so no task waits behind another one for a miner with a good score. The score of
//! a pair of a task and a miner counts how much of the prompt the miner has read before (its cache is warm), whether
//! the miner served the session's last task, the miner's measured speed, and its load. A pair that would hardly be
//! done by the task's deadline comes last. The weights of the score are those with which `cargo xtask bench policy`
//! meets its gates.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Engine;
use crate::fit::Fit;
use crate::free::CANDIDATES;
use crate::line::{LaneKey, SCALE, Tag};
use crate::miner::{MinerEntry, Rank};
use crate::prefix::Matches;
use crate::rules::MinerKey;
use crate::task::TaskEntry;
use cortensor_router_model::{Gid, Timestamp};

/// The points that a pair loses if it would be late. They are more than all points that a pair can gain.
const LATE: f64 = 64.0;
/// A pair counts as late if an answer of this many times the expected length would miss the task's deadline.
const LONG: f64 = 2.0;
/// A pair loses one point for each such amount of cost that its task stands further back in the queue.
const AGEING: u64 = 8_192;

impl Engine {
    /// The best pair of a waiting task and a free miner in that lane.
    pub(super) fn choose(
        &self,
        lane: &LaneKey,
        window: &[(Tag, Gid)],
        virtual_time: Tag,
        now: Timestamp,
    ) -> Option<(Gid, MinerKey)> {
        let limits = match lane.own {
            Some(session) => Some(self.limits(session, lane)?),
            None => None,
        };
        let mut keys: Vec<MinerKey> = Vec::with_capacity(2 * CANDIDATES);
        // If a miner that lists the model is free, no other one is looked at.
        let plain = lane.own.is_none() && window.iter().all(|(_, gid)| self.tasks.get(*gid).is_none_or(Self::is_plain));
        if plain {
            self.fleet.free().listers(lane, &mut keys);
            keys.retain(|key| self.fleet.get(*key).is_some_and(|miner| miner.fit(lane) == Some(Fit::Named)));
        }
        let mut fit_of_lane = if keys.is_empty() { None } else { Some(Some(Fit::Named)) };
        if keys.is_empty() {
            self.fleet.free().candidates(lane, &mut keys);
            keys.extend(self.fleet.names().called(lane));
        }
        if keys.is_empty() {
            return None;
        }
        let mut found: SmallVec<[Matches; 16]> = SmallVec::with_capacity(window.len());
        for (_, gid) in window {
            let task = self.tasks.get(*gid);
            keys.extend(task.and_then(|task| self.sessions.get(task.session())).and_then(|s| s.last_miner));
            let matches = task.map_or_else(Matches::new, |task| self.fleet.readers(&task.spec.prefix));
            keys.extend(matches.iter().map(|(key, _)| *key));
            found.push(matches);
        }
        keys.sort_unstable();
        keys.dedup();
        let mut best: Option<(f64, Gid, MinerKey, Rank)> = None;
        let fastest = keys.iter().filter_map(|k| self.fleet.get(*k)).map(|m| m.speed).fold(0.0, f64::max);
        // Most of the miners that have read something are busy.
        keys.retain(|key| self.fleet.get(*key).is_some_and(|miner| miner.rank.is_some()));
        for ((tag, gid), matches) in window.iter().zip(&found) {
            let Some(task) = self.tasks.get(*gid) else { continue };
            let worst = if plain {
                *fit_of_lane.get_or_insert_with(|| self.worst_fit(task, None))
            } else {
                self.worst_fit(task, limits.as_ref())
            };
            let Some(worst) = worst else { continue };
            let left = task.spec.deadline.since(now) as f64;
            let expected = self.expected_tokens(task) * 1_000.0;
            for key in &keys {
                let Some(miner) = self.fleet.get(*key) else { continue };
                if !miner.serves(lane)
                    || miner.fit(lane).is_none_or(|fit| fit > worst)
                    || !self.may_have(task, *key, miner, worst)
                    || limits.as_ref().is_some_and(|limits| !limits.allow(*key, miner))
                {
                    continue;
                }
                let rank = miner.rank_of(*key);
                // A pair that can hardly be done in time comes after all pairs that can.
                let too_late = miner.speed > 0.0 && LONG * expected > left * miner.speed;
                let score = self.score(task, *key, miner, fastest, matches)
                    - if too_late { LATE } else { 0.0 }
                    - (tag.saturating_sub(virtual_time)) as f64 / (SCALE * AGEING) as f64;
                let better = match &best {
                    None => true,
                    Some((other, _, _, other_rank)) => {
                        (rank.last_resort, -score) < (other_rank.last_resort, -other)
                            || (rank.last_resort == other_rank.last_resort
                                && (score - other).abs() < 1e-9
                                && rank < *other_rank)
                    }
                };
                if better {
                    best = Some((score, *gid, *key, rank));
                }
            }
        }
        best.map(|(_, gid, key, _)| (gid, key))
    }

    /// The number of tokens that the answer of the task is likely to have; 0 while unknown.
    fn expected_tokens(&self, task: &TaskEntry) -> f64 {
        self.sessions.get(task.session()).map_or(0.0, |session| session.mean_out.min(task.spec.max_tokens as f64))
    }

    fn score(&self, task: &TaskEntry, key: MinerKey, miner: &MinerEntry, fastest: f64, read: &Matches) -> f64 {
        let prefix = read.iter().find(|(one, _)| *one == key).map_or(0.0, |(_, share)| *share);
        // If no miner is known to have read any of it, the session's last miner has the best chance.
        let sticky = read.is_empty()
            && self.sessions.get(task.session()).is_some_and(|s| s.rules.affinity && s.last_miner == Some(key));
        // A miner that was never measured counts as fast, so that it gets measured. Small differences are noise:
        // similar miners must go on taking turns.
        let speed = if miner.speed > 0.0 && fastest > 0.0 { (4.0 * miner.speed / fastest).round() } else { 4.0 };
        let load = f64::from(miner.in_flight) / f64::from(miner.credits.max(1));
        // A miner whose answers are doubted comes after trusted ones; a miner that is kept for the session comes
        // before them.
        let kept = f64::from(u8::from(miner.reserved.is_some()));
        8.0 * prefix + f64::from(u8::from(sticky)) + speed - 3.0 * load + 8.0 * (miner.reputation - 1.0) + 12.0 * kept
    }

    /// Whether the miner may have the task. Answers to one task come from distinct miners, and a retry goes to another
    /// miner first.
    fn may_have(&self, task: &TaskEntry, key: MinerKey, miner: &MinerEntry, worst: Fit) -> bool {
        if task.attempts.iter().any(|a| a.miner == key)
            || task.refused_by.contains(&key)
            || task.continuing && !miner.rules.continues
            || !task.used.is_empty() && !self.is_distinct(task, miner)
        {
            return false;
        }
        !task.tried.contains(&key)
            || !self.fleet.iter().any(|(other, miner)| {
                !task.tried.contains(other)
                    && !task.attempts.iter().any(|a| a.miner == *other)
                    && (!task.continuing || miner.rules.continues)
                    && miner.serves(&task.lane)
                    && miner.fit(&task.lane).is_some_and(|fit| fit <= worst)
                    && miner.takes_part()
                    && (task.used.is_empty() || self.is_distinct(task, miner))
            })
    }

    /// Whether the miner is another one than those whose answers the task has, and has another owner if there is
    /// another owner.
    pub(super) fn is_distinct(&self, task: &TaskEntry, miner: &MinerEntry) -> bool {
        let used = |name: &Arc<str>| task.used.iter().any(|used| used.name == *name);
        let owned = |owner: &Arc<str>| !owner.is_empty() && task.used.iter().any(|used| used.owner == *owner);
        if used(&miner.rules.identity) || miner.rules.last_resort {
            return false;
        }
        !owned(&miner.rules.owner)
            || !self
                .fleet
                .of_owners(|owner| !owned(owner))
                .any(|other| other.takes_part() && other.serves(&task.lane) && !used(&other.rules.identity))
    }

    /// Whether some miner exists that could give a further answer to the task.
    pub(super) fn has_distinct(&self, task: &TaskEntry) -> bool {
        let worst = self.worst_fit(task, None);
        self.fleet.values().any(|miner| {
            miner.takes_part()
                && miner.serves(&task.lane)
                && miner.fit(&task.lane) <= worst
                && self.is_distinct(task, miner)
        })
    }
}
