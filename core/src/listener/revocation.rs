//! Ends the work of a revoked key: its calls are answered with 401, and its streams end with that error.
//!
//! Tasks that do not need a reader (`async`, `detach`) go on.

use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{Error, ErrorKind};

/// Waits for the revocation of one key.
pub(in crate::listener) struct Revocation(Pin<Box<WaitForCancellationFutureOwned>>);

impl Revocation {
    /// The revocation of the key to which that cancellation token belongs.
    pub(in crate::listener) fn of(key: CancellationToken) -> Self {
        Self(Box::pin(key.cancelled_owned()))
    }

    /// The error for work under the key, once the key is revoked. The revocation wakes the task.
    pub(in crate::listener) fn due(&mut self, cx: &mut Context<'_>) -> Option<Error> {
        let is_revoked = self.0.as_mut().poll(cx).is_ready();
        is_revoked.then(|| {
            Error::new(ErrorKind::Unauthenticated, "the key was revoked: use another one").with_code("key_revoked")
        })
    }
}
