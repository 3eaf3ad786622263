//! Ends the work of a revoked key: its calls are answered with 401, its streams end with that error.
//!
//! Tasks that were submitted to go on without a reader (`async`, `detach`) go on.

use std::future::Future;
use std::pin::Pin;

use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;

use super::cut::cut_short;
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
    let mut key = Box::pin(key.cancelled_owned());
    cut_short(response, family, revoked, move |cx| key.as_mut().poll(cx).is_ready())
}
