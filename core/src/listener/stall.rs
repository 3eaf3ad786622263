//! Cuts off a client that reads nothing for too long.
//!
//! The timer runs only while a write waits for the client, so a connection that flows or has nothing to send has none.
//! When the time is up, the write fails, which ends the connection. The response is dropped with it, and with the
//! response the caller's attachment to its task.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A connection whose writes fail with `TimedOut` when the other end takes nothing for a while.
pub(in crate::listener) struct StallGuard<S> {
    inner: S,
    patience: Duration,
    /// The timer, which exists only while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> StallGuard<S> {
    pub(in crate::listener) fn new(inner: S, patience: Duration) -> Self {
        Self { inner, patience, waiting: None }
    }

    pub(in crate::listener) fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Observes the result of a write. Progress stops the timer; a wait starts it, or fails once it is over.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let patience = self.patience;
        let timer = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the reader took nothing within listen.write_timeout_ms",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, ended)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{Instant, advance};

    use super::*;

    const PATIENCE: Duration = Duration::from_mins(1);

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_cut_off_when_the_time_is_up() {
        let (near, _far) = duplex(4);
        let mut guarded = StallGuard::new(near, PATIENCE);
        let since = Instant::now();
        let error = guarded.write_all(b"too long").await.unwrap_err();
        assert_eq!((error.kind(), since.elapsed().as_secs()), (io::ErrorKind::TimedOut, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_a_byte_now_and_then_may_be_as_slow_as_it_likes() {
        let (near, mut far) = duplex(1);
        let mut guarded = StallGuard::new(near, PATIENCE);
        let writer = tokio::spawn(async move { guarded.write_all(b"a slow reader").await });
        let mut taken = Vec::new();
        while taken.len() < 13 {
            advance(Duration::from_secs(59)).await;
            taken.push(far.read_u8().await.unwrap());
        }
        writer.await.unwrap().unwrap();
        assert_eq!(taken, b"a slow reader");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_has_nothing_to_say_has_no_timer() {
        let (near, mut far) = duplex(64);
        let mut guarded = StallGuard::new(near, PATIENCE);
        guarded.write_all(b"all").await.unwrap();
        guarded.flush().await.unwrap();
        assert!(guarded.waiting.is_none());
        advance(PATIENCE * 10).await;
        guarded.write_all(b" of it").await.unwrap();
        drop(guarded);
        let mut all = String::new();
        far.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, "all of it");
    }
}
