//! The requests of a connection, one after the other.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use super::client::{Client, NoHead};
use super::head::{Bounds, Known, Lengths, Seen, has_end};
use crate::config::ListenConfig;
use crate::listener::alarm::Alarm;
use crate::listener::door::Door;
use crate::listener::gate::Gate;
use crate::listener::heads::Head;
use crate::listener::peer::Connection;
use crate::listener::refusal::Refusal;
use crate::listener::stall::StallGuard;
use crate::listener::stop::Stop;
use crate::listener::wire::Socket;

/// A connection while it is served without hyper.
pub(in crate::listener) struct Talk<'a, S> {
    pub(super) door: &'a Door,
    /// The gate that the last request passed.
    pub(super) gate: Arc<Gate>,
    pub(super) on: &'a Connection,
    pub(super) stop: &'a Stop,
    pub(super) client: Client<S>,
    pub(super) known: Option<Box<Known>>,
    /// The number of bytes before the next head that belong to a body which nobody read.
    pub(super) unread: u64,
    config: &'a ListenConfig,
    /// Goes off when the next head takes too long.
    late: Option<Alarm>,
    /// Whether a request was answered.
    has_answered: bool,
}

/// The end of the part of a connection that is served without hyper.
pub(in crate::listener) enum Left<S> {
    /// The connection has ended.
    Ended,
    /// The next request is for hyper.
    Other {
        stream: StallGuard<S>,
        /// The room of the request's head.
        room: Head,
        /// The bytes of the request that came.
        came: Vec<u8>,
        /// Whether a request was answered before.
        has_answered: bool,
    },
    /// The next head is refused.
    Refused {
        stream: StallGuard<S>,
        refusal: Refusal,
        /// The bytes of the head that came.
        came: Vec<u8>,
    },
}

/// The next thing to do on a connection.
enum Next {
    Exchange(Lengths),
    Leave,
    Refuse(Refusal),
    End,
}

impl<'a, S: Socket> Talk<'a, S> {
    /// `came` holds the bytes of the first head that were read already; `room` has counted them.
    pub(in crate::listener) fn new(
        (door, gate, on, stop): (&'a Door, Arc<Gate>, &'a Connection, &'a Stop),
        config: &'a ListenConfig,
        stream: StallGuard<S>,
        room: Head,
        came: Vec<u8>,
    ) -> Self {
        let client = Client::new(stream, room, came);
        Self { door, gate, on, stop, client, known: None, unread: 0, config, late: None, has_answered: false }
    }

    /// Answers the requests of the connection, until the connection ends or a request is for hyper.
    pub(in crate::listener) async fn hold(mut self) -> Left<S> {
        loop {
            let next = self.next().await;
            self.door.renew(&mut self.gate);
            match next {
                Next::Exchange(lengths) if self.gate.is_native(self.on) => match self.exchange(lengths).await {
                    Ok(true) => self.has_answered = true,
                    Ok(false) => break,
                    Err(error) => {
                        tracing::debug!(peer = %self.on.peer, %error, "a connection ended with an error");
                        return Left::Ended;
                    }
                },
                Next::Exchange(_) | Next::Leave => {
                    let has_answered = self.has_answered;
                    let (stream, room, came) = self.client.into_parts();
                    return Left::Other { stream, room, came, has_answered };
                }
                Next::Refuse(refusal) => {
                    let (stream, _, came) = self.client.into_parts();
                    return Left::Refused { stream, refusal, came };
                }
                Next::End => break,
            }
        }
        self.client.shut_down().await;
        Left::Ended
    }

    /// Waits for the next head.
    async fn next(&mut self) -> Next {
        let Self { stop, client, known, unread, config, late, .. } = self;
        let bounds = Bounds { bytes: config.max_header_bytes, lines: config.max_headers };
        let (mut looked, mut waited) = (0, false);
        poll_fn(|cx| {
            loop {
                let came = client.came();
                // A head of which a part was seen is looked at again when its end is there.
                if came.len() > looked && (looked == 0 || has_end(came, looked)) {
                    match Known::look(known, came, bounds) {
                        Seen::Busy(lengths) => return Poll::Ready(Next::Exchange(lengths)),
                        Seen::Other => return Poll::Ready(Next::Leave),
                        Seen::Partial => {}
                    }
                }
                looked = came.len();
                if stop.graceful.is_cancelled() {
                    return Poll::Ready(Next::End);
                }
                match client.poll_head(cx, unread) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(NoHead::Ended)) => return Poll::Ready(Next::End),
                    Poll::Ready(Err(NoHead::TooMuch(why))) => {
                        return Poll::Ready(Next::Refuse(Refusal::too_much(why, config)));
                    }
                    Poll::Pending => {
                        let patience = Duration::from_millis(config.header_timeout_ms);
                        let late = late.get_or_insert_with(|| Alarm::after(patience));
                        if !std::mem::replace(&mut waited, true) {
                            late.set(patience);
                        }
                        ready!(late.poll(cx));
                        // A connection on which nothing was sent is closed without an answer.
                        let is_idle = client.came().is_empty();
                        return Poll::Ready(if is_idle { Next::End } else { Next::Refuse(Refusal::late()) });
                    }
                }
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of_val;

    use super::*;
    use crate::listener::heads::Heads;
    use crate::{Config, Router};

    /// The future lives as long as its connection, and a router may have thousands of slow streams.
    #[tokio::test]
    async fn a_connection_takes_little_memory() {
        let router = Router::open(Config::default()).await.unwrap();
        let listen = router.config().listen.clone();
        let door = Door::new(router.clone(), listen.clone(), None).unwrap();
        let on = Connection::plain(([127, 0, 0, 1], 1).into());
        let (stop, heads) = (Stop::default(), Heads::new(listen.max_header_bytes, listen.max_heads_bytes));
        let (near, _far) = tokio::io::duplex(64);
        let stream = StallGuard::new(Box::new(near), Duration::from_mins(1));
        let talk = Talk::new((&door, door.gate(), &on, &stop), &listen, stream, Head::new(heads), Vec::new());
        let size = size_of_val(&talk.hold());
        assert!(size <= 6_400, "{size}");
        router.close().await;
    }
}
