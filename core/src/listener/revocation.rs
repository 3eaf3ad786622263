//! Ends the work of a revoked key: its calls are answered with 401, its streams end with that error.
//!
//! Tasks that were submitted to go on without a reader (`async`, `detach`) go on.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header;
use http_body::Frame;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::reply::{Failed, Family};
use crate::{Error, ErrorKind};

fn revoked() -> Error {
    Error::new(ErrorKind::Unauthenticated, "the key was revoked: use another one").with_code("key_revoked")
}

/// Answers those routes, unless the key is revoked before the answer is there; a stream ends when the key is revoked.
pub(in crate::listener) async fn bound(
    answer: Pin<&mut impl Future<Output = Response>>,
    family: Family,
    key: CancellationToken,
) -> Response {
    let response = tokio::select! {
        // The answer comes first: a caller that revokes its own key is told that it did.
        biased;
        response = answer => response,
        () = key.cancelled() => return Failed::new(family, revoked()).into_response(),
    };
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if !kind.starts_with(b"text/event-stream") {
        return response;
    }
    response.map(|stream| Body::new(Revocable { stream: Some(stream), family, key: Box::pin(key.cancelled_owned()) }))
}

/// A stream of events that ends with an error when the key is revoked.
struct Revocable {
    /// The stream; `None` after the end.
    stream: Option<Body>,
    family: Family,
    key: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl http_body::Body for Revocable {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        if this.key.as_mut().poll(cx).is_ready() {
            // The caller's hold on its task is dropped with the stream.
            this.stream = None;
            let mut event = b"data: ".to_vec();
            event.extend_from_slice(&this.family.error(&revoked()));
            event.extend_from_slice(b"\n\ndata: [DONE]\n\n");
            return Poll::Ready(Some(Ok(Frame::data(event.into()))));
        }
        // A stream of events does not break: its failures are events.
        Pin::new(stream).poll_frame(cx).map(|frame| frame.and_then(Result::ok).map(Ok))
    }
}
