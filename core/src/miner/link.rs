//! One WebSocket connection of the miner protocol, for both sides: sends frames from a bounded queue, passes incoming
//! frames on one by one, and sends pings as signs of life.

use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};

use crate::miner::Turn;
use crate::miner::protocol::frame::{ErrorFrame, RouterFrame};
use crate::miner::protocol::queue::{Goodbye, SendQueue};

/// The bytes of a connection's read buffer. They are few, because a router may have thousands of idle connections.
const READ_BUFFER: usize = 4 << 10;
const WRITE_BUFFER: usize = 16 << 10;
/// The time within which the other side must answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The settings of a connection with incoming frames of up to `frame` bytes and outgoing ones of up to `largest`.
pub(crate) fn websocket_config(frame: usize, largest: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER + 2 * largest)
        .max_message_size(Some(frame))
        .max_frame_size(Some(frame))
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The other side closed the connection.
    Closed,
    /// The connection broke.
    Broken,
    /// The other side was silent, or did not read, for too long.
    Silent,
    /// This side closed the connection.
    Told,
}

impl End {
    /// The error as text; empty: this side closed the connection.
    #[cfg(feature = "miner-client")]
    pub(crate) fn fault(self) -> &'static str {
        match self {
            Self::Closed => "the other side closed the connection",
            Self::Broken => "the connection broke",
            Self::Silent => "the other side was silent for too long",
            Self::Told => "",
        }
    }
}

/// The time of silence after which this side pings, and the time after which the other side counts as dead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) ping: Duration,
    pub(crate) dead: Duration,
}

/// The user of a connection.
pub(crate) trait Peer {
    /// Handles an incoming frame.
    fn frame(&self, text: &str);
    /// Does the work that is due. Returns the time at which it must be called again; `None`: only when the link is
    /// woken.
    fn poll(&self, now: Instant) -> Option<Instant>;
    /// The text of a ping, which lists the attempts of this side.
    fn ping(&self) -> String;
}

/// The sending end of a connection. It equals itself alone.
#[derive(Debug)]
pub(crate) struct Link {
    queue: Mutex<SendQueue<Utf8Bytes>>,
    wake: Notify,
    /// Notified when frames have left the queue.
    #[cfg(feature = "postgres")]
    left: Notify,
}

impl PartialEq for Link {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Link {}

impl Link {
    /// A sending end whose queue holds at most `max_bytes`.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            queue: Mutex::new(SendQueue::new(max_bytes)),
            wake: Notify::new(),
            #[cfg(feature = "postgres")]
            left: Notify::new(),
        }
    }

    /// Queues a frame. `false`: the connection is ending. If the queue is full because the other side does not read,
    /// the connection ends.
    pub(crate) fn post(&self, text: impl Into<Utf8Bytes>) -> bool {
        let text = text.into();
        let bytes = text.len();
        let taken = self.queue.lock().push(text, bytes);
        if taken {
            self.wake.notify_one();
        }
        taken
    }

    /// Whether the queue has room for a frame of this size.
    #[cfg(any(feature = "listener", feature = "postgres"))]
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.queue.lock().has_room(bytes)
    }

    /// Queues a frame as soon as the queue has room for it and for `reserve` further bytes, which are for frames that
    /// cannot wait. `false`: the connection is ending.
    #[cfg(feature = "postgres")]
    pub(crate) async fn post_within(&self, text: String, reserve: usize) -> bool {
        let bytes = text.len();
        let mut text = Some(Utf8Bytes::from(text));
        loop {
            let left = self.left.notified();
            {
                let mut queue = self.queue.lock();
                if queue.is_ending() {
                    return false;
                }
                if queue.has_room(bytes + reserve)
                    && let Some(text) = text.take()
                {
                    queue.push(text, bytes);
                    drop(queue);
                    self.wake.notify_one();
                    return true;
                }
            }
            left.await;
        }
    }

    /// Carries the frames of this link within another one, each behind that mark, until one of the two ends. `reserve` is
    /// the room in the other one that is left to its own frames.
    #[cfg(feature = "postgres")]
    pub(crate) async fn carry(&self, peer: &impl Peer, within: &Self, mark: char, reserve: usize) {
        let mut frames = Vec::new();
        loop {
            let due = peer.poll(Instant::now());
            let is_last = self.take(&mut frames).is_some();
            let is_idle = frames.is_empty();
            for frame in frames.drain(..) {
                if !within.post_within(format!("{mark}{frame}"), reserve).await {
                    return self.end();
                }
            }
            if is_last {
                return self.end();
            }
            if is_idle {
                let until = async {
                    match due {
                        Some(due) => tokio::time::sleep_until(due).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = self.wake.notified() => {}
                    () = until => {}
                }
            }
        }
    }

    /// Closes the connection after the queued frames are sent.
    #[cfg(any(feature = "miner-client", feature = "postgres"))]
    pub(crate) fn close(&self, code: u16, reason: &str) {
        self.queue.lock().close(code, reason);
        self.wake.notify_one();
    }

    /// Queues a last frame and closes the connection after it. No frame comes between the two.
    pub(crate) fn close_with(&self, last: impl Into<Utf8Bytes>, code: u16, reason: &str) {
        let last = last.into();
        let bytes = last.len();
        {
            let mut queue = self.queue.lock();
            queue.push(last, bytes);
            queue.close(code, reason);
        }
        self.wake.notify_one();
    }

    /// Sends the reason and closes the connection.
    #[cfg(any(feature = "listener", feature = "postgres"))]
    pub(crate) fn refuse(&self, error: &ErrorFrame) {
        let last = serde_json::to_string(&RouterFrame::Error(error.clone())).unwrap_or_default();
        self.close_with(last, 1008, &error.code);
    }

    /// Makes the connection call [`Peer::poll`] soon.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Takes the queued frames. Returns the code and reason of the close that follows them, if there is one.
    fn take(&self, out: &mut Vec<Utf8Bytes>) -> Option<Goodbye> {
        let goodbye = self.queue.lock().take(out);
        #[cfg(feature = "postgres")]
        self.left.notify_waiters();
        goodbye
    }

    fn end(&self) {
        self.queue.lock().end();
        #[cfg(feature = "postgres")]
        self.left.notify_waiters();
    }
}

