//! The one error of the crate: few kinds, each of which tells the caller what to do.
//!
//! | kind | what the caller does | HTTP | C status | Python | JS code |
//! |---|---|---|---|---|---|
//! | [`InvalidArgument`](ErrorKind::InvalidArgument) | correct the named field | 400 | 1 | `ValueError` | `invalid_argument` |
//! | [`Unauthenticated`](ErrorKind::Unauthenticated) | send a valid token | 401 | 2 | `PermissionError` | `unauthenticated` |
//! | [`PermissionDenied`](ErrorKind::PermissionDenied) | use a token with that scope | 403 | 3 | `PermissionError` | `permission_denied` |
//! | [`NotFound`](ErrorKind::NotFound) | check the id | 404 | 4 | `LookupError` | `not_found` |
//! | [`Conflict`](ErrorKind::Conflict) | look at the present state first | 409 | 5 | `RouterError` | `conflict` |
//! | [`IdempotencyMismatch`](ErrorKind::IdempotencyMismatch) | use a new key for a new request | 422 | 6 | `ValueError` | `idempotency_mismatch` |
//! | [`TooLarge`](ErrorKind::TooLarge) | send less | 413 | 7 | `ValueError` | `too_large` |
//! | [`Overloaded`](ErrorKind::Overloaded) | retry after the time given | 429 | 8 | `RouterError` | `overloaded` |
//! | [`Unavailable`](ErrorKind::Unavailable) | retry after the time given | 503 | 9 | `ConnectionError` | `unavailable` |
//! | [`Timeout`](ErrorKind::Timeout) | poll the task by its ids | 504 | 10 | `TimeoutError` | `timeout` |
//! | [`Cancelled`](ErrorKind::Cancelled) | nothing: somebody asked for it | 499 | 11 | `RouterError` | `cancelled` |
//! | [`MinerFailed`](ErrorKind::MinerFailed) | read the miner's own words | 502 | 12 | `RouterError` | `miner_failed` |
//! | [`Closed`](ErrorKind::Closed) | open a new router | 503 | 13 | `RouterError` | `closed` |
//! | [`Internal`](ErrorKind::Internal) | report it with its message | 500 | 14 | `RouterError` | `internal` |
//! | [`WouldDeadlock`](ErrorKind::WouldDeadlock) | call it from outside of a callback | 500 | 15 | `RouterError` | `would_deadlock` |
//! | [`Panic`](ErrorKind::Panic) | report it; the handle may be unusable | 500 | 16 | `RouterError` | `panic` |

mod upstream;

use std::borrow::Cow;
use std::fmt;

pub use upstream::UpstreamError;

/// What went wrong, in the terms of what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A field or an argument is missing, of the wrong type or out of its range.
    InvalidArgument,
    /// No token, or one that is not known.
    Unauthenticated,
    /// The token is valid but does not carry the scope.
    PermissionDenied,
    /// No such session, task, miner, model or key that this caller may see.
    NotFound,
    /// The thing is not in a state that allows this, for example a closed session.
    Conflict,
    /// The idempotency key was used before with another request.
    IdempotencyMismatch,
    /// The request, or what it asks for, is over a limit.
    TooLarge,
    /// The router is at one of its bounds; `retry_after` says when to come back.
    Overloaded,
    /// Nothing is there to do the work at present: no miner, or the store does not answer.
    Unavailable,
    /// The deadline passed. The task can still be polled where it goes on.
    Timeout,
    /// The task was cancelled.
    Cancelled,
    /// Every miner that was tried failed; the message is the last one's.
    MinerFailed,
    /// The router is shut down or draining.
    Closed,
    /// A defect of the router itself.
    Internal,
    /// The call waits for something that this very thread has to do first: it was made from inside a callback.
    WouldDeadlock,
    /// Code of the router, or of a miner in Rust, panicked; the panic ended at the language boundary.
    Panic,
}

/// One row of the table that maps a kind to every edge of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindRow {
    /// The kind.
    pub kind: ErrorKind,
    /// The stable `snake_case` name: `code` in JSON, Python and JavaScript.
    pub code: &'static str,
    /// The HTTP status (RFC 9110; 499 is `nginx`'s "client closed request").
    pub http_status: u16,
    /// The C status, never renumbered.
    pub c_status: i32,
    /// The built-in Python exception that the error class also derives from.
    pub python_base: &'static str,
    /// Whether the same call may succeed later, unchanged.
    pub retryable: bool,
    /// The `type` of an error on the OpenAI routes.
    pub openai_type: &'static str,
    /// The `type` of an error to Anthropic's clients.
    pub anthropic_type: &'static str,
}

macro_rules! kinds {
    ($($kind:ident $code:literal $http:literal $c:literal $python:literal $retryable:literal $openai:literal $anthropic:literal;)*) => {
        /// The table: one row a kind, in the order of the C statuses.
        pub const KINDS: &[KindRow] = &[$(KindRow {
            kind: ErrorKind::$kind, code: $code, http_status: $http, c_status: $c,
            python_base: $python, retryable: $retryable, openai_type: $openai, anthropic_type: $anthropic,
        }),*];
    };
}

