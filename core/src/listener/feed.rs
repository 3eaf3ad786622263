//! Streams of events that are about no task: they end with their reader, the listener or the router.

use std::convert::Infallible;

use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body::Frame;
use http_body_util::StreamBody;

use super::auth::Caller;
use super::sse;
use super::state::AppState;
use crate::Result;
use crate::router::Meter;

/// The answer of these events.
///
/// # Errors
/// `QuotaExceeded` if the caller's key has as many streams as it may.
pub(in crate::listener) fn respond(
    state: &AppState,
    caller: &Caller,
    events: impl Stream<Item = Bytes> + Send + 'static,
) -> Result<Response> {
    let permit = caller.meter().map(Meter::stream).transpose()?;
    let (listener, router) = (state.stop.graceful.clone(), state.router.closing());
    let events = events.take_until(listener.cancelled_owned()).take_until(router.cancelled_owned());
    let frames = events.map(move |event| {
        // The permit lives as long as the stream.
        let _ = &permit;
        Ok::<_, Infallible>(Frame::data(event))
    });
    Ok(sse::respond(StreamBody::new(Box::pin(frames))))
}
