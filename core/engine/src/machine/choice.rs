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
use super::limits::Limits;
use super::pair::{Asking, Bidders, Bidding, Miners};
use crate::fit::Fit;
use crate::free::Keys;
use crate::lane::{LaneKey, Tag};
use crate::line::SCALE;
use crate::miner::MinerEntry;
use crate::names::ModelId;
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
        if self.closed || self.fleet.free().is_empty() {
            return None;
        }
        let limits = self.limits(lane).ok()?;
        let limits = limits.as_ref();
        let ([(_, gid)], Some(key)) = (window, self.fleet.free().only()) else {
            return self.best_pair(lane, window, virtual_time, limits, now);
        };
        // One task and one free miner need no scores.
        let pair = self.is_pair(lane, *gid, key, limits).then_some((*gid, key));
        debug_assert_eq!(pair, self.best_pair(lane, window, virtual_time, limits, now), "the only pair is no pair");
        pair
    }

    /// The pair with the best score.
    fn best_pair(
        &self,
        lane: &LaneKey,
        window: &[(Tag, Gid)],
        virtual_time: Tag,
        limits: Option<&Limits<'_>>,
        now: Timestamp,
    ) -> Option<(Gid, MinerKey)> {
        // The lists are filled where they stand: a list that is returned is copied with all its room.
        let mut waiting: SmallVec<[(Tag, Gid, &TaskEntry); 16]> = SmallVec::new();
        waiting.extend(window.iter().filter_map(|(tag, gid)| Some((*tag, *gid, self.tasks.get(*gid)?))));
        let plain = lane.own().is_none() && waiting.iter().all(|(_, _, task)| task.is_plain());
        let mut keys = Keys::new();
        let mut miners = Miners::new();
        // If a miner that lists the model is free, no other one is looked at.
        let model = self.fleet.names().id_of(lane);
        if plain && let Some(model) = model {
            self.fleet.free().listers(lane, model, &mut keys);
            let listers = keys.drain(..).filter_map(|key| self.fleet.get(key));
            miners.extend(listers.filter(|miner| miner.fit_of(lane, Some(model)) == Some(Fit::Named)));
        }
        let mut fit_of_lane = if miners.is_empty() { None } else { Some(Some(Fit::Named)) };
        if miners.is_empty() {
            self.fleet.free().candidates(lane, self.fleet.names(), &mut keys);
            keys.extend(self.fleet.names().called(lane));
            if keys.is_empty() {
                return None;
            }
        }
        // The readers of a prompt are looked up only now, because often no miner comes into question.
        let mut asks: SmallVec<[Asking<'_>; 16]> = SmallVec::new();
        asks.extend(waiting.iter().map(|(tag, gid, task)| self.asking(*tag, *gid, task)));
        for ask in &asks {
            keys.extend(ask.familiar());
        }
        miners.extend(keys.iter().filter_map(|key| self.fleet.get(*key)));
        miners.sort_unstable_by_key(|miner| miner.key());
        miners.dedup_by_key(|miner| miner.key());
        let mut bidders = Bidders::new();
        Self::bidding(&miners, lane, model, limits, &mut bidders);
        if bidders.is_empty() {
            return None;
        }
        let mut best: Option<(f64, Gid, &Bidding<'_>)> = None;
        for ask in &asks {
            let worst = if plain {
                *fit_of_lane.get_or_insert_with(|| self.worst_fit(ask.task(), None))
            } else {
                self.worst_fit(ask.task(), limits)
            };
            let Some(worst) = worst else { continue };
            let left = ask.task().demand().deadline.since(now) as f64;
            let expected = ask.expected_tokens() * 1_000.0;
            let sticky = ask.sticky();
            let behind = (ask.tag().saturating_sub(virtual_time)) as f64 / (SCALE * AGEING) as f64;
            for bid in &bidders {
                if bid.fit() > worst || !(ask.is_new() || self.may_have(ask.task(), bid.miner(), worst)) {
                    continue;
                }
                // A pair that can hardly be done in time comes after all pairs that can.
                let speed = bid.miner().speed();
                let too_late = speed > 0.0 && LONG * expected > left * speed;
                let score = bid.score(ask, sticky) - if too_late { LATE } else { 0.0 } - behind;
                let better = match &best {
                    None => true,
                    Some((other, _, rival)) => {
                        let (last, other_last) = (bid.rank().is_last_resort(), rival.rank().is_last_resort());
                        (last, -score) < (other_last, -other)
                            || (last == other_last && (score - other).abs() < 1e-9 && bid.rank() < rival.rank())
                    }
                };
                if better {
                    best = Some((score, ask.gid(), bid));
                }
            }
        }
        best.map(|(_, gid, bid)| (gid, bid.miner().key()))
    }

    fn asking<'a>(&'a self, tag: Tag, gid: Gid, task: &'a TaskEntry) -> Asking<'a> {
        let read = self.fleet.readers(&task.demand().prefix);
        Asking::new(tag, gid, task, self.sessions.get(task.session()), read)
    }

    /// Adds the free ones among those miners that may have tasks of the lane.
    fn bidding<'a>(
        miners: &[&'a MinerEntry],
        lane: &LaneKey,
        model: Option<ModelId>,
        limits: Option<&Limits<'_>>,
        bidders: &mut Bidders<'a>,
    ) {
        let mut fastest = 0.0;
        for miner in miners {
            fastest = f64::max(fastest, miner.speed());
            // Most of the miners that have read something are busy.
            if let Some(fit) = Self::bid(miner, lane, model, limits) {
                bidders.push(Bidding::new(miner, fit));
            }
        }
        for bid in bidders {
            bid.compare_with(fastest);
        }
    }

    /// How well the miner suits the lane; `None`: it is not free, or may not have tasks of the lane.
    fn bid(miner: &MinerEntry, lane: &LaneKey, model: Option<ModelId>, limits: Option<&Limits<'_>>) -> Option<Fit> {
        let may_bid = miner.is_listed()
            && miner.is_kept_for_none_but(lane.own())
            && limits.is_none_or(|limits| limits.allow(miner));
        if may_bid { miner.fit_of(lane, model) } else { None }
    }

    /// Whether that task of the lane may go to that free miner.
    pub(super) fn is_pair(&self, lane: &LaneKey, gid: Gid, key: MinerKey, limits: Option<&Limits<'_>>) -> bool {
        let (Some(task), Some(miner)) = (self.tasks.get(gid), self.fleet.get(key)) else { return false };
        let model = self.fleet.names().id_of(lane);
        let Some(fit) = Self::bid(miner, lane, model, limits) else { return false };
        let worst = self.worst_fit(task, limits);
        worst.is_some_and(|worst| fit <= worst && (task.is_new() || self.may_have(task, miner, worst)))
    }

    /// Whether the miner may have the task. Answers to one task come from distinct miners, and a retry goes to another
    /// miner first.
    pub(super) fn may_have(&self, task: &TaskEntry, miner: &MinerEntry, worst: Fit) -> bool {
        let key = miner.key();
        if task.is_with(key)
            || task.is_deputy() && miner.rules().is_foreign()
            || task.trials().is_refused_by(key)
            || task.is_continuing() && !miner.rules().continues
            || !task.answerers().is_empty() && !self.is_distinct(task, miner)
        {
            return false;
        }
        !task.trials().has(key)
            || !self.fleet.of_lane(task.lane()).any(|miner| {
                !task.trials().has(miner.key())
                    && !task.is_with(miner.key())
                    && (!task.is_continuing() || miner.rules().continues)
                    && miner.serves(task.lane())
                    && miner.fit(task.lane()).is_some_and(|fit| fit <= worst)
                    && miner.takes_part()
                    && (task.answerers().is_empty() || self.is_distinct(task, miner))
            })
    }

    /// Whether the miner is another one than those whose answers the task has, and has another owner if there is
    /// another owner.
    pub(super) fn is_distinct(&self, task: &TaskEntry, miner: &MinerEntry) -> bool {
        let used = |identity: &Arc<str>| task.answerers().has(identity);
        let owned = |owner: &Arc<str>| task.answerers().has_owner(owner);
        let is_barred = task.is_racer() && owned(&miner.rules().owner);
        if used(&miner.rules().identity) || miner.rules().last_resort || is_barred {
            return false;
        }
        !owned(&miner.rules().owner)
            || !self
                .fleet
                .of_owners(|owner| !owned(owner))
                .any(|other| other.takes_part() && other.serves(task.lane()) && !used(&other.rules().identity))
    }

    /// Whether some miner exists that could give a further answer to the task.
    pub(super) fn has_distinct(&self, task: &TaskEntry) -> bool {
        let worst = self.worst_fit(task, None);
        self.fleet.of_lane(task.lane()).any(|miner| {
            miner.takes_part()
                && miner.serves(task.lane())
                && miner.fit(task.lane()) <= worst
                && self.is_distinct(task, miner)
        })
    }
}
