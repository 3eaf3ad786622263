//! The sender of an order, as its tasks need to know it.

use std::sync::Arc;

use crate::listener::auth::Caller;
use crate::listener::intake;
use crate::listener::marks::Marked;
use crate::router::{Fingerprint, Intake, RepeatKey, Wish};
use crate::task::TraceContext;
use crate::{Result, model::TaskRequest};

/// The sender of an order.
pub(in crate::listener) struct Asker<'a> {
    caller: &'a Caller,
    key: Option<RepeatKey>,
    /// The fingerprint of the order's body, if the order is repeatable.
    said: Option<Fingerprint>,
    trace: Option<Arc<TraceContext>>,
    route: &'static str,
}

impl<'a> Asker<'a> {
    /// The sender of a request with that body to that route.
    ///
    /// # Errors
    /// `InvalidArgument` when a header is not text.
    pub(in crate::listener) fn of(
        caller: &'a Caller,
        head: Marked<'_>,
        route: &'static str,
        body: &[u8],
    ) -> Result<Self> {
        let key = intake::repeat_key(head.headers, caller, route)?;
        Ok(Self { caller, key, said: intake::fingerprint(head, body), trace: intake::trace(head), route })
    }

    /// The caller.
    pub(super) fn caller(&self) -> &'a Caller {
        self.caller
    }

    /// The intake of one task of the order. `replica` tells the tasks of one idempotency key apart.
    pub(super) fn intake<'b>(&'b self, session: Wish<'b>, request: TaskRequest, replica: usize) -> Intake<'b> {
        let idempotency = self.key.clone().map(|mut key| {
            key.scope = format!("{} {replica}", key.scope);
            key
        });
        let (said, trace) = (self.said, self.trace.clone());
        let intake = intake::of(self.caller, session, request, self.route);
        Intake { idempotency, said, waits: true, any_model: true, trace, ..intake }
    }
}
