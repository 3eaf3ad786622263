//! Copies of events that are kept.
//!
//! An event that came is a slice of a read buffer, which it would keep in memory for as long as its stream can be
//! resumed, so it is copied. The events of one read share one piece of memory: a block for each of them was cold when
//! it was freed, a thousand streams later.

use bytes::{Bytes, BytesMut};

/// The most bytes that are reserved at once. A stream that waits holds no more than these without use.
const MOST: usize = 16 << 10;

/// Makes the copies of one stream.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// The rest of the memory that was reserved.
    room: BytesMut,
    /// The number of bytes that have come and were not copied.
    more: usize,
}

impl Packed {
    /// Takes notice that so many bytes are there to be read as events.
    pub(super) fn came(&mut self, bytes: usize) {
        self.more = bytes;
    }

    /// Copies an event.
    pub(super) fn copy(&mut self, event: &[u8]) -> Bytes {
        self.more = self.more.saturating_sub(event.len());
        if self.room.capacity() < event.len() {
            if self.more < event.len() {
                return Bytes::copy_from_slice(event);
            }
            // Room that is left is used up first, so that events between long comments do not reserve it again.
            self.room = BytesMut::with_capacity(event.len() + self.more.min(MOST));
        }
        self.room.extend_from_slice(event);
        self.room.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_of_a_read_stand_one_behind_the_other() {
        let mut packed = Packed::default();
        packed.came(30);
        let copies = ["first", "second", "third"].map(|event| packed.copy(event.as_bytes()));
        assert_eq!(copies, ["first", "second", "third"]);
        assert_eq!(copies[0].as_ptr_range().end, copies[1].as_ptr());
        assert_eq!(copies[1].as_ptr_range().end, copies[2].as_ptr());
    }

    #[test]
    fn an_event_alone_takes_its_own_bytes() {
        let mut packed = Packed::default();
        for _ in 0..3 {
            packed.came(12);
            assert_eq!(packed.copy(b"0123456789"), "0123456789");
            assert_eq!(packed.room.capacity(), 0);
        }
    }

    #[test]
    fn what_comes_beside_the_events_reserves_nothing_twice() {
        let mut packed = Packed::default();
        let copies: Vec<_> = (0..100)
            .map(|_| {
                packed.came(60 << 10);
                packed.copy(&[b'x'; 100])
            })
            .collect();
        let alone = copies.windows(2).filter(|two| two[0].as_ptr_range().end != two[1].as_ptr()).count();
        assert_eq!(alone, 0, "all of them fit into the room of the first");
        assert!(packed.room.capacity() <= MOST);
    }
}
