//! Ends an answer early: a call is answered with an error, and a stream ends with that error.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header;
use http_body::Frame;

use super::closing::Closing;
use super::reply::Family;
use crate::router::key_end::{KeyEnd, KeyLife};
use crate::{Error, ErrorKind};

/// The two causes that end an answer early: its connection must end, or its key ends. Tasks that do not need a reader
/// (`async`, `detach`) go on.
pub(in crate::listener) struct Ends {
    pub(in crate::listener) closing: Closing,
    /// The life of the caller's key; `None` if the caller has no key that can end.
    pub(in crate::listener) key_life: Option<KeyLife>,
}

impl Ends {
    /// The error to end with, if a cause is due. The end of the key wakes the task.
    pub(in crate::listener) fn due(&mut self, cx: &mut Context<'_>) -> Option<Error> {
        match self.key_life.as_mut().map(|life| Pin::new(life).poll(cx)) {
            Some(Poll::Ready(end)) => Some(ended(end)),
            _ => self.closing.due(),
        }
    }

    fn can_come(&self) -> bool {
        self.key_life.is_some() || self.closing.can_come()
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// The error that was due before the answer was there.
    pub(in crate::listener) async fn hold<T>(
        &mut self,
        mut answer: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, Error> {
        poll_fn(|cx| match answer.as_mut().poll(cx) {
            // The answer is polled first, so that a caller that revokes its own key is told that it did.
            Poll::Pending => self.due(cx).map_or(Poll::Pending, |error| Poll::Ready(Err(error))),
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
        })
        .await
    }

    /// Waits for the answer of the routes. A stream of events ends when an error is due.
    ///
    /// # Errors
    /// The error that was due before the answer was there.
    pub(in crate::listener) async fn bound(
        mut self,
        answer: Pin<&mut impl Future<Output = Response>>,
        family: Family,
    ) -> Result<Response, Error> {
        let mut response = self.hold(answer).await?;
        if !self.can_come() {
            return Ok(response);
        }
        if !is_stream(&response) {
            return Ok(response);
        }
        let last = response.extensions_mut().remove::<LastEvent>();
        Ok(response.map(|stream| Body::new(Cut { stream: Some(stream), family, last, ends: self })))
    }
}

/// Whether an answer is a stream of events.
pub(in crate::listener) fn is_stream(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    kind.starts_with(b"text/event-stream")
}

/// The error for work under a key that has ended.
fn ended(end: KeyEnd) -> Error {
    let (message, code) = match end {
        KeyEnd::Revoked => ("the key was revoked: use another one", "key_revoked"),
        KeyEnd::Expired => ("the key has expired: use another one", "key_expired"),
    };
    Error::new(ErrorKind::Unauthenticated, message).with_code(code)
}

/// Writes the last event of a stream that ends with that error.
pub(in crate::listener) fn cut_off(family: Family, error: &Error, out: &mut Vec<u8>) {
    // Anthropic's clients go by the name of an event, and know no other end.
    let (begin, end) = match family {
        Family::Anthropic => (&b"event: error\ndata: "[..], &b"\n\n"[..]),
        _ => (&b"data: "[..], &b"\n\ndata: [DONE]\n\n"[..]),
    };
    out.extend_from_slice(begin);
    out.extend_from_slice(&family.error(error));
    out.extend_from_slice(end);
}

type WriteLast = dyn Fn(&Error, &mut Vec<u8>) + Send + Sync;

/// Writes the last event of a stream that ends with that error. A response has it as an extension where the event must
/// name the request.
#[derive(Clone)]
pub(in crate::listener) struct LastEvent(pub(in crate::listener) Arc<WriteLast>);

/// A stream of events that ends with an error when one is due.
struct Cut {
    /// The stream; `None` after the end.
    stream: Option<Body>,
    family: Family,
    last: Option<LastEvent>,
    ends: Ends,
}

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        if let Some(error) = this.ends.due(cx) {
            // Dropping the stream drops the caller's attachment to its task.
            this.stream = None;
            let mut event = Vec::new();
            match &this.last {
                Some(LastEvent(write)) => write(&error, &mut event),
                None => cut_off(this.family, &error, &mut event),
            }
            return Poll::Ready(Some(Ok(Frame::data(event.into()))));
        }
        // A stream of events never breaks off: its failures are events.
        Pin::new(stream).poll_frame(cx).map(|frame| frame.and_then(Result::ok).map(Ok))
    }
}
