//! Status codes. Made from the table of kinds by `cargo xtask gen`; do not edit.

use std::ffi::{CStr, c_char};

use cortensor_router::embed::ErrorKind;

/// The result of a call. The numbers never change.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The call succeeded.
    Ok = 0,
    /// A field or an argument is missing, of the wrong type or out of its range: correct the one that is named.
    InvalidArgument = 1,
    /// There is no token, or one that is not known: send a valid one.
    Unauthenticated = 2,
    /// The token is valid but does not carry the scope: use one that does.
    PermissionDenied = 3,
    /// There is no such session, task, miner, model or key that this caller may see: check the id.
    NotFound = 4,
    /// The thing is not in a state that allows this: look at its present state first.
    Conflict = 5,
    /// The idempotency key was used before with another request: use a new one.
    IdempotencyMismatch = 6,
    /// The request, or what it asks for, is over a limit: send less.
    TooLarge = 7,
    /// The router is at one of its bounds: retry after the time given.
    Overloaded = 8,
    /// Nothing is there to do the work at present: retry after the time given.
    Unavailable = 9,
    /// The deadline passed: a task that goes on can be polled by its ids.
    Timeout = 10,
    /// Somebody cancelled the task: nothing is to be done.
    Cancelled = 11,
    /// Every miner that was tried failed: read the message, which is the last one's.
    MinerFailed = 12,
    /// The router is shut down or draining, the job was answered, or the stream is over: begin a new one.
    Closed = 13,
    /// A defect of the router itself: report it with its message.
    Internal = 14,
    /// The call waits for something that this very thread has to do first: make it from outside of a callback.
    WouldDeadlock = 15,
    /// Code of the router, or of a miner in Rust, panicked: report it; the handle may be unusable.
    Panic = 16,
}

impl Status {
    /// The status of an error.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidArgument => Self::InvalidArgument,
            ErrorKind::Unauthenticated => Self::Unauthenticated,
            ErrorKind::PermissionDenied => Self::PermissionDenied,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::IdempotencyMismatch => Self::IdempotencyMismatch,
            ErrorKind::TooLarge => Self::TooLarge,
            ErrorKind::Overloaded => Self::Overloaded,
            ErrorKind::Unavailable => Self::Unavailable,
            ErrorKind::Timeout => Self::Timeout,
            ErrorKind::Cancelled => Self::Cancelled,
            ErrorKind::MinerFailed => Self::MinerFailed,
            ErrorKind::Closed => Self::Closed,
            ErrorKind::WouldDeadlock => Self::WouldDeadlock,
            ErrorKind::Panic => Self::Panic,
            // Internal, or a kind that is newer than this file; a test fails then.
            _ => Self::Internal,
        }
    }

    /// The name of the status with that number.
    pub(crate) fn name(number: i32) -> &'static CStr {
        match number {
            0 => c"ok",
            1 => c"invalid_argument",
            2 => c"unauthenticated",
            3 => c"permission_denied",
            4 => c"not_found",
            5 => c"conflict",
            6 => c"idempotency_mismatch",
            7 => c"too_large",
            8 => c"overloaded",
            9 => c"unavailable",
            10 => c"timeout",
            11 => c"cancelled",
            12 => c"miner_failed",
            13 => c"closed",
            14 => c"internal",
            15 => c"would_deadlock",
            16 => c"panic",
            _ => c"unknown",
        }
    }
}

/// The name of a status, for example `"not_found"`; `"unknown"` for another number. The text is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_status_name(status: i32) -> *const c_char {
    Status::name(status).as_ptr()
}
