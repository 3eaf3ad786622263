//! Ends what still runs on a connection when the listener's time to drain is up: calls are answered with 503 `closed`,
//! streams end with that error.
//!
//! A request and its answer are polled by their connection's task. A flag is therefore enough: the task sets it and
//! polls them once more.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use axum::response::{IntoResponse, Response};

use super::cut::cut_short;
use super::reply::{Failed, Family};
use crate::{Error, ErrorKind};

/// Whether a connection must end now; requests without a connection of the listener's own never must.
#[derive(Debug, Clone, Default)]
pub(in crate::listener) struct Closing(Option<Arc<AtomicBool>>);

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the listener stops, and its time to drain (listen.drain_timeout_ms) is up")
}

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

    fn is_due(&self) -> bool {
        self.0.as_ref().is_some_and(|flag| flag.load(Ordering::Acquire))
    }

    /// Answers those routes, unless the connection must end before the answer is there; a stream ends then too.
    pub(in crate::listener) async fn bound(
        self,
        mut answer: Pin<&mut impl Future<Output = Response>>,
        family: Family,
    ) -> Response {
        let response = poll_fn(|cx| match answer.as_mut().poll(cx) {
            Poll::Pending if self.is_due() => Poll::Ready(Failed::new(family, closed()).into_response()),
            polled => polled,
        })
        .await;
        if self.0.is_none() {
            return response;
        }
        cut_short(response, family, closed, move |_| self.is_due())
    }
}
