//! The engine's record of a session.

use std::collections::{BTreeMap, BTreeSet};

use cortensor_router_model::{TaskId, Timestamp};

use super::line::{SCALE, Tag};
use super::rules::{MinerKey, SessionRules};
use super::smoothing::smooth;

#[derive(Debug, Default)]
pub(super) struct SessionEntry {
    pub(super) rules: SessionRules,
    /// The finish tag of its last task.
    pub(super) finish: Tag,
    pub(super) next_task: TaskId,
    pub(super) taken: u64,
    pub(super) queued: u64,
    pub(super) active: u64,
    /// The mean number of tokens of an answer, by which the next answer is estimated; 0 while unknown.
    pub(super) mean_out: f64,
    pub(super) last_miner: Option<MinerKey>,
    /// The miners that work for it, and the number of its tasks that each of them has. Used only while the session is
    /// restricted.
    pub(super) working: BTreeMap<MinerKey, u32>,
    /// The miners that are kept for it.
    pub(super) reserved: BTreeSet<MinerKey>,
    /// The time until which miners are kept for it; 0: its reservation is over.
    pub(super) reserved_until: Timestamp,
}

impl SessionEntry {
    /// Its weight if it has waiting tasks, else 0.
    pub(super) fn waiting_weight(&self) -> u64 {
        if self.queued > 0 { u64::from(self.rules.weight.max(1)) } else { 0 }
    }

    /// Adds the tokens of an answer to the mean, which begins with the tokens of the first answer, at most `expected`.
    pub(super) fn answered(&mut self, tokens: u64, expected: u64) {
        let mean = if self.mean_out > 0.0 { self.mean_out } else { tokens.min(expected) as f64 };
        self.mean_out = smooth(mean, tokens as f64).max(1.0);
    }

    /// Corrects the cost that a task was charged when it came in: the session gets the surplus back, or pays the rest.
    pub(super) fn correct(&mut self, charged: u64, actual: u64) {
        let weight = u64::from(self.rules.weight.max(1));
        self.finish = if actual >= charged {
            self.finish.saturating_add((actual - charged) * SCALE / weight)
        } else {
            self.finish.saturating_sub((charged - actual) * SCALE / weight)
        };
    }

    /// Whether its reservation holds and has fewer miners than it reserves.
    pub(super) fn is_short(&self) -> bool {
        self.reserved_until > Timestamp(0) && self.reserved.len() < self.rules.reserve as usize
    }
}
