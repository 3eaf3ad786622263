//! Writes a task's tokens as server-sent events.
//!
//! All events that are ready go out in one frame, and none is held back. Dropping the body drops the stream and the
//! caller's attachment to the task, which cancels the task unless it is detached.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use http_body::Frame;

use super::alarm::Alarm;
use super::body::within;
use super::intake::is_own;
use crate::Result;
use crate::config::ListenConfig;
use crate::miner::Turn;
use crate::router::{StreamEvent, Submission, TokenStream};

/// Writes events in one family's layout.
pub(in crate::listener) trait Layout: Send + Unpin + 'static {
    /// Appends events to `out`, including the end and its `[DONE]`.
    fn write(&mut self, events: Vec<StreamEvent>, out: &mut Vec<u8>);

    /// Called before events are written. `seq` is the number of the last piece or mark among the events, or before the
    /// events if they contain neither.
    fn stands_at(&mut self, seq: u64) {
        let _ = seq;
    }

    /// Appends a sign of life for a client that has waited for a while.
    fn alive(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b": ping\n\n");
    }

    /// Whether no more events follow although the task may go on. The body ends then.
    fn ended(&self) -> bool {
        false
    }
}

/// The events of a task on their way to a client.
pub(in crate::listener) struct Events<L: ?Sized> {
    tokens: TokenStream,
    /// Events that were taken from the stream already.
    ready: Option<Vec<StreamEvent>>,
    /// Goes off when the client has heard nothing for too long.
    idle: Alarm,
    every: Duration,
    turn: Turn,
    /// Whether the stream's turn is over and the next poll gives way to others.
    yields: bool,
    _submission: Submission,
    layout: L,
}

impl<L: Layout> Events<L> {
    /// The events of `tokens`; `ready` are those that were taken from it already.
    pub(in crate::listener) fn new(
        submission: Submission,
        tokens: TokenStream,
        ready: Option<Vec<StreamEvent>>,
        layout: L,
        keepalive: Duration,
    ) -> Self {
        let idle = Alarm::after(keepalive);
        let turn = Turn::default();
        Self { tokens, ready, idle, every: keepalive, turn, yields: false, _submission: submission, layout }
    }
}

impl<L: Layout + ?Sized> Events<L> {
    /// Whether the first piece is that of a server that speaks the caller's API, if that piece is there.
    pub(in crate::listener) fn is_own(&self) -> Option<bool> {
        self.ready.iter().flatten().find_map(|event| match event {
            StreamEvent::Token { raw, .. } => Some(is_own(raw.as_deref())),
            StreamEvent::Restart { .. } | StreamEvent::End(_) => None,
        })
    }

    /// Appends the events that are ready to `out`, or a comment if the client has heard nothing for too long. `false`:
    /// the stream is over, and nothing was appended.
    pub(in crate::listener) fn poll_into(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<bool> {
        if std::mem::take(&mut self.yields) {
            // The connection writes out its buffer and polls again after other connections.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = out.len();
        // Events that show nothing to the client make no frame.
        while out.len() == before {
            if self.layout.ended() {
                return Poll::Ready(false);
            }
            let batch = match self.ready.take() {
                Some(events) => Poll::Ready(Some(events)),
                None => self.tokens.poll_batch(cx),
            };
            match batch {
                Poll::Ready(Some(events)) => {
                    out.reserve(256 * events.len());
                    self.layout.stands_at(self.tokens.last_seq());
                    self.layout.write(events, out);
                }
                Poll::Ready(None) => return Poll::Ready(false),
                Poll::Pending => {
                    ready!(self.idle.poll(cx));
                    self.layout.alive(out);
                }
            }
        }
        self.idle.set(self.every);
        self.yields = self.turn.is_over(out.len() - before);
        Poll::Ready(true)
    }
}

impl<L: Layout + ?Sized> http_body::Body for Events<L> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut out = Vec::new();
        let is_more = ready!(self.poll_into(cx, &mut out));
        Poll::Ready(is_more.then(|| Ok(Frame::data(Bytes::from(out)))))
    }
}

/// Begins the stream of a submission in the layout that `layout` makes once the first events are there or the client has
/// waited for a while.
///
/// # Errors
/// The store's error if the task could not be written; the task's error if it failed before its first event.
pub(in crate::listener) async fn begin<L: Layout>(
    submission: Submission,
    config: &ListenConfig,
    layout: impl FnOnce(&Submission) -> L,
) -> Result<Events<L>> {
    submission.accepted().await?;
    let keepalive = Duration::from_millis(config.keepalive_ms);
    let mut tokens = submission.stream();
    let first = first(&mut tokens, keepalive).await?;
    let layout = layout(&submission);
    Ok(Events::new(submission, tokens, first, layout, keepalive))
}

/// Waits for the first events, so that a task that fails before them is answered with a status of its own. It waits no
/// longer than a client waits for a sign of life.
///
/// # Errors
/// The task's error, if it failed before its first event.
pub(in crate::listener) async fn first(
    tokens: &mut TokenStream,
    patience: Duration,
) -> Result<Option<Vec<StreamEvent>>> {
    let first = within(patience, tokens.next_batch()).await.ok().flatten();
    match first.as_deref() {
        Some([StreamEvent::End(Err(error))]) => Err(error.clone()),
        _ => Ok(first),
    }
}

/// The headers of an answer that is a stream of events.
pub(in crate::listener) const HEADERS: [(HeaderName, &str); 3] = [
    (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
    (header::CACHE_CONTROL, "no-cache"),
    (HeaderName::from_static("x-accel-buffering"), "no"),
];

/// Makes a response of events.
pub(in crate::listener) fn respond(
    events: impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
) -> Response {
    let mut response = Response::new(Body::new(events));
    let headers = HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value)));
    response.headers_mut().extend(headers);
    response
}