kinds! {
    InvalidArgument "invalid_argument" 400 1 "ValueError" false "invalid_request_error" "invalid_request_error";
    Unauthenticated "unauthenticated" 401 2 "PermissionError" false "authentication_error" "authentication_error";
    PermissionDenied "permission_denied" 403 3 "PermissionError" false "permission_error" "permission_error";
    NotFound "not_found" 404 4 "LookupError" false "not_found_error" "not_found_error";
    Conflict "conflict" 409 5 "RuntimeError" false "invalid_request_error" "invalid_request_error";
    IdempotencyMismatch "idempotency_mismatch" 422 6 "ValueError" false "invalid_request_error" "invalid_request_error";
    TooLarge "too_large" 413 7 "ValueError" false "invalid_request_error" "request_too_large";
    Overloaded "overloaded" 429 8 "RuntimeError" true "rate_limit_error" "rate_limit_error";
    Unavailable "unavailable" 503 9 "ConnectionError" true "service_unavailable_error" "overloaded_error";
    Timeout "timeout" 504 10 "TimeoutError" true "timeout_error" "timeout_error";
    Cancelled "cancelled" 499 11 "RuntimeError" false "cancelled_error" "invalid_request_error";
    MinerFailed "miner_failed" 502 12 "RuntimeError" true "upstream_error" "api_error";
    Closed "closed" 503 13 "RuntimeError" false "service_unavailable_error" "overloaded_error";
    Internal "internal" 500 14 "RuntimeError" false "server_error" "api_error";
    WouldDeadlock "would_deadlock" 500 15 "RuntimeError" false "server_error" "api_error";
    Panic "panic" 500 16 "RuntimeError" false "server_error" "api_error";
}

impl ErrorKind {
    /// This kind's row of the table.
    ///
    /// ```
    /// # mod cortensor_router { pub use cortensor_router_model::*; }
    /// use cortensor_router::ErrorKind;
    /// assert_eq!(ErrorKind::NotFound.row().http_status, 404);
    /// ```
    pub fn row(self) -> &'static KindRow {
        &KINDS[self as usize]
    }

    /// The stable name, as in JSON's `code`.
    pub fn code(self) -> &'static str {
        self.row().code
    }

    /// The kind of that name.
    pub fn from_code(code: &str) -> Option<Self> {
        KINDS.iter().find(|row| row.code == code).map(|row| row.kind)
    }
}

/// What the caller needs to act on an error beside its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorDetails {
    /// The field or argument at fault, as the caller wrote it (`max_tokens`).
    pub param: Option<String>,
    /// A finer code than the kind's, for example `no_miner` or `session_closed`.
    pub code: Option<Cow<'static, str>>,
    /// Milliseconds after which a retry may succeed.
    pub retry_after_ms: Option<u64>,
    /// The session that the error is about.
    pub session_id: Option<u64>,
    /// The task that the error is about; it can be polled.
    pub task_id: Option<u64>,
    /// The error in the words of the model's server, where one refused the request: the OpenAI routes show it.
    pub upstream: Option<UpstreamError>,
}

/// An error of the router.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    details: Box<ErrorDetails>,
}

/// `std::result::Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error {
    /// An error of that kind; the message says what is wrong and how to mend it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), details: Box::default() }
    }

    /// A field that is wrong: names the field, and the message says what it should be.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message).with_param(param)
    }

    /// Something that is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// A defect of the router itself.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Internal, message.to_string())
    }

    /// The store did not take or give what it was asked for.
    pub fn store(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Unavailable, format!("the store does not answer: {message}"))
            .with_code("store_unavailable")
            .with_retry_after_ms(1_000)
    }

    /// What the store holds of one task is damaged: its row is not what was written.
    pub fn store_corrupt(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Internal, message.to_string()).with_code("store_corrupt")
    }

    /// Names the field at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.details.param = Some(param.into());
        self
    }

    /// Adds a code finer than the kind's.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.details.code = Some(code.into());
        self
    }

    /// Adds what the model's server said itself.
    #[must_use]
    pub fn with_upstream(mut self, upstream: UpstreamError) -> Self {
        self.details.upstream = Some(upstream);
        self
    }

    /// Says when a retry may succeed, in milliseconds.
    #[must_use]
    pub fn with_retry_after_ms(mut self, millis: u64) -> Self {
        // Miners say this too, and clients read it as JSON.
        self.details.retry_after_ms = Some(millis.min(crate::MAX_JSON_INTEGER));
        self
    }

    /// Names the session, and the task where there is one.
    #[must_use]
    pub fn with_ids(mut self, session_id: u64, task_id: Option<u64>) -> Self {
        self.details.session_id = Some(session_id);
        self.details.task_id = task_id;
        self
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text: what is wrong and how to mend it.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What the caller needs to act on it.
    pub fn details(&self) -> &ErrorDetails {
        &self.details
    }

    /// The finest code there is: the details', else the kind's.
    pub fn code(&self) -> &str {
        self.details.code.as_deref().unwrap_or_else(|| self.kind.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_kinds_and_the_c_statuses() {
        for (index, row) in KINDS.iter().enumerate() {
            assert_eq!(row.kind as usize, index);
            assert_eq!(row.c_status, i32::try_from(index).unwrap() + 1);
            assert_eq!(row.kind.row(), row);
            assert_eq!(ErrorKind::from_code(row.code), Some(row.kind));
        }
    }
}
