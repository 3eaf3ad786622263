//! Errors for JavaScript: the message is the JSON of the error's details, from which `lib/error.cjs` makes a
//! `RouterError`.

use cortensor_router::embed::{self, error_json};

/// The result of a function that JavaScript calls.
pub(crate) type Result<T> = napi::Result<T>;

pub(crate) fn thrown(error: &embed::Error) -> napi::Error {
    napi::Error::from_reason(error_json(error))
}

/// Makes a JavaScript error, for `map_err`.
pub(crate) fn throw(error: embed::Error) -> napi::Error {
    thrown(&error)
}

/// The error of a call on a handle that was released.
pub(crate) fn released(what: &str) -> napi::Error {
    thrown(&embed::Error::new(embed::ErrorKind::Closed, format!("the {what} was released before")))
}
