//! A set in order. It is a tree of two levels: its cost grows much less with the number of items than that of a
//! balanced tree, because the last items of all blocks lie side by side in memory, and so do the items of a block.

/// The greatest number of items in a block.
const BLOCK: usize = 64;
/// A block with fewer items is joined with a neighbour if both fit into one block.
const THIN: usize = BLOCK / 4;

/// Items in ascending order.
#[derive(Debug)]
pub(super) struct Sorted<T> {
    /// The items. No block is empty, except the only block of an empty set, which keeps its memory.
    blocks: Vec<Vec<T>>,
    /// The last item of each block; none for an empty block.
    lasts: Vec<T>,
}

impl<T> Default for Sorted<T> {
    fn default() -> Self {
        Self { blocks: Vec::new(), lasts: Vec::new() }
    }
}

impl<T: Copy + Ord> Sorted<T> {
    /// The place of the block that has the item if the set has it.
    fn find(&self, item: &T) -> usize {
        match self.lasts.as_slice() {
            // Most changes are at one of the ends, which are in the processor's cache.
            [before @ .., second, last] if second < item => before.len() + 1 + usize::from(last < item),
            [first, ..] if first >= item => 0,
            lasts => lasts.partition_point(|last| last < item),
        }
    }

    /// Adds an item, unless it is there.
    pub(super) fn insert(&mut self, item: T) {
        let Some(greatest) = self.lasts.last_mut() else { return self.begin(item) };
        if *greatest < item {
            // Most sets grow at their end. Full blocks then stay full.
            match self.blocks.last_mut() {
                Some(block) if block.len() < BLOCK => {
                    block.push(item);
                    *greatest = item;
                }
                _ => {
                    self.blocks.push(vec![item]);
                    self.lasts.push(item);
                }
            }
            return;
        }
        let at = self.find(&item);
        let block = &mut self.blocks[at];
        let place = block.partition_point(|one| *one < item);
        if block[place] == item {
            return;
        }
        if block.len() == BLOCK {
            let rest = block.split_off(BLOCK / 2);
            let half = usize::from(place > BLOCK / 2);
            self.lasts.insert(at, block[BLOCK / 2 - 1]);
            self.blocks.insert(at + 1, rest);
            let block = &mut self.blocks[at + half];
            block.insert(place - half * BLOCK / 2, item);
            self.lasts[at + half] = block[block.len() - 1];
        } else {
            // The item is smaller than the last one of the block.
            block.insert(place, item);
        }
    }

    /// Adds the first item.
    fn begin(&mut self, item: T) {
        match self.blocks.first_mut() {
            Some(block) => block.push(item),
            None => self.blocks.push(vec![item]),
        }
        self.lasts.push(item);
    }

    /// Removes an item. Returns whether it was there.
    pub(super) fn remove(&mut self, item: &T) -> bool {
        let at = self.find(item);
        let Some(block) = self.blocks.get_mut(at) else { return false };
        let place = block.partition_point(|one| one < item);
        if block.get(place) != Some(item) {
            return false;
        }
        block.remove(place);
        if let Some(last) = block.last() {
            self.lasts[at] = *last;
            if block.len() < THIN && !self.join(at) && at > 0 {
                self.join(at - 1);
            }
        } else {
            self.lasts.remove(at);
            if self.blocks.len() > 1 {
                self.blocks.remove(at);
            }
        }
        true
    }

    /// Replaces an item, which must be there, by another one.
    pub(super) fn replace(&mut self, old: &T, new: T) {
        // A set of one item has no order that must be kept.
        if let ([block], [last]) = (self.blocks.as_mut_slice(), self.lasts.as_mut_slice())
            && let [only] = block.as_mut_slice()
            && only == old
        {
            (*only, *last) = (new, new);
            return;
        }
        self.remove(old);
        self.insert(new);
    }

