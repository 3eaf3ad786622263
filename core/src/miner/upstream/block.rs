//! The buffer into which all connections of a thread read.
//!
//! A connection that waits for its upstream has no buffer of its own, so that a stream costs little memory while it
//! waits. Bytes that were read are a part of the thread's buffer until they are dropped; whoever keeps them for long
//! must copy them.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;

/// The bytes of a thread's buffer.
const BYTES: usize = 64 << 10;

/// The fewest bytes that a read must have room for.
const LEAST: usize = 16 << 10;

thread_local! {
    static BLOCK: Cell<BytesMut> = Cell::default();
}

/// Reads once. No bytes: the connection has ended.
pub(super) fn poll_read(stream: &mut (impl AsyncRead + Unpin), cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
    let mut block = BLOCK.take();
    // If everything that was read before is dropped, the next bytes go to the start of the block, which is in the
    // processor's cache.
    if !block.try_reclaim(BYTES) && block.capacity() < LEAST {
        block = BytesMut::with_capacity(BYTES);
    }
    let read = poll_read_buf(Pin::new(stream), cx, &mut block);
    let bytes = if block.is_empty() { Bytes::new() } else { block.split().freeze() };
    BLOCK.set(block);
    ready!(read)?;
    Poll::Ready(Ok(bytes))
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn read(mut from: &[u8]) -> Bytes {
        match poll_read(&mut from, &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(bytes)) => bytes,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_memory_is_used_again_once_nothing_of_it_is_left() {
        let first = read(b"one").as_ptr();
        assert_eq!(read(b"two").as_ptr(), first);
        let kept = read(b"kept");
        let other = read(b"other");
        assert_eq!((&kept[..], &other[..]), (&b"kept"[..], &b"other"[..]));
        drop((kept, other));
        assert_eq!(read(b"three").as_ptr(), first);
    }

    #[test]
    fn bytes_that_are_kept_cost_a_new_block_only_when_the_old_one_is_full() {
        let long = vec![7; LEAST];
        let kept: Vec<Bytes> = (0..BYTES / LEAST * 2).map(|_| read(&long)).collect();
        assert!(kept.iter().all(|bytes| bytes[..] == long));
        let blocks = kept.windows(2).filter(|two| two[0].as_ptr() as usize + LEAST != two[1].as_ptr() as usize).count();
        assert!(blocks <= 2, "{blocks}");
    }
}
