//! A connection that plays a script.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The end of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The connection ends in order.
    Close,
    /// The connection stays open, and nothing more comes.
    Open,
    /// The connection breaks.
    Break,
}

/// A connection whose other side sends these pieces once it has got some bytes of a request.
#[derive(Debug)]
pub(super) struct Script {
    pieces: VecDeque<Vec<u8>>,
    end: End,
    /// The number of bytes that the other side reads; it refuses further ones.
    most: usize,
    /// The bytes after which it sends more and ends.
    later: Option<(usize, Vec<u8>)>,
    reader: Option<Waker>,
    written: Arc<Mutex<Vec<u8>>>,
    /// Whether the next call has nothing yet, as every other one.
    pauses: bool,
    is_paused: bool,
}

impl Script {
    pub(super) fn new(pieces: impl IntoIterator<Item = Vec<u8>>, end: End) -> Self {
        Self {
            pieces: pieces.into_iter().filter(|piece| !piece.is_empty()).collect(),
            end,
            most: usize::MAX,
            later: None,
            reader: None,
            written: Arc::default(),
            pauses: false,
            is_paused: false,
        }
    }

    /// Lets the other side send at once, and refuse all bytes of a request after the first `most` ones.
    pub(super) fn refusing_after(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Lets the other side close the connection once it has read that many bytes.
    pub(super) fn ending_after(self, count: usize) -> Self {
        self.saying_after(count, Vec::new())
    }

    /// Lets the other side send more and close the connection once it has read that many bytes.
    pub(super) fn saying_after(mut self, count: usize, piece: Vec<u8>) -> Self {
        self.later = Some((count, piece));
        self
    }

    /// Lets every other call wait.
    pub(super) fn pausing(mut self) -> Self {
        self.pauses = true;
        self
    }

    /// The bytes that the other side has read.
    pub(super) fn written(&self) -> Arc<Mutex<Vec<u8>>> {
        Arc::clone(&self.written)
    }

    fn pauses_now(&mut self, cx: &mut Context<'_>) -> bool {
        self.is_paused = self.pauses && !self.is_paused;
        if self.is_paused {
            cx.waker().wake_by_ref();
        }
        self.is_paused
    }
}

impl AsyncRead for Script {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let script = self.get_mut();
        if script.written.lock().is_empty() {
            script.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if script.pauses_now(cx) {
            return Poll::Pending;
        }
        if script.pieces.is_empty()
            && let Some((_, piece)) = script.later.take_if(|(count, _)| script.written.lock().len() >= *count)
        {
            script.pieces.extend(Some(piece).filter(|piece| !piece.is_empty()));
            script.end = End::Close;
        }
        let Some(piece) = script.pieces.front_mut() else {
            return match script.end {
                End::Close => Poll::Ready(Ok(())),
                End::Open => {
                    script.reader = Some(cx.waker().clone());
                    Poll::Pending
                }
                End::Break => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            };
        };
        let count = piece.len().min(buf.remaining());
        buf.put_slice(&piece[..count]);
        piece.drain(..count);
        if piece.is_empty() {
            script.pieces.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let script = self.get_mut();
        if script.pauses_now(cx) {
            return Poll::Pending;
        }
        let mut written = script.written.lock();
        let room = script.most.saturating_sub(written.len()).min(buf.len());
        if room == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // A connection takes a large request part by part.
        let count = room.min(10_000);
        written.extend_from_slice(&buf[..count]);
        if let Some(reader) = script.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
