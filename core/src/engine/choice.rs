//! Which free miner gets which of the first waiting tasks.
//!
//! Only *free* miners are considered, so a good score never means waiting behind another task. The score weighs the
//! prompt's prefix (its cache is warm), the session's last miner, measured speed, and load.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::model::Gid;

use super::breaker::BreakerState;
use super::entry::{AttemptState, LaneKey, MinerEntry, TaskEntry};
use super::event::MinerKey;
use super::machine::Engine;
use super::queue::{SCALE, Tag};

/// The order among free miners: the least loaded first, then the fastest, then the one that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    last_resort: bool,
    load: u32,
    slowness: u32,
    turn: u64,
    key: MinerKey,
}

/// Free miners that one decision looks at.
const CANDIDATES: usize = 16;

/// Free miners by what they serve.
#[derive(Debug, Default)]
pub(super) struct FreeMiners {
    by_model: BTreeMap<Arc<str>, BTreeSet<Rank>>,
    any_model: BTreeSet<Rank>,
    all: BTreeSet<Rank>,
}

impl FreeMiners {
    pub(super) fn insert(&mut self, models: &[Arc<str>], rank: Rank) {
        self.all.insert(rank);
        if models.is_empty() {
            self.any_model.insert(rank);
        }
        for model in models {
            self.by_model.entry(model.clone()).or_default().insert(rank);
        }
    }

    pub(super) fn remove(&mut self, models: &[Arc<str>], rank: Rank) {
        self.all.remove(&rank);
        if models.is_empty() {
            self.any_model.remove(&rank);
        }
        for model in models {
            if let Some(set) = self.by_model.get_mut(model) {
                set.remove(&rank);
                if set.is_empty() {
                    self.by_model.remove(model);
                }
            }
        }
    }

    fn candidates(&self, lane: &LaneKey, out: &mut Vec<MinerKey>) {
        match &lane.model {
            None => out.extend(self.all.iter().take(CANDIDATES).map(|rank| rank.key)),
            Some(model) => {
                if let Some(set) = self.by_model.get(model) {
                    out.extend(set.iter().take(CANDIDATES).map(|rank| rank.key));
                }
                out.extend(self.any_model.iter().take(CANDIDATES).map(|rank| rank.key));
            }
        }
    }
}

/// Which miners have read which prefixes lately.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    holders: BTreeMap<u64, Vec<MinerKey>>,
    order: VecDeque<u64>,
}

/// Prefix blocks that are remembered, of all miners together.
const MAX_PREFIXES: usize = 65_536;
/// Miners that are remembered for one block.
const MAX_HOLDERS: usize = 8;

impl Prefixes {
    pub(super) fn note(&mut self, blocks: &[u64], miner: MinerKey) {
        for block in blocks {
            let holders = self.holders.entry(*block).or_insert_with(|| {
                self.order.push_back(*block);
                Vec::new()
            });
            holders.retain(|held| *held != miner);
            holders.push(miner);
            if holders.len() > MAX_HOLDERS {
                holders.remove(0);
            }
        }
        while self.order.len() > MAX_PREFIXES {
            if let Some(old) = self.order.pop_front() {
                self.holders.remove(&old);
            }
        }
    }

    fn holders(&self, block: u64) -> &[MinerKey] {
        self.holders.get(&block).map_or(&[], Vec::as_slice)
    }

    /// The share of the leading blocks that the miner has read.
    fn matched(&self, blocks: &[u64], miner: MinerKey) -> f64 {
        if blocks.is_empty() {
            return 0.0;
        }
        let hit = blocks.iter().take_while(|block| self.holders(**block).contains(&miner)).count();
        hit as f64 / blocks.len() as f64
    }
}

impl MinerEntry {
    /// Whether it may get a task now.
    pub(super) fn is_free(&self) -> bool {
        let trusted = match self.breaker.state() {
            BreakerState::Closed => true,
            BreakerState::HalfOpen => self.in_flight == 0,
            BreakerState::Open(_) => false,
        };
        !self.draining && trusted && self.in_flight < self.credits
    }

    pub(super) fn rank_of(&self, key: MinerKey) -> Rank {
        Rank {
            last_resort: self.rules.last_resort,
            load: (u64::from(self.in_flight) * 1_000 / u64::from(self.credits.max(1))) as u32,
            slowness: if self.speed > 0.0 { (1e6 / self.speed.max(0.001)) as u32 } else { 0 },
            turn: self.served * 100 / u64::from(self.rules.weight.max(1)),
            key,
        }
    }
}

impl Engine {
    /// The best pair of a waiting task and a free miner in that lane.
    pub(super) fn choose(&self, lane: &LaneKey, window: &[(Tag, Gid)], virtual_time: Tag) -> Option<(Gid, MinerKey)> {
        let mut keys: Vec<MinerKey> = Vec::with_capacity(2 * CANDIDATES);
        self.free.candidates(lane, &mut keys);
        if keys.is_empty() {
            return None;
        }
        for (_, gid) in window {
            let Some(task) = self.tasks.get(gid) else { continue };
            keys.extend(self.sessions.get(&task.session()).and_then(|s| s.last_miner));
            if let Some(block) = task.spec.prefix.iter().rev().find(|b| !self.prefixes.holders(**b).is_empty()) {
                keys.extend(self.prefixes.holders(*block));
            }
        }
        keys.sort_unstable();
        keys.dedup();
        let mut best: Option<(f64, Gid, MinerKey, Rank)> = None;
        let fastest = keys.iter().filter_map(|k| self.miners.get(k)).map(|m| m.speed).fold(0.0, f64::max);
        for (tag, gid) in window {
            let Some(task) = self.tasks.get(gid) else { continue };
            for key in &keys {
                let Some(miner) = self.miners.get(key) else { continue };
                if miner.rank.is_none() || !miner.serves(lane) || !self.may_have(task, *key) {
                    continue;
                }
                let rank = miner.rank_of(*key);
                let score = self.score(task, *key, miner, fastest)
                    - (tag.saturating_sub(virtual_time)) as f64 / (SCALE * 4_096) as f64;
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

    fn score(&self, task: &TaskEntry, key: MinerKey, miner: &MinerEntry, fastest: f64) -> f64 {
        let prefix = self.prefixes.matched(&task.spec.prefix, key);
        let sticky = self.sessions.get(&task.session()).is_some_and(|s| s.rules.affinity && s.last_miner == Some(key));
        // A miner that was never measured counts as fast, so that it gets measured.
        let speed = if miner.speed > 0.0 && fastest > 0.0 { miner.speed / fastest } else { 1.0 };
        let load = f64::from(miner.in_flight) / f64::from(miner.credits.max(1));
        4.0 * prefix + 2.0 * f64::from(u8::from(sticky)) + speed - 2.0 * load
    }

    /// Answers to one task come from distinct miners, and a retry goes to another miner first.
    fn may_have(&self, task: &TaskEntry, key: MinerKey) -> bool {
        if task.attempts.iter().any(|a| {
            a.miner == key && (a.state != AttemptState::Done || !self.planted(super::PlantedBug::SameMinerTwice))
        }) {
            return false;
        }
        !task.tried.contains(&key)
            || !self.miners.iter().any(|(other, miner)| {
                !task.tried.contains(other)
                    && !task.attempts.iter().any(|a| a.miner == *other)
                    && miner.serves(&task.lane)
                    && !miner.draining
                    && miner.credits > 0
                    && !matches!(miner.breaker.state(), BreakerState::Open(_))
            })
    }
}
