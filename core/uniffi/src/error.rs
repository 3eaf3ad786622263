//! The router's error as UniFFI's languages get it.

use cortensor_router::embed::{Error, error_json};

/// The result of a function that a language calls.
pub(crate) type Result<T> = std::result::Result<T, NativeError>;

/// A refusal or a failure.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum NativeError {
    /// The router refused the call, or it failed.
    #[error("{says}")]
    Refused {
        /// The kind, one word of the table of errors.
        kind: String,
        /// The finest code: one below the kind, or the kind.
        code: String,
        /// The problem and how to mend it.
        says: String,
        /// Whether the same call may succeed later, unchanged.
        retryable: bool,
        /// All of this and the details, as JSON.
        details: String,
    },
}

impl From<Error> for NativeError {
    fn from(error: Error) -> Self {
        Self::Refused {
            kind: error.kind().code().to_owned(),
            code: error.code().to_owned(),
            says: error.message().to_owned(),
            retryable: error.kind().row().retryable,
            details: error_json(&error),
        }
    }
}
