//! Ends the requests of a connection when the listener's time to drain is up: calls are answered with 503 `closed`, and
//! streams end with that error.
//!
//! The task of a connection polls its requests and their answers. A flag is therefore enough: the task sets the flag
//! and polls them once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, ErrorKind};

/// Whether a connection must end now. Requests that did not come through a connection of the listener never must.
#[derive(Debug, Clone, Default)]
pub(in crate::listener) struct Closing(Option<Arc<AtomicBool>>);

impl Closing {
    /// The flag of one connection.
    pub(in crate::listener) fn of_connection() -> Self {
        Self(Some(Arc::default()))
    }

    /// Ends the requests of the connection at their next poll.
    pub(in crate::listener) fn close(&self) {
        if let Some(flag) = &self.0 {
            flag.store(true, Ordering::Release);
        }
    }

    /// Whether the connection may ever have to end before its answers are complete.
    pub(in crate::listener) fn can_come(&self) -> bool {
        self.0.is_some()
    }

    /// The error for the requests of the connection; `None` while the connection need not end.
    pub(in crate::listener) fn due(&self) -> Option<Error> {
        let is_due = self.0.as_ref().is_some_and(|flag| flag.load(Ordering::Acquire));
        is_due.then(|| {
            Error::new(ErrorKind::Closed, "the listener stops, and its time to drain (listen.drain_timeout_ms) is up")
        })
    }
}
