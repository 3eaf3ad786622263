//! The bound for the heads of all connections together. A head is read before its sender is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of each head that do not count, so that a plain request passes while other heads use up the room.
const FREE: usize = 2 << 10;

/// The room for all heads of one listener, in bytes.
#[derive(Debug)]
pub(super) struct Heads {
    left: AtomicUsize,
    /// The greatest length of one head, in bytes.
    most: usize,
}

/// The reason why a head is not read further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TooMuch {
    /// The head is too long.
    Long,
    /// Other heads take all the room.
    Crowded,
}

impl Heads {
    pub(super) fn new(most: usize, total: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(total), most })
    }

    /// The greatest length of one head, in bytes.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    fn take(&self, bytes: usize) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
}

/// The head that a connection is reading.
#[derive(Debug)]
pub(super) struct Head {
    heads: Arc<Heads>,
    read: usize,
    taken: usize,
}

impl Head {
    pub(super) fn new(heads: Arc<Heads>) -> Self {
        Self { heads, read: 0, taken: 0 }
    }

    /// Whether more of the head may be read.
    pub(super) fn may_grow(&self) -> Result<(), TooMuch> {
        if self.read >= self.heads.most { Err(TooMuch::Long) } else { Ok(()) }
    }

    /// Counts bytes of the head that have arrived.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), TooMuch> {
        self.read += bytes;
        // Bytes beyond the head's bound already belong to the body, or the next read refuses them.
        let counted = self.read.min(self.heads.most).saturating_sub(FREE);
        let more = counted.saturating_sub(self.taken);
        if more > 0 {
            if !self.heads.take(more) {
                return Err(TooMuch::Crowded);
            }
            self.taken += more;
        }
        Ok(())
    }

    /// Gives the room back after the head was passed on; the next head begins.
    pub(super) fn clear(&mut self) {
        self.read = 0;
        self.heads.left.fetch_add(std::mem::take(&mut self.taken), Ordering::Relaxed);
    }
}

impl Drop for Head {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_share_their_room_and_give_it_back() {
        let heads = Heads::new(8 << 10, 10 << 10);
        let (mut one, mut two) = (Head::new(heads.clone()), Head::new(heads.clone()));
        assert_eq!(one.grow(8 << 10), Ok(()));
        assert_eq!(one.may_grow(), Err(TooMuch::Long));
        assert_eq!(two.grow(FREE + (4 << 10)), Ok(()));
        assert_eq!(two.grow(1), Err(TooMuch::Crowded));
        // A plain head passes even so.
        assert_eq!(Head::new(heads.clone()).grow(FREE), Ok(()));
        one.clear();
        assert_eq!((one.may_grow(), two.grow(1)), (Ok(()), Ok(())));
        drop(two);
        drop(one);
        assert_eq!(heads.left.load(Ordering::Relaxed), 10 << 10);
    }

    #[test]
    fn a_body_that_comes_with_its_head_takes_no_more_room_than_a_head() {
        let heads = Heads::new(8 << 10, 6 << 10);
        let mut head = Head::new(heads);
        assert_eq!(head.grow(1 << 20), Ok(()));
    }
}
