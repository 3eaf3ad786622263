//! Errors of calls.

use std::ffi::{CString, c_char};
use std::ptr;

use cortensor_router::embed;

use crate::Status;
use crate::unwind::{look, quietly};

/// The error of a call: its status, its code, and how to mend it.
#[derive(Debug, Clone)]
pub struct Error {
    status: Status,
    code: CString,
    message: CString,
    details: CString,
}

/// Converts a text for C, where it ends at the first NUL. A NUL inside the text is replaced by U+FFFD.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

impl From<embed::Error> for Error {
    fn from(error: embed::Error) -> Self {
        Self {
            status: Status::of(error.kind()),
            code: c_text(error.code()),
            message: c_text(error.message()),
            details: c_text(&embed::error_json(&error)),
        }
    }
}

/// The status of the error; `CORTENSOR_STATUS_OK` for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_error_status(error: Option<&Error>) -> Status {
    error.map_or(Status::Ok, |error| error.status)
}

/// The code of the error, which is finer than the status, for example `"session_not_found"`. The text is valid as long
/// as the error; NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_error_code(error: Option<&Error>) -> *const c_char {
    error.map_or(ptr::null(), |error| error.code.as_ptr())
}

/// The problem and how to mend it, as one English sentence. The text is valid as long as the error; NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_error_message(error: Option<&Error>) -> *const c_char {
    error.map_or(ptr::null(), |error| error.message.as_ptr())
}

/// The whole error as JSON: `{"kind","code","message","retryable","param","retry_after_ms","session_id","task_id"}`.
/// The text is valid as long as the error; NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_error_details(error: Option<&Error>) -> *const c_char {
    error.map_or(ptr::null(), |error| error.details.as_ptr())
}

/// Makes a copy of an error, for example of one that belongs to an event. The caller must free the copy; NULL for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_error_clone(error: Option<&Error>) -> *mut Error {
    look(error, ptr::null_mut(), |error| Box::into_raw(Box::new(error.clone())))
}

/// Frees an error.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_error_free(error: Option<Box<Error>>) {
    quietly(|| drop(error));
}

#[cfg(test)]
mod tests {
    use cortensor_router::embed::KINDS;

    use crate::Status;

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
