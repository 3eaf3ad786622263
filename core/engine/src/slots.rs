//! A map by numbers whose values come and go in any order.

use std::num::NonZeroU32;

use super::pages::{Number, Pages};

/// The number of slots of a block.
const BLOCK: usize = 32;

/// The number of a slot, counted from 1.
#[derive(Debug, Clone, Copy)]
struct Slot(NonZeroU32);

impl Slot {
    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// Values by their ids, in ascending order. Values do not move. A new value takes the slot of the value that was
/// removed last, whose memory is still in the processor's cache. All slots are kept, so that the memory is that of the
/// greatest number of values at a time.
#[derive(Debug)]
pub(super) struct Slots<K, V> {
    by_id: Pages<K, Slot>,
    blocks: Vec<Box<[Option<V>]>>,
    /// The slots without a value. The last one is used next.
    unused: Vec<Slot>,
}

impl<K, V> Default for Slots<K, V> {
    fn default() -> Self {
        Self { by_id: Pages::default(), blocks: Vec::new(), unused: Vec::new() }
    }
}

impl<K: Number, V> Slots<K, V> {
    pub(super) fn get(&self, id: K) -> Option<&V> {
        self.value(*self.by_id.get(id)?)
    }

    pub(super) fn get_mut(&mut self, id: K) -> Option<&mut V> {
        let at = self.by_id.get(id)?.index();
        self.blocks[at / BLOCK][at % BLOCK].as_mut()
    }

    fn value(&self, slot: Slot) -> Option<&V> {
        let at = slot.index();
        self.blocks[at / BLOCK][at % BLOCK].as_ref()
    }

    /// Sets the value of an id. Returns the value that it had.
    pub(super) fn insert(&mut self, id: K, value: V) -> Option<V> {
        if let Some(old) = self.get_mut(id) {
            return Some(std::mem::replace(old, value));
        }
        if self.unused.is_empty() {
            let first = (self.blocks.len() * BLOCK) as u32;
            self.blocks.push(std::iter::repeat_with(|| None).take(BLOCK).collect());
            self.unused.extend((first + 1..=first + BLOCK as u32).rev().filter_map(NonZeroU32::new).map(Slot));
        }
        let slot = self.unused.pop()?;
        let at = slot.index();
        self.blocks[at / BLOCK][at % BLOCK] = Some(value);
        self.by_id.insert(id, slot);
        None
    }

    pub(super) fn remove(&mut self, id: K) -> Option<V> {
        let slot = self.by_id.remove(id)?;
        self.unused.push(slot);
        let at = slot.index();
        self.blocks[at / BLOCK][at % BLOCK].take()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// All values with their ids, in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> + Clone {
        self.by_id.iter().filter_map(|(id, slot)| Some((id, self.value(*slot)?)))
    }

    /// All values, in the order of their ids.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.by_id.values().filter_map(|slot| self.value(*slot))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::chance::mix;
    use crate::rules::MinerKey;

    #[test]
    fn it_holds_what_a_balanced_tree_holds_and_uses_its_slots_again() {
        let (mut slots, mut expected, mut most) = (Slots::default(), BTreeMap::new(), 0);
        for step in 0..20_000 {
            // Most ids come once, as those of miners do, and some come twice.
            let id = MinerKey((step - mix(step, 1) % 60_u64.min(step + 1)) as u32);
            if mix(step, 2) % 3 < 2 - u64::from(step > 15_000) {
                assert_eq!(slots.insert(id, step), expected.insert(id, step));
            } else if let Some(id) = expected.keys().nth(mix(step, 3) as usize % expected.len().max(1)).copied() {
                assert_eq!(slots.remove(id), expected.remove(&id));
                assert_eq!(slots.remove(id), None);
            }
            most = most.max(expected.len());
            assert_eq!((slots.get(id), slots.len()), (expected.get(&id), expected.len()));
            assert_eq!(slots.get_mut(id), expected.get_mut(&id));
            assert_eq!(slots.is_empty(), expected.is_empty());
            if step % 100 == 0 {
                assert!(slots.iter().eq(expected.iter().map(|(id, value)| (*id, value))));
                assert!(slots.values().eq(expected.values()));
            }
        }
        assert!(slots.blocks.len() <= most / BLOCK + 1, "{} blocks for {most} values", slots.blocks.len());
    }
}
