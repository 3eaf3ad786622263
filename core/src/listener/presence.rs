//! Detects whether a client that sends no more has hung up.
//!
//! A client that has sent its request may close its side and wait for the answer (RFC 9112, 9.6), or it may have hung
//! up. The router reads an end of the stream in both cases. Before the answer begins, the router sends an interim
//! response (`100 Continue`, which every client of HTTP/1.1 skips) to tell them apart: the operating system of a client
//! that has gone refuses it. Once an answer has begun, an end of the stream counts as a hang-up.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite as _;
use tokio::time::Sleep;

use super::stall::StallGuard;
use super::wire::Socket;

/// The time before the first interim response. Hang-ups are more frequent than half-closed connections and must stop
/// their miners soon. An answer that is ready earlier is written without an interim response.
const FIRST_LOOK: Duration = Duration::from_millis(10);

/// The time after which the refusal of an interim response is first looked for. Each further wait is four times as
/// long. From this machine the refusal comes at once, from elsewhere after a round trip.
const REFUSAL: Duration = Duration::from_millis(1);

/// The time between two interim responses.
const LOOKS: Duration = Duration::from_secs(1);

const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The progress of the detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// The next interim response is due after the wait.
    Due,
    /// An interim response was sent; the value is the current wait for its refusal.
    Made(Duration),
}

/// The look for a client that sends no more. It takes no memory until it begins.
#[derive(Debug, Default)]
pub(super) struct Presence(Option<Box<(Look, Pin<Box<Sleep>>)>>);

impl Presence {
    /// Ends the look, because the next request begins.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }

    fn look(&mut self) -> &mut (Look, Pin<Box<Sleep>>) {
        self.0.get_or_insert_with(|| Box::new((Look::Due, Box::pin(tokio::time::sleep(FIRST_LOOK)))))
    }

    /// Ready when the time before the first interim response is over.
    pub(super) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.look().1.as_mut().poll(cx)
    }

    /// Ready with an error when the client has gone; never ready while the client waits for its answer.
    pub(super) fn poll_gone<S: Socket>(&mut self, stream: &mut StallGuard<S>, cx: &mut Context<'_>) -> Poll<io::Error> {
        let gone = || Poll::Ready(io::Error::new(io::ErrorKind::ConnectionReset, "the client has hung up"));
        loop {
            let (look, sleep) = self.look();
            ready!(sleep.as_mut().poll(cx));
            if stream.get_ref().has_failed() {
                return gone();
            }
            let (next, wait) = match *look {
                Look::Made(waited) if waited >= LOOKS / 4 => (Look::Due, LOOKS),
                Look::Made(waited) => (Look::Made(waited * 4), waited * 4),
                Look::Due => {
                    // A client that does not even take this waits for no answer.
                    match Pin::new(&mut *stream).poll_write(cx, INTERIM) {
                        Poll::Ready(Ok(written)) if written == INTERIM.len() => {}
                        _ => return gone(),
                    }
                    if let Poll::Ready(Err(_)) = Pin::new(&mut *stream).poll_flush(cx) {
                        return gone();
                    }
                    (Look::Made(REFUSAL), REFUSAL)
                }
            };
            *look = next;
            *sleep = Box::pin(tokio::time::sleep(wait));
        }
    }
}
