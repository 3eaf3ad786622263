//! A stream of events that ends with an error before its time.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header;
use http_body::Frame;

use super::reply::Family;
use crate::Error;

/// Lets a stream of events end with that error as soon as `is_over` says so; other answers stay as they are.
/// `is_over` is asked whenever the stream is polled, and sees to it that it is polled then.
pub(in crate::listener) fn cut_short(
    response: Response,
    family: Family,
    error: fn() -> Error,
    is_over: impl FnMut(&mut Context<'_>) -> bool + Send + Unpin + 'static,
) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    if !kind.starts_with(b"text/event-stream") {
        return response;
    }
    response.map(|stream| Body::new(CutShort { stream: Some(stream), family, error, is_over }))
}

struct CutShort<F> {
    /// The stream; `None` after the end.
    stream: Option<Body>,
    family: Family,
    error: fn() -> Error,
    is_over: F,
}

impl<F: FnMut(&mut Context<'_>) -> bool + Unpin> http_body::Body for CutShort<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        if (this.is_over)(cx) {
            // The caller's hold on its task is dropped with the stream.
            this.stream = None;
            let mut event = b"data: ".to_vec();
            event.extend_from_slice(&this.family.error(&(this.error)()));
            event.extend_from_slice(b"\n\ndata: [DONE]\n\n");
            return Poll::Ready(Some(Ok(Frame::data(event.into()))));
        }
        // A stream of events does not break: its failures are events.
        Pin::new(stream).poll_frame(cx).map(|frame| frame.and_then(Result::ok).map(Ok))
    }
}
