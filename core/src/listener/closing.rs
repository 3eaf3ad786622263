//! Ends what still runs on a connection when the listener's time to drain is up: calls are answered with 503 `closed`,
//! streams end with that error.
//!
//! A request and its answer are polled by their connection's task. A flag is therefore enough: the task sets it and
//! polls them once more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, ErrorKind};

/// Whether a connection must end now; requests without a connection of the listener's own never must.
#[derive(Debug, Clone, Default)]
pub(in crate::listener) struct Closing(Option<Arc<AtomicBool>>);

impl Closing {
    /// The flag of one connection.
    pub(in crate::listener) fn of_connection() -> Self {
        Self(Some(Arc::default()))
    }

    /// Ends what runs on the connection when it is polled next.
    pub(in crate::listener) fn close(&self) {
        if let Some(flag) = &self.0 {
            flag.store(true, Ordering::Release);
        }
    }

    /// Whether it may ever be due.
    pub(in crate::listener) fn can_come(&self) -> bool {
        self.0.is_some()
    }

    /// The error for what runs on the connection, once it must end.
    pub(in crate::listener) fn due(&self) -> Option<Error> {
        let is_due = self.0.as_ref().is_some_and(|flag| flag.load(Ordering::Acquire));
        is_due.then(|| {
            Error::new(ErrorKind::Closed, "the listener stops, and its time to drain (listen.drain_timeout_ms) is up")
        })
    }
}
