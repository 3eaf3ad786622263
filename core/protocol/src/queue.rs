//! The frames of one connection that wait to be sent, within a bound of bytes.

use std::collections::VecDeque;

/// The code and the reason of the close that ends a connection.
pub type Goodbye = (u16, String);

/// The close that a connection gets whose other side does not read.
const UNREAD: (u16, &str) = (1008, "frames are not read");

/// The frames of one connection that wait to be sent. The caller gives the size of each frame, so that the queue can
/// hold any kind of text.
///
/// ```
/// use cortensor_router_protocol::queue::SendQueue;
/// let mut queue = SendQueue::new(8);
/// assert!(queue.push("frames", 6) && !queue.has_room(6));
/// let mut out = Vec::new();
/// assert_eq!((queue.take(&mut out), out, queue.bytes()), (None, vec!["frames"], 0));
/// ```
#[derive(Debug)]
pub struct SendQueue<T> {
    frames: VecDeque<T>,
    bytes: usize,
    max_bytes: usize,
    goodbye: Option<Goodbye>,
    ended: bool,
}

impl<T> SendQueue<T> {
    /// An empty queue that holds at most `max_bytes`, or one larger frame alone.
    pub fn new(max_bytes: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, max_bytes, goodbye: None, ended: false }
    }

    /// Adds a frame of that size. `false`: the connection is ending. A frame for which a full queue has no room is lost
    /// and ends the connection, because the other side does not read.
    pub fn push(&mut self, frame: T, bytes: usize) -> bool {
        if self.is_ending() {
            return false;
        }
        if self.fits(bytes) {
            self.bytes += bytes;
            self.frames.push_back(frame);
        } else {
            self.close(UNREAD.0, UNREAD.1);
        }
        true
    }

    /// Whether a frame of that size could be added now.
    pub fn has_room(&self, bytes: usize) -> bool {
        !self.is_ending() && self.fits(bytes)
    }

    fn fits(&self, bytes: usize) -> bool {
        self.frames.is_empty() || self.bytes + bytes <= self.max_bytes
    }

    /// Whether it takes no further frames, because the connection ends.
    pub fn is_ending(&self) -> bool {
        self.ended || self.goodbye.is_some()
    }

    /// Closes the connection after the waiting frames are sent. The first reason counts.
    pub fn close(&mut self, code: u16, reason: &str) {
        self.goodbye.get_or_insert_with(|| (code, reason.to_owned()));
    }

    /// Moves the waiting frames to `out`. Returns the close that follows them, if there is one.
    pub fn take(&mut self, out: &mut Vec<T>) -> Option<Goodbye> {
        out.extend(self.frames.drain(..));
        self.bytes = 0;
        self.goodbye.clone()
    }

    /// Notes the end of the connection. Frees the memory of the frames.
    pub fn end(&mut self) {
        (self.ended, self.bytes) = (true, 0);
        self.frames = VecDeque::new();
    }

    /// The bytes of the frames that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_ends_its_connection_and_takes_nothing_more() {
        let mut queue = SendQueue::new(10);
        assert!(queue.push("one that is larger than the whole queue", 39), "alone it may wait");
        assert!(!queue.has_room(1));
        assert_eq!(queue.take(&mut Vec::new()), None);
        assert!(queue.push("123456", 6) && queue.has_room(4) && !queue.has_room(5));
        assert!(queue.push("lost", 5), "the connection was not ending before");
        assert!(!queue.push("late", 1) && !queue.has_room(1));
        let mut out = Vec::new();
        assert_eq!(queue.take(&mut out), Some((1008, "frames are not read".to_owned())));
        assert_eq!(out, ["123456"]);
    }

    #[test]
    fn the_first_reason_to_close_counts() {
        let mut queue: SendQueue<&str> = SendQueue::new(10);
        queue.close(1001, "first");
        queue.close(1008, "second");
        assert_eq!(queue.take(&mut Vec::new()), Some((1001, "first".to_owned())));
        let mut queue = SendQueue::new(10);
        queue.push("frame", 5);
        queue.end();
        assert_eq!((queue.bytes(), queue.push("late", 1), queue.has_room(1)), (0, false, false));
    }
}