    /// Joins a block with the next one if both fit into one block. Returns whether they do.
    fn join(&mut self, at: usize) -> bool {
        let fits = self.blocks.get(at + 1).is_some_and(|next| self.blocks[at].len() + next.len() <= BLOCK);
        if fits {
            let next = self.blocks.remove(at + 1);
            self.blocks[at].extend(next);
            self.lasts.remove(at);
        }
        fits
    }

    pub(super) fn first(&self) -> Option<&T> {
        self.blocks.first()?.first()
    }

    /// The item of a set of one.
    pub(super) fn only(&self) -> Option<&T> {
        if let [block] = self.blocks.as_slice()
            && let [only] = block.as_slice()
        {
            Some(only)
        } else {
            None
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lasts.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.iter().map(Vec::len).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> + Clone {
        self.blocks.iter().flatten()
    }

    /// The first item that is not smaller than that one.
    pub(super) fn at_least(&self, item: &T) -> Option<&T> {
        let block = self.blocks.get(self.find(item))?;
        block.get(block.partition_point(|one| one < item))
    }

    /// The number of items that are smaller than that one.
    pub(super) fn before(&self, item: &T) -> usize {
        let at = self.find(item);
        let within = self.blocks.get(at).map_or(0, |block| block.partition_point(|one| one < item));
        self.blocks.iter().take(at).map(Vec::len).sum::<usize>() + within
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::chance::mix;

    impl<T: Copy + Ord + std::fmt::Debug> Sorted<T> {
        fn check(&self, expected: &BTreeSet<T>) {
            assert_eq!(self.iter().copied().collect::<Vec<_>>(), expected.iter().copied().collect::<Vec<_>>());
            assert_eq!((self.first(), self.len()), (expected.first(), expected.len()));
            assert_eq!(self.is_empty(), expected.is_empty());
            assert_eq!(self.only(), expected.first().filter(|_| expected.len() == 1));
            let lasts: Vec<T> = self.blocks.iter().filter_map(|block| block.last().copied()).collect();
            assert_eq!(self.lasts, lasts);
            assert!(self.blocks.iter().all(|block| block.len() <= BLOCK));
        }
    }

    #[test]
    fn it_holds_what_a_balanced_tree_holds() {
        for range in [10, 300, 5_000] {
            let (mut sorted, mut expected) = (Sorted::default(), BTreeSet::new());
            for step in 0..6_000 {
                let item = mix(range, step) % range;
                // It grows, then shrinks until it is empty.
                if mix(range, step).is_multiple_of(5)
                    && let Some(old) = expected.iter().nth(step as usize % expected.len().max(1)).copied()
                {
                    sorted.replace(&old, item);
                    expected.remove(&old);
                    expected.insert(item);
                } else if mix(step, range) % 3 > u64::from(step > 3_000) {
                    sorted.insert(item);
                    expected.insert(item);
                } else {
                    assert_eq!(sorted.remove(&item), expected.remove(&item));
                }
                assert_eq!(sorted.before(&item), expected.range(..item).count());
                assert_eq!(sorted.at_least(&item), expected.range(item..).next());
                if step % 50 == 0 {
                    sorted.check(&expected);
                }
            }
            while let Some(item) = expected.pop_first() {
                assert!(sorted.remove(&item) && !sorted.remove(&item));
                sorted.check(&expected);
            }
        }
    }

    #[test]
    fn a_set_that_grows_at_its_end_has_full_blocks_and_one_that_shrinks_gives_them_back() {
        let mut sorted = Sorted::default();
        for item in 0..100 * BLOCK {
            sorted.insert(item);
        }
        assert_eq!(sorted.blocks.len(), 100);
        for item in (0..100 * BLOCK).filter(|item| item % 32 != 0) {
            sorted.remove(&item);
        }
        assert!(sorted.blocks.len() <= 20, "{} blocks hold {} items", sorted.blocks.len(), sorted.len());
    }
}
