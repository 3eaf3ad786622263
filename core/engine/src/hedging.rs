//! Measures how soon the first token of a model comes, and counts how many hedges may be made.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The number of latest first tokens of a model from which its percentile is computed.
const SAMPLES: usize = 256;
/// The minimum number of samples before the percentile is used.
const ENOUGH: usize = 20;
/// The number of samples after which the percentile is computed again.
const EVERY: u32 = 16;
/// The greatest number of models whose first tokens are remembered.
const MAX_MODELS: usize = 1_024;
/// The greatest number of hedges that may be saved up.
const MAX_SAVED: f64 = 10.0;

/// Times to the first token of one model.
#[derive(Debug, Default)]
struct FirstTokens {
    newest: VecDeque<u64>,
    since: u32,
    p95: Option<u64>,
}

impl FirstTokens {
    fn note(&mut self, millis: u64) {
        if self.newest.len() == SAMPLES {
            self.newest.pop_front();
        }
        self.newest.push_back(millis);
        self.since += 1;
        if self.newest.len() >= ENOUGH && (self.p95.is_none() || self.since >= EVERY) {
            self.since = 0;
            let mut sorted: Vec<u64> = self.newest.iter().copied().collect();
            sorted.sort_unstable();
            self.p95 = sorted.get(sorted.len() * 95 / 100).copied();
        }
    }
}

/// The state of hedging.
#[derive(Debug, Default)]
pub(super) struct Hedging {
    first_tokens: BTreeMap<Option<Arc<str>>, FirstTokens>,
    /// The number of hedges that may be made now.
    saved: f64,
}

impl Hedging {
    pub(super) fn note(&mut self, model: Option<&Arc<str>>, millis: u64) {
        let model = model.cloned();
        if self.first_tokens.len() >= MAX_MODELS && !self.first_tokens.contains_key(&model) {
            return;
        }
        self.first_tokens.entry(model).or_default().note(millis);
    }

    /// Adds a share of a hedge to the budget, because a task goes to its first miner.
    pub(super) fn save(&mut self, share: f64) {
        self.saved = (self.saved + share).min(MAX_SAVED);
    }

    /// Whether a hedge may be made now.
    pub(super) fn may_hedge(&self) -> bool {
        self.saved >= 1.0
    }

    /// Notes that a hedge is made.
    pub(super) fn spend(&mut self) {
        self.saved -= 1.0;
    }

    /// Milliseconds within which the first token of that model nearly always comes; `None` while unknown.
    pub(super) fn usual_wait(&self, model: Option<&Arc<str>>) -> Option<u64> {
        self.first_tokens.get(&model.cloned()).and_then(|first| first.p95)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_needs_enough_and_follows_the_newest() {
        let mut first = FirstTokens::default();
        for n in 0..19 {
            first.note(n);
        }
        assert_eq!(first.p95, None);
        first.note(19);
        assert_eq!(first.p95, Some(19));
        for _ in 0..300 {
            first.note(7);
        }
        assert_eq!(first.p95, Some(7));
    }
}
