//! Errors as JavaScript gets them: the message is the JSON of the error's details, of which `lib/error.cjs` makes a `RouterError`.

use cortensor_router::embed::{self, error_json};

/// What a function that JavaScript calls gives.
pub(crate) type Result<T> = napi::Result<T>;

pub(crate) fn thrown(error: &embed::Error) -> napi::Error {
    napi::Error::from_reason(error_json(error))
}

/// The same as a function for `map_err`.
pub(crate) fn throw(error: embed::Error) -> napi::Error {
    thrown(&error)
}

/// What is asked of a handle that was let go.
pub(crate) fn released(what: &str) -> napi::Error {
    thrown(&embed::Error::new(embed::ErrorKind::Closed, format!("the {what} was released before")))
}
