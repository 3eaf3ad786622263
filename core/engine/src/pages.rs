//! A map by numbers that are counted up.

use std::marker::PhantomData;

use super::rules::MinerKey;
use cortensor_router_model::{Fence, Gid, SessionId};

/// An id that the router counts up.
pub(super) trait Number: Copy {
    fn number(self) -> u64;
    fn of(number: u64) -> Self;
}

macro_rules! number {
    ($($id:ident($integer:ty)),*) => {
        $(impl Number for $id {
            fn number(self) -> u64 {
                u64::from(self.0)
            }

            fn of(number: u64) -> Self {
                Self(number as $integer)
            }
        })*
    };
}

number!(Gid(u64), Fence(u64), SessionId(u64), MinerKey(u32));

/// Values by their ids, in ascending order. The values of neighbouring ids share a page, where they stand side by side.
/// A look-up reads the list of pages, which is short, and one place of a page, however many values there are.
#[derive(Debug)]
pub(super) struct Pages<K, V> {
    /// The numbers of the pages, in ascending order.
    numbers: Vec<u64>,
    /// The pages in the order of their numbers. None of them is empty.
    filled: Vec<Page<V>>,
    /// The last page that became empty. It saves an allocation where few values come and go.
    spare: Option<Page<V>>,
    len: usize,
    id: PhantomData<K>,
}

#[derive(Debug)]
struct Page<V> {
    places: Box<[Option<V>]>,
    used: u32,
}

impl<K, V> Default for Pages<K, V> {
    fn default() -> Self {
        Self { numbers: Vec::new(), filled: Vec::new(), spare: None, len: 0, id: PhantomData }
    }
}

impl<K: Number, V> Pages<K, V> {
    /// The number of places of a page. A page of large values has fewer, so that a value that outlives its neighbours
    /// keeps less memory.
    const PLACES: u64 = if size_of::<V>() > 64 { 32 } else { 64 };
    /// The number of low bits of an id that count within its page.
    const BITS: u32 = Self::PLACES.trailing_zeros();

    /// The place of a page in the list, or the place where it belongs.
    fn find(&self, page: u64) -> Result<usize, usize> {
        let first = self.numbers.first().copied().ok_or(0_usize)?;
        // Where ids are dense, no page is missing between the first one and this one.
        let guess = page.wrapping_sub(first) as usize;
        if self.numbers.get(guess) == Some(&page) { Ok(guess) } else { self.numbers.binary_search(&page) }
    }

    pub(super) fn get(&self, id: K) -> Option<&V> {
        let number = id.number();
        let at = self.find(number >> Self::BITS).ok()?;
        self.filled[at].places[(number % Self::PLACES) as usize].as_ref()
    }

    pub(super) fn get_mut(&mut self, id: K) -> Option<&mut V> {
        let number = id.number();
        let at = self.find(number >> Self::BITS).ok()?;
        self.filled[at].places[(number % Self::PLACES) as usize].as_mut()
    }

    /// The place of an id, on a page that is added if it is not there.
    fn place(&mut self, number: u64) -> (usize, usize) {
        let page = number >> Self::BITS;
        let at = self.find(page).unwrap_or_else(|at| {
            let new = self.spare.take().unwrap_or_else(|| Page {
                places: std::iter::repeat_with(|| None).take(Self::PLACES as usize).collect(),
                used: 0,
            });
            self.numbers.insert(at, page);
            self.filled.insert(at, new);
            at
        });
        (at, (number % Self::PLACES) as usize)
    }

    /// Sets the value of an id. Returns the value that it had.
    pub(super) fn insert(&mut self, id: K, value: V) -> Option<V> {
        let (at, place) = self.place(id.number());
        let old = self.filled[at].places[place].replace(value);
        if old.is_none() {
            self.filled[at].used += 1;
            self.len += 1;
        }
        old
    }

    /// The value of an id, which is added if it is not there.
    pub(super) fn entry(&mut self, id: K, value: impl FnOnce() -> V) -> &mut V {
        let (at, place) = self.place(id.number());
        let page = &mut self.filled[at];
        page.places[place].get_or_insert_with(|| {
            page.used += 1;
            self.len += 1;
            value()
        })
    }

    pub(super) fn remove(&mut self, id: K) -> Option<V> {
        let number = id.number();
        let at = self.find(number >> Self::BITS).ok()?;
        let page = &mut self.filled[at];
        let value = page.places[(number % Self::PLACES) as usize].take()?;
        page.used -= 1;
        self.len -= 1;
        if page.used == 0 {
            self.numbers.remove(at);
            self.spare = Some(self.filled.remove(at));
        }
        Some(value)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All values with their ids, in ascending order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> + Clone {
        self.numbers.iter().zip(&self.filled).flat_map(|(number, page)| {
            let places = (number << Self::BITS..).zip(&page.places);
            places.filter_map(|(id, value)| Some((K::of(id), value.as_ref()?)))
        })
    }

    /// All values, in the order of their ids.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.filled.iter().flat_map(|page| page.places.iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::chance::mix;

    #[test]
    fn it_holds_what_a_balanced_tree_holds() {
        for range in [1, 100, 5_000, u64::MAX] {
            let (mut pages, mut expected) = (Pages::default(), BTreeMap::new());
            for step in 0..6_000 {
                // It begins at any number, grows, and then shrinks.
                let id = Gid((1 << 33) + mix(range, step % 2_000) % range);
                match mix(step, range) % 4 {
                    0 => assert_eq!(pages.insert(id, step), expected.insert(id, step)),
                    1 if step < 3_000 => assert_eq!(pages.entry(id, || step), expected.entry(id).or_insert(step)),
                    _ => assert_eq!(pages.remove(id), expected.remove(&id)),
                }
                assert_eq!((pages.get(id), pages.len()), (expected.get(&id), expected.len()));
                assert_eq!(pages.get_mut(id), expected.get_mut(&id));
                assert_eq!(pages.is_empty(), expected.is_empty());
                if step % 100 == 0 {
                    assert!(pages.iter().eq(expected.iter().map(|(id, value)| (*id, value))));
                    assert!(pages.values().eq(expected.values()));
                }
            }
            for id in expected.keys() {
                assert!(pages.remove(*id).is_some() && pages.remove(*id).is_none());
            }
            assert!(pages.is_empty() && pages.numbers.is_empty() && pages.filled.is_empty());
        }
    }
}
