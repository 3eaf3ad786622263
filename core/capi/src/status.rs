//! Status codes.

use std::ffi::{CStr, c_char};

use cortensor_router::embed::ErrorKind;

macro_rules! statuses {
    ($($status:ident $kind:pat => $name:literal;)*) => {
        impl Status {
            /// The status of an error.
            pub(crate) fn of(kind: ErrorKind) -> Self {
                match kind {
                    $($kind => Self::$status,)*
                    // An unknown kind. The test of the table fails if there is one.
                    _ => Self::Internal,
                }
            }

            fn name(number: i32) -> &'static CStr {
                match number {
                    0 => c"ok",
                    $(number if number == Self::$status as i32 => $name,)*
                    _ => c"unknown",
                }
            }
        }
    };
}

/// The result of a call. The numbers never change.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// The call succeeded.
    Ok = 0,
    /// An argument or a field is missing, has the wrong type or is out of range: correct the named one.
    InvalidArgument = 1,
    /// The token is missing or unknown: send a valid one.
    Unauthenticated = 2,
    /// The token does not have the scope.
    PermissionDenied = 3,
    /// There is no such session, task, miner or model: check the id.
    NotFound = 4,
    /// The state of the object does not allow this: read its present state first.
    Conflict = 5,
    /// The idempotency key was used before with another request: use a new key.
    IdempotencyMismatch = 6,
    /// A limit is exceeded: send less.
    TooLarge = 7,
    /// The router is at one of its bounds: retry after the time given.
    Overloaded = 8,
    /// No miner can do the work, or the store does not work: retry after the time given.
    Unavailable = 9,
    /// The time has passed. A task that continues can be found by its ids.
    Timeout = 10,
    /// The task or the job was cancelled.
    Cancelled = 11,
    /// Every miner that was tried failed. The message is that of the last one.
    MinerFailed = 12,
    /// The router is shut down or draining, the job was answered, or the stream is over.
    Closed = 13,
    /// The router has a defect: report it with its message.
    Internal = 14,
    /// The call would wait for work that only this thread can do: make it outside of a callback.
    WouldDeadlock = 15,
    /// The router panicked, and the library caught the panic: report it. The handle may be unusable.
    Panic = 16,
}

statuses! {
    InvalidArgument ErrorKind::InvalidArgument => c"invalid_argument";
    Unauthenticated ErrorKind::Unauthenticated => c"unauthenticated";
    PermissionDenied ErrorKind::PermissionDenied => c"permission_denied";
    NotFound ErrorKind::NotFound => c"not_found";
    Conflict ErrorKind::Conflict => c"conflict";
    IdempotencyMismatch ErrorKind::IdempotencyMismatch => c"idempotency_mismatch";
    TooLarge ErrorKind::TooLarge => c"too_large";
    Overloaded ErrorKind::Overloaded => c"overloaded";
    Unavailable ErrorKind::Unavailable => c"unavailable";
    Timeout ErrorKind::Timeout => c"timeout";
    Cancelled ErrorKind::Cancelled => c"cancelled";
    MinerFailed ErrorKind::MinerFailed => c"miner_failed";
    Closed ErrorKind::Closed => c"closed";
    Internal ErrorKind::Internal => c"internal";
    WouldDeadlock ErrorKind::WouldDeadlock => c"would_deadlock";
    Panic ErrorKind::Panic => c"panic";
}

/// The name of a status, for example `"not_found"`; `"unknown"` for another number. The text is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_status_name(status: i32) -> *const c_char {
    Status::name(status).as_ptr()
}

#[cfg(test)]
mod tests {
    use cortensor_router::embed::KINDS;

    use super::*;

    #[test]
    fn the_statuses_are_those_of_the_one_table() {
        for row in KINDS {
            let status = Status::of(row.kind);
            assert_eq!(status as i32, row.c_status, "{}", row.code);
            assert_eq!(Status::name(status as i32).to_str(), Ok(row.code));
        }
        assert_eq!(Status::name(KINDS.len() as i32 + 1), c"unknown", "a status without a kind");
    }
}
