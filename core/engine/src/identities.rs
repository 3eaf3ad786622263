//! Finds miners by their identities.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::rules::MinerKey;

/// The number of places of the smallest table.
const LEAST: usize = 64;

/// A hash of an identity, and the key of the miner that has it; 0 where there is none.
type Place = u64;

/// The keys of the miners by the hashes of their identities, in a table with open addressing. The identities themselves
/// stand in the miners' records alone. One line of the processor's cache holds eight places, so that nearly every look,
/// insertion and removal reads one line, however many miners there are; a general table reads two or three.
#[derive(Debug, Default)]
pub(super) struct Identities {
    /// A power of two, or none. At most three quarters of them are used.
    places: Vec<Place>,
    used: usize,
    seed: RandomState,
}

impl Identities {
    /// The hash of an identity. It is never 0.
    fn hash(&self, identity: &str) -> u32 {
        self.seed.hash_one(identity) as u32 | 1
    }

    /// The place at which the search for a hash begins.
    fn home(&self, hash: u32) -> usize {
        (hash >> 1) as usize & (self.places.len() - 1)
    }

    /// The place of the first miner with that hash that `is_it` accepts, or else the first place that is empty.
    fn find(&self, hash: u32, is_it: impl Fn(MinerKey) -> bool) -> Result<usize, usize> {
        let mut at = self.home(hash);
        loop {
            let place = self.places[at];
            if place == 0 {
                return Err(at);
            }
            if (place >> 32) as u32 == hash && is_it(MinerKey(place as u32)) {
                return Ok(at);
            }
            at = (at + 1) & (self.places.len() - 1);
        }
    }

    /// The miner of that identity. `is_it` says whether a miner has the identity.
    pub(super) fn get(&self, identity: &str, is_it: impl Fn(MinerKey) -> bool) -> Option<MinerKey> {
        if self.places.is_empty() {
            return None;
        }
        let at = self.find(self.hash(identity), is_it).ok()?;
        Some(MinerKey(self.places[at] as u32))
    }

    /// Adds a miner. It takes the place of another miner of the same identity. `is_it` says whether a miner has the
    /// identity.
    pub(super) fn insert(&mut self, key: MinerKey, identity: &str, is_it: impl Fn(MinerKey) -> bool) {
        if self.places.len() * 3 / 4 <= self.used {
            self.grow();
        }
        let hash = self.hash(identity);
        let at = self.find(hash, is_it).unwrap_or_else(|empty| {
            self.used += 1;
            empty
        });
        self.places[at] = u64::from(hash) << 32 | u64::from(key.0);
    }

    fn grow(&mut self) {
        let size = (2 * self.places.len()).max(LEAST);
        let old = std::mem::replace(&mut self.places, vec![0; size]);
        for place in old.into_iter().filter(|place| *place != 0) {
            if let Err(at) = self.find((place >> 32) as u32, |_| false) {
                self.places[at] = place;
            }
        }
    }

    /// Removes a miner, unless another one of the same identity has taken its place.
    pub(super) fn remove(&mut self, key: MinerKey, identity: &str) {
        if self.places.is_empty() {
            return;
        }
        let Ok(mut empty) = self.find(self.hash(identity), |one| one == key) else { return };
        self.used -= 1;
        let mask = self.places.len() - 1;
        let mut at = empty;
        // Each search goes on from place to place until an empty one, so the miners behind this one move up.
        loop {
            at = (at + 1) & mask;
            let place = self.places[at];
            if place == 0 {
                break;
            }
            let home = self.home((place >> 32) as u32);
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(empty) & mask) {
                self.places[empty] = place;
                empty = at;
            }
        }
        self.places[empty] = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::chance::mix;

    #[test]
    fn the_last_miner_of_an_identity_is_found_until_it_goes() {
        let (mut identities, mut expected) = (Identities::default(), BTreeMap::new());
        let name = |of: u64| format!("miner {of}");
        let mut names = Vec::new();
        assert_eq!(identities.get("nobody", |_| true), None);
        for step in 0..30_000_u64 {
            let of = mix(step, 1) % 700;
            let is_it = |names: &[u64], key: MinerKey| names[key.0 as usize] == of;
            if mix(step, 2).is_multiple_of(2) {
                let key = MinerKey(names.len() as u32);
                names.push(of);
                identities.insert(key, &name(of), |key| is_it(&names, key));
                expected.insert(of, key);
            } else if !names.is_empty() {
                // The miner that goes may have been replaced by another one before.
                let gone = mix(step, 3) as usize % names.len();
                let (key, of) = (MinerKey(gone as u32), names[gone]);
                identities.remove(key, &name(of));
                if expected.get(&of) == Some(&key) {
                    expected.remove(&of);
                }
            }
            assert_eq!(identities.get(&name(of), |key| is_it(&names, key)), expected.get(&of).copied());
            assert_eq!(identities.used, expected.len());
        }
        assert!(identities.places.len() <= 1_024, "{} places for 700 identities", identities.places.len());
        for (of, key) in expected {
            assert_eq!(identities.get(&name(of), |key| names[key.0 as usize] == of), Some(key));
            identities.remove(key, &name(of));
        }
        assert!(identities.places.iter().all(|place| *place == 0));
    }
}
