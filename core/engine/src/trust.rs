//! The reputations of miners, also of miners that are gone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The reputation from which on it counts as perfect and is not remembered.
const PERFECT: f64 = 0.999;

/// The reputations that are not perfect, of miners that are there or were.
#[derive(Debug)]
pub(super) struct Trust {
    reputations: BTreeMap<Arc<str>, f64>,
    /// Those of miners that are gone, in ascending order.
    gone: BTreeSet<(u64, Arc<str>)>,
    most: u64,
}

/// A number by which reputations are ordered.
fn order(reputation: f64) -> u64 {
    if reputation > 0.0 { reputation.to_bits() } else { 0 }
}

impl Trust {
    /// Every miner has a perfect reputation at first. At most `most` reputations are remembered, beside those of
    /// miners that are there.
    pub(super) fn new(most: u64) -> Self {
        Self { reputations: BTreeMap::new(), gone: BTreeSet::new(), most }
    }

    /// Sets how many reputations are remembered. Those that are remembered stay.
    pub(super) fn set_most(&mut self, most: u64) {
        self.most = most;
    }

    /// The reputation of the miner of that identity, from 0 to 1.
    pub(super) fn of(&self, identity: &str) -> f64 {
        self.reputations.get(identity).copied().unwrap_or(1.0)
    }

    /// Notes that a miner of that identity is there. Returns its reputation.
    pub(super) fn came(&mut self, identity: &Arc<str>) -> f64 {
        let Some(reputation) = self.reputations.get(identity).copied() else { return 1.0 };
        self.gone.remove(&(order(reputation), identity.clone()));
        reputation
    }

    /// Notes that no miner of that identity is there any more.
    pub(super) fn left(&mut self, identity: &Arc<str>) {
        if let Some(reputation) = self.reputations.get(identity) {
            self.gone.insert((order(*reputation), identity.clone()));
        }
    }

    /// Remembers a reputation. `is_there`: a miner of that identity is there. If there are too many reputations, the
    /// best one of a miner that is gone is forgotten first.
    pub(super) fn remember(&mut self, identity: &Arc<str>, reputation: f64, is_there: bool) {
        let old = self.reputations.remove(identity);
        if let Some(old) = old {
            self.gone.remove(&(order(old), identity.clone()));
        }
        if reputation >= PERFECT {
            return;
        }
        if old.is_none()
            && self.reputations.len() as u64 >= self.most
            && let Some((_, best)) = self.gone.pop_last()
        {
            self.reputations.remove(&best);
        }
        self.reputations.insert(identity.clone(), reputation);
        if !is_there {
            self.left(identity);
        }
    }

    /// Checks that the list of gone miners has those and no others. `is_there` says whether a miner of an identity is
    /// there.
    ///
    /// # Errors
    /// A text that names a miner that is listed wrongly.
    pub(super) fn check(&self, is_there: impl Fn(&str) -> bool) -> Result<(), String> {
        for (identity, reputation) in &self.reputations {
            if self.gone.contains(&(order(*reputation), identity.clone())) == is_there(identity) {
                return Err(format!("the list of miners that are gone is wrong about {identity}"));
            }
        }
        let gone = self.reputations.keys().filter(|identity| !is_there(identity)).count();
        if gone != self.gone.len() {
            return Err(format!("{gone} miners with a reputation are gone, but {} are listed", self.gone.len()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_reputation_of_a_miner_that_is_gone_is_forgotten_first() {
        let mut trust = Trust::new(3);
        for (name, reputation) in [("there", 0.9), ("good", 0.8), ("bad", 0.2), ("new", 0.5)] {
            trust.remember(&name.into(), reputation, name == "there");
        }
        let known = |trust: &Trust| ["there", "good", "bad", "new"].map(|name| (trust.of(name) * 10.0).round() as u64);
        assert_eq!(known(&trust), [9, 10, 2, 5]);
        trust.check(|name| name == "there").unwrap();
        trust.remember(&"bad".into(), 1.0, false);
        assert_eq!(trust.reputations.len(), 2, "a perfect reputation is not remembered");
    }

    #[test]
    fn a_miner_that_comes_back_is_not_forgotten_and_one_that_leaves_may_be() {
        let mut trust = Trust::new(2);
        let [back, leaver, new] = ["back", "leaver", "new"].map(Arc::from);
        trust.remember(&back, 0.9, false);
        trust.remember(&leaver, 0.3, true);
        let tenths = |reputation: f64| (reputation * 10.0).round() as u64;
        assert_eq!((tenths(trust.came(&back)), tenths(trust.came(&new))), (9, 10));
        trust.left(&leaver);
        trust.check(|name| name == "back").unwrap();
        trust.remember(&new, 0.1, true);
        assert_eq!(["back", "leaver", "new"].map(|name| tenths(trust.of(name))), [9, 10, 1]);
    }
}
