//! The one error of the crate: few kinds, each of which tells the caller what to do.

mod upstream;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::{SessionId, TaskId};

pub use upstream::UpstreamError;

/// One row of the table that maps a kind to every edge of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KindRow {
    /// The kind.
    pub kind: ErrorKind,
    /// The stable `snake_case` name: `kind` in every language, and `code` where an error has no finer one.
    pub code: &'static str,
    /// A sentence with the meaning of the kind, and with the caller's remedy.
    pub says: &'static str,
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
    ($($kind:ident $code:literal $http:literal $c:literal $python:literal $retryable:literal $openai:literal $anthropic:literal
        $says:literal;)*) => {
        /// The kind of an error. Each kind stands for one thing that the caller can do about it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $(#[doc = $says] $kind,)*
        }

        /// The table with one row for each kind, in the order of the C statuses. Its `code` is the kind's name in
        /// JSON, Python and JavaScript.
        ///
        /// | kind | meaning and remedy | HTTP | C status | Python | name |
        /// |---|---|---|---|---|---|
        $(#[doc = concat!("| [`", stringify!($kind), "`](ErrorKind::", stringify!($kind), ") | ", $says, " | ",
            stringify!($http), " | ", stringify!($c), " | `", $python, "` | `", $code, "` |")])*
        pub const KINDS: &[KindRow] = &[$(KindRow {
            kind: ErrorKind::$kind, code: $code, says: $says, http_status: $http, c_status: $c,
            python_base: $python, retryable: $retryable, openai_type: $openai, anthropic_type: $anthropic,
        }),*];
    };
}

kinds! {
    InvalidArgument "invalid_argument" 400 1 "ValueError" false "invalid_request_error" "invalid_request_error"
        "A field or an argument is missing, of the wrong type or out of its range: correct the one that is named.";
    Unauthenticated "unauthenticated" 401 2 "PermissionError" false "authentication_error" "authentication_error"
        "There is no token, or one that is not known: send a valid one.";
    PermissionDenied "permission_denied" 403 3 "PermissionError" false "permission_error" "permission_error"
        "The token is valid but does not carry the scope: use one that does.";
    NotFound "not_found" 404 4 "LookupError" false "not_found_error" "not_found_error"
        "There is no such session, task, miner, model or key that this caller may see: check the id.";
    Conflict "conflict" 409 5 "RuntimeError" false "invalid_request_error" "invalid_request_error"
        "The thing is not in a state that allows this: look at its present state first.";
    IdempotencyMismatch "idempotency_mismatch" 422 6 "ValueError" false "invalid_request_error" "invalid_request_error"
        "The idempotency key was used before with another request: use a new one.";
    TooLarge "too_large" 413 7 "ValueError" false "invalid_request_error" "request_too_large"
        "The request, or what it asks for, is over a limit: send less.";
    Overloaded "overloaded" 429 8 "RuntimeError" true "rate_limit_error" "rate_limit_error"
        "The router is at one of its bounds: retry after the time given.";
    Unavailable "unavailable" 503 9 "ConnectionError" true "service_unavailable_error" "overloaded_error"
        "Nothing is there to do the work at present: retry after the time given.";
    Timeout "timeout" 504 10 "TimeoutError" true "timeout_error" "timeout_error"
        "The deadline passed: a task that goes on can be polled by its ids.";
    Cancelled "cancelled" 499 11 "RuntimeError" false "cancelled_error" "invalid_request_error"
        "Somebody cancelled the task: nothing is to be done.";
    MinerFailed "miner_failed" 502 12 "RuntimeError" true "upstream_error" "api_error"
        "Every miner that was tried failed: read the message, which is the last one's.";
    Closed "closed" 503 13 "RuntimeError" false "service_unavailable_error" "overloaded_error"
        "The router is shut down or draining, the job was answered, or the stream is over: begin a new one.";
    Internal "internal" 500 14 "RuntimeError" false "server_error" "api_error"
        "A defect of the router itself: report it with its message.";
    WouldDeadlock "would_deadlock" 500 15 "RuntimeError" false "server_error" "api_error"
        "The call waits for something that this very thread has to do first: make it from outside of a callback.";
    Panic "panic" 500 16 "RuntimeError" false "server_error" "api_error"
        "Code of the router, or of a miner in Rust, panicked: report it; the handle may be unusable.";
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

    /// The stable name: the `kind` of an error in every language.
    pub fn code(self) -> &'static str {
        self.row().code
    }
}

impl fmt::Display for ErrorKind {
    /// Writes the stable name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl FromStr for ErrorKind {
    type Err = Error;

    /// Reads the stable name.
    ///
    /// ```
    /// # mod cortensor_router { pub use cortensor_router_model::*; }
    /// use cortensor_router::ErrorKind;
    /// assert_eq!("not_found".parse(), Ok(ErrorKind::NotFound));
    /// assert!("missing".parse::<ErrorKind>().unwrap_err().message().contains("not_found"));
    /// ```
    fn from_str(code: &str) -> Result<Self> {
        KINDS.iter().find(|row| row.code == code).map(|row| row.kind).ok_or_else(|| {
            let codes: Vec<_> = KINDS.iter().map(|row| row.code).collect();
            Error::invalid("kind", format!("{code:?} is no kind of error: use one of {}", codes.join(", ")))
        })
    }
}

/// The details of an error that a caller needs to act on it, other than its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorDetails {
    /// The field or argument at fault, as the caller wrote it (`max_tokens`).
    pub param: Option<String>,
    /// A finer code than the kind's, for example `no_miner` or `session_closed`.
    pub code: Option<Cow<'static, str>>,
    /// Milliseconds after which a retry may succeed.
    pub retry_after_ms: Option<u64>,
    /// The session that the error is about.
    pub session_id: Option<SessionId>,
    /// The task that the error is about; it can be polled.
    pub task_id: Option<TaskId>,
    /// The error in the words of the model's server; `None`: no server refused the request. The OpenAI routes show it.
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

    /// The error for a wrong field. `param` names the field, and the message says what its value should be.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, message).with_param(param)
    }

    /// The error for a thing that does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// The error for a defect of the router itself.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Internal, message.to_string())
    }

    /// The error for a write or a read that the store could not do.
    pub fn store(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Unavailable, format!("the store does not answer: {message}"))
            .with_code("store_unavailable")
            .with_retry_after_ms(1_000)
    }

    /// The error for a damaged row of the store, which differs from the row that was written.
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
        // The number may come from a miner, and clients must be able to read it as JSON.
        self.details.retry_after_ms = Some(millis.min(crate::MAX_JSON_INTEGER));
        self
    }

    /// Names the session, and the task where there is one.
    #[must_use]
    pub fn with_ids(mut self, session_id: SessionId, task_id: Option<TaskId>) -> Self {
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

    /// The details that a caller needs to act on the error.
    pub fn details(&self) -> &ErrorDetails {
        &self.details
    }

    /// The code of the details if there is one, else the code of the kind.
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
            assert_eq!(row.code.parse(), Ok(row.kind));
            assert_eq!(row.kind.to_string(), row.code);
        }
    }
}
