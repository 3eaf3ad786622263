//! Writes a task's tokens as server-sent events.
//!
//! All events that are ready go out in one frame, and none is held back. Dropping the body drops the stream and the
//! caller's attachment to the task, which cancels the task unless it is detached.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, header};
use http_body::Frame;
use tokio::time::{Instant, Sleep};

use super::body::within;
use crate::Result;
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

    /// Whether no more events follow although the task may go on. The body ends then.
    fn ended(&self) -> bool {
        false
    }
}

struct SseBody<L> {
    tokens: TokenStream,
    layout: L,
    ready: Option<Vec<StreamEvent>>,
    idle: Pin<Box<Sleep>>,
    every: Duration,
    turn: Turn,
    /// Whether the stream's turn is over and the next poll gives way to others.
    yields: bool,
    _submission: Submission,
}

impl<L: Layout> http_body::Body for SseBody<L> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        if std::mem::take(&mut this.yields) {
            // The connection writes out its buffer and polls again after other connections.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut out = Vec::new();
        // Events that show nothing to the client make no frame.
        while out.is_empty() {
            if this.layout.ended() {
                return Poll::Ready(None);
            }
            let batch = match this.ready.take() {
                Some(events) => Poll::Ready(Some(events)),
                None => this.tokens.poll_batch(cx),
            };
            match batch {
                Poll::Ready(Some(events)) => {
                    out.reserve(256 * events.len());
                    this.layout.stands_at(this.tokens.last_seq());
                    this.layout.write(events, &mut out);
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    ready!(this.idle.as_mut().poll(cx));
                    out.extend_from_slice(b": ping\n\n");
                }
            }
        }
        let next = Instant::now() + this.every;
        this.idle.as_mut().reset(next);
        this.yields = this.turn.is_over(out.len());
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(out)))))
    }
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

/// Makes a response that streams the task's tokens; `ready` are events that were taken from the stream already.
pub(in crate::listener) fn respond<L: Layout>(
    submission: Submission,
    tokens: TokenStream,
    ready: Option<Vec<StreamEvent>>,
    layout: L,
    keepalive: Duration,
) -> Response {
    let idle = Box::pin(tokio::time::sleep(keepalive));
    let turn = Turn::default();
    let body = SseBody { tokens, layout, ready, idle, every: keepalive, turn, yields: false, _submission: submission };
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
