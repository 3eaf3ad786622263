//! The errors for members of a body that no chat can stand for.

use crate::Error;

/// The error for a member that must be there.
pub fn missing(param: &str) -> Error {
    Error::invalid(param, format!("{param} is missing"))
}

/// The error for a word in whose place only others are understood.
pub fn unsupported(param: &str, found: &str, wanted: &str) -> Error {
    Error::invalid(param, format!("{param} {found:?} is not supported: use {wanted}"))
}
