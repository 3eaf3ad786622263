//! A client's connection between the socket and hyper. It counts the bytes of heads, and detects whether a client that
//! sends no more has hung up ([`super::presence`]).

use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU32};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Version;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::heads::{Head, TooMuch};
use super::presence::Presence;
use super::stall::StallGuard;

/// A stream that knows whether its other end has gone.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Whether the socket below all layers has failed although no read or write has shown it yet.
    fn has_failed(&self) -> bool;
}

impl Socket for TcpStream {
    fn has_failed(&self) -> bool {
        !matches!(self.take_error(), Ok(None))
    }
}

impl<S: Socket> Socket for tokio_rustls::server::TlsStream<S> {
    fn has_failed(&self) -> bool {
        self.get_ref().0.has_failed()
    }
}

/// The phases of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The connection reads its first head; no request was passed on.
    Fresh,
    /// A request is being read and answered; nothing of the answer is written yet.
    Asked,
    /// As `Asked`, and the request is complete, and its client skips interim responses.
    Waiting,
    /// An answer is being written, or the next head is being read.
    Between,
    /// The connection was upgraded and does not speak HTTP any more.
    Upgraded,
}

impl Phase {
    const ALL: [Self; 5] = [Self::Fresh, Self::Asked, Self::Waiting, Self::Between, Self::Upgraded];

    fn reads_head(self) -> bool {
        matches!(self, Self::Fresh | Self::Between)
    }
}

/// The state that a connection shares with its requests. Only one task at a time uses it.
#[derive(Debug, Default)]
struct Shared {
    phase: AtomicU8,
    /// The number of requests so far.
    requests: AtomicU32,
    /// The reason why the connection's heads are read no further.
    refused: OnceLock<TooMuch>,
    /// The status with which hyper itself refuses the first head; the router then writes the refusal in its own words.
    own_status: OnceLock<u16>,
}

/// A reference to the shared state.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(Arc<Shared>);

impl Meter {
    fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.0.phase.load(Relaxed))]
    }

    fn enter(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Relaxed);
    }

    /// Notes that a head is complete.
    pub(super) fn asked(&self, request: &http::Request<Incoming>) {
        let waits = request.version() == Version::HTTP_11 && request.body().is_end_stream();
        self.enter(if waits { Phase::Waiting } else { Phase::Asked });
        self.0.requests.fetch_add(1, Relaxed);
    }

    /// Notes that the answer is ready and hyper begins to write it.
    pub(super) fn answered(&self, upgraded: bool) {
        self.enter(if upgraded { Phase::Upgraded } else { Phase::Between });
    }

    /// Notes that requests of the connection were answered before hyper took over.
    pub(super) fn goes_on(&self) {
        self.enter(Phase::Between);
    }

    /// Whether no request was passed on yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.phase() == Phase::Fresh
    }

    /// The reason why the connection was ended, if its heads were the reason.
    pub(super) fn refused(&self) -> Option<TooMuch> {
        self.0.refused.get().copied()
    }

    /// The status by which hyper refused the first head.
    pub(super) fn own_status(&self) -> Option<u16> {
        self.0.own_status.get().copied()
    }
}

/// A request's body, which tells the connection when the body is complete.
pub(super) struct Watched {
    body: Incoming,
    /// The connection's meter; `None` once the body is complete, or if the connection need not know.
    meter: Option<Meter>,
}

impl Watched {
    pub(super) fn new(body: Incoming, version: Version, meter: &Meter) -> Self {
        let watch = version == Version::HTTP_11 && !body.is_end_stream();
        Self { body, meter: watch.then(|| meter.clone()) }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let ended = match &frame {
            None => true,
            Some(Ok(_)) => self.body.is_end_stream(),
            Some(Err(_)) => false,
        };
        if ended && let Some(meter) = self.meter.take() {
            // The phase is still `Asked` unless the answer began before the body was complete.
            if meter.phase() == Phase::Asked {
                meter.enter(Phase::Waiting);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The connection in the form that hyper uses.
pub(super) struct Wire<S> {
    inner: StallGuard<S>,
    meter: Meter,
    /// Bytes that were read before hyper took over.
    before: Bytes,
    head: Head,
    /// The number of requests whose heads are counted no more.
    requests: u32,
    /// Whether the client sends no more.
    ended: bool,
    presence: Presence,
}

impl<S: Socket> Wire<S> {
    /// `before` holds the bytes of the next head that were read already; `head` has counted them.
    pub(super) fn new(inner: StallGuard<S>, meter: Meter, head: Head, before: Bytes) -> Self {
        Self { inner, meter, before, head, requests: 0, ended: false, presence: Presence::default() }
    }

    pub(super) fn into_inner(self) -> StallGuard<S> {
        self.inner
    }

    /// Handles a read after the client's side has ended.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.meter.phase() {
            Phase::Waiting => self.presence.poll_gone(&mut self.inner, cx).map(Err),
            // hyper may have read the whole body although the request has not taken the last part of it.
            Phase::Asked => {
                ready!(self.presence.poll_first(cx));
                Poll::Ready(Ok(()))
            }
            Phase::Fresh | Phase::Between | Phase::Upgraded => Poll::Ready(Ok(())),
        }
    }

    fn refuse(&self, why: TooMuch) -> Poll<io::Result<()>> {
        let _ = self.meter.0.refused.set(why);
        Poll::Ready(Err(io::Error::other("the head of a request takes too much")))
    }
}

impl<S: Socket> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.before.is_empty() {
            let count = this.before.len().min(buf.remaining());
            buf.put_slice(&this.before.split_to(count));
            return Poll::Ready(Ok(()));
        }
        let requests = this.meter.0.requests.load(Relaxed);
        if requests != this.requests {
            this.requests = requests;
            this.presence.clear();
            this.head.clear();
        }
        if this.ended {
            return this.poll_ended(cx);
        }
        let reads_head = this.meter.phase().reads_head();
        if reads_head && let Err(why) = this.head.may_grow() {
            return this.refuse(why);
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        if read == 0 && buf.remaining() > 0 {
            this.ended = true;
            return this.poll_ended(cx);
        }
        if reads_head && let Err(why) = this.head.grow(read) {
            return this.refuse(why);
        }
        Poll::Ready(Ok(()))
    }
}

/// The status in the first line of an answer.
fn status_of(answer: &[u8]) -> Option<u16> {
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

impl<S: Socket> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // Before the first request hyper writes nothing but its own refusal, which has no body.
        if self.meter.phase() == Phase::Fresh {
            if let Some(status) = status_of(bytes) {
                let _ = self.meter.0.own_status.set(status);
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.meter.own_status().is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
