//! A map whose lookups cost about the same however many entries it has.

use std::hash::Hash;

use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap};

/// Values by their keys. The order of iteration follows from the insertions and removals alone and never from a hash,
/// so that a run repeats exactly.
#[derive(Debug)]
pub(super) struct Table<K, V>(IndexMap<K, V, RandomState>);

/// A table keeps at least the room for this many entries.
const LEAST_ROOM: usize = 1_024;

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(IndexMap::default())
    }
}

impl<K: Hash + Eq, V> Table<K, V> {
    pub(super) fn get<Q: ?Sized + Hash + Equivalent<K>>(&self, key: &Q) -> Option<&V> {
        self.0.get(key)
    }

    pub(super) fn get_mut<Q: ?Sized + Hash + Equivalent<K>>(&mut self, key: &Q) -> Option<&mut V> {
        self.0.get_mut(key)
    }

    pub(super) fn contains<Q: ?Sized + Hash + Equivalent<K>>(&self, key: &Q) -> bool {
        self.0.contains_key(key)
    }

    /// Sets the value of a key. Returns the value that it had.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(key, value)
    }

    /// The value of a key, which is added if it is not there.
    pub(super) fn entry(&mut self, key: K, value: impl FnOnce() -> V) -> &mut V {
        self.0.entry(key).or_insert_with(value)
    }

    /// Removes a key. The last entry of the order takes its place.
    pub(super) fn remove<Q: ?Sized + Hash + Equivalent<K>>(&mut self, key: &Q) -> Option<V> {
        let value = self.0.swap_remove(key)?;
        let room = self.0.capacity();
        if room > LEAST_ROOM && self.0.len() < room / 8 {
            self.0.shrink_to((room / 4).max(LEAST_ROOM));
        }
        Some(value)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> + Clone {
        self.0.iter()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_changes_give_an_equal_order_and_room_is_given_back() {
        let order = || {
            let mut table = Table::default();
            for key in 0..100_000_u64 {
                table.insert(key, ());
            }
            let full = table.0.capacity();
            for key in 0..99_900 {
                assert_eq!(table.remove(&key), Some(()));
            }
            assert!(table.0.capacity() < full / 16, "{full} remained {}", table.0.capacity());
            table.0.keys().copied().collect::<Vec<_>>()
        };
        assert_eq!((order(), order().len()), (order(), 100));
    }
}