/// Runs a connection to its end.
pub(crate) async fn run<S>(socket: WebSocketStream<S>, link: &Link, peer: &impl Peer, timing: Timing) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut stream) = socket.split();
    let mut too_large = false;
    let end = tokio::select! {
        end = read(&mut stream, peer, timing, &mut too_large) => end,
        end = write(&mut sink, link, peer, timing) => end,
    };
    link.end();
    let closing = async {
        if too_large {
            let frame = RouterFrame::from(ErrorFrame::fatal("too_large", "a frame was larger than limits.frame"));
            let _ = sink.send(Message::text(frame.to_text())).await;
            let _ = sink.send(Message::Close(Some(close_frame(1009, "too_large")))).await;
        }
        match end {
            End::Told => while let Some(Ok(_)) = stream.next().await {},
            End::Closed => drop(sink.close().await),
            End::Broken | End::Silent => {}
        }
    };
    // The connection ends here in any case.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    end
}

async fn read<S>(
    stream: &mut SplitStream<WebSocketStream<S>>,
    peer: &impl Peer,
    timing: Timing,
    too_large: &mut bool,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut turn = Turn::default();
    loop {
        let message = match tokio::time::timeout(timing.dead, stream.next()).await {
            Err(_) => return End::Silent,
            Ok(None) => return End::Closed,
            Ok(Some(Err(error))) => {
                tracing::debug!(%error, "a miner connection broke");
                *too_large = matches!(error, WsError::Capacity(_));
                return match error {
                    WsError::ConnectionClosed | WsError::AlreadyClosed => End::Closed,
                    _ => End::Broken,
                };
            }
            Ok(Some(Ok(message))) => message,
        };
        match message {
            Message::Text(text) => {
                peer.frame(&text);
                turn.spend(text.len()).await;
            }
            Message::Close(_) => return End::Closed,
            // This version of the protocol has no binary frames. Unknown frames are ignored.
            Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
        }
    }
}

async fn write<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    link: &Link,
    peer: &impl Peer,
    timing: Timing,
) -> End
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut ping_at = Instant::now() + timing.ping;
    let mut frames = Vec::new();
    loop {
        let due = peer.poll(Instant::now());
        let mut goodbye = link.take(&mut frames);
        if frames.is_empty() && goodbye.is_none() {
            let until = due.map_or(ping_at, |due| due.min(ping_at));
            tokio::select! {
                () = link.wake.notified() => continue,
                () = tokio::time::sleep_until(until) => {}
            }
            if Instant::now() >= ping_at {
                let ping = peer.ping().into();
                // The ping lists the attempts that are left, so the frames that ended the others go out before it.
                goodbye = link.take(&mut frames);
                if goodbye.is_none() {
                    frames.push(ping);
                }
            }
            if frames.is_empty() && goodbye.is_none() {
                continue;
            }
        }
        let last = goodbye.is_some();
        let send = async {
            for frame in frames.drain(..) {
                sink.feed(Message::Text(frame)).await?;
            }
            if let Some((code, reason)) = goodbye {
                sink.feed(Message::Close(Some(close_frame(code, &reason)))).await?;
            }
            sink.flush().await
        };
        match tokio::time::timeout(timing.dead, send).await {
            Err(_) => return End::Silent,
            Ok(Err(_)) => return End::Broken,
            Ok(Ok(())) if last => return End::Told,
            Ok(Ok(())) => ping_at = Instant::now() + timing.ping,
        }
    }
}

fn close_frame(code: u16, reason: &str) -> CloseFrame {
    let mut end = reason.len().min(120);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    CloseFrame { code: CloseCode::from(code), reason: reason[..end].to_owned().into() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;

    /// A user of a connection that closes it while it makes a ping.
    struct Leaving(Arc<Link>);

    impl Peer for Leaving {
        fn frame(&self, _: &str) {}

        fn poll(&self, _: Instant) -> Option<Instant> {
            None
        }

        fn ping(&self) -> String {
            self.0.close_with("bye", 1001, "it leaves");
            "ping".to_owned()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_follows_the_last_frame() {
        let (here, there) = tokio::io::duplex(1 << 10);
        let link = Arc::new(Link::new(1 << 10));
        let peer = Leaving(link.clone());
        let timing = Timing { ping: Duration::from_secs(1), dead: Duration::from_secs(3) };
        let socket = WebSocketStream::from_raw_socket(here, Role::Server, None).await;
        let running = tokio::spawn(async move { run(socket, &link, &peer, timing).await });
        let mut other = WebSocketStream::from_raw_socket(there, Role::Client, None).await;
        let mut frames = Vec::new();
        while let Some(Ok(frame)) = other.next().await {
            frames.push(frame);
        }
        assert_eq!(frames, [Message::text("bye"), Message::Close(Some(close_frame(1001, "it leaves")))]);
        assert_eq!(running.await.unwrap(), End::Told);
    }
}
