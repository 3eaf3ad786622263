//! The reputations of miners, also of miners that are gone.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The reputation from which on it counts as perfect and is not remembered.
const PERFECT: f64 = 0.999;

/// The reputations that are not perfect, of miners that are there or were.
#[derive(Debug)]
pub(super) struct Trust {
    reputations: BTreeMap<Arc<str>, f64>,
    most: u64,
}

impl Trust {
    /// Every miner has a perfect reputation at first. At most `most` reputations are remembered, beside those of
    /// miners that are there.
    pub(super) fn new(most: u64) -> Self {
        Self { reputations: BTreeMap::new(), most }
    }

    /// The reputation of the miner of that identity, from 0 to 1.
    pub(super) fn of(&self, identity: &str) -> f64 {
        self.reputations.get(identity).copied().unwrap_or(1.0)
    }

    /// Remembers a reputation. If there are too many, the best one of a miner that is gone is forgotten first.
    pub(super) fn remember(&mut self, identity: &Arc<str>, reputation: f64, is_there: impl Fn(&str) -> bool) {
        if reputation >= PERFECT {
            self.reputations.remove(identity);
            return;
        }
        if self.reputations.len() as u64 >= self.most && !self.reputations.contains_key(identity) {
            let gone = self.reputations.iter().filter(|(name, _)| !is_there(name));
            let best = gone.max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(name, _)| name.clone());
            if let Some(best) = best {
                self.reputations.remove(&best);
            }
        }
        self.reputations.insert(identity.clone(), reputation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_reputation_of_a_miner_that_is_gone_is_forgotten_first() {
        let mut trust = Trust::new(3);
        for (name, reputation) in [("there", 0.9), ("good", 0.8), ("bad", 0.2), ("new", 0.5)] {
            trust.remember(&name.into(), reputation, |name| name == "there");
        }
        let known = ["there", "good", "bad", "new"].map(|name| (trust.of(name) * 10.0).round() as u64);
        assert_eq!(known, [9, 10, 2, 5]);
        trust.remember(&"bad".into(), 1.0, |_| false);
        assert_eq!(trust.reputations.len(), 2, "a perfect reputation is not remembered");
    }
}
