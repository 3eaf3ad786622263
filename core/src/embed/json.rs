//! Writes and reads records as JSON text.

use serde::Serialize;

use crate::model::from_json;
use crate::{Error, Result};

/// Writes a record as compact JSON.
pub(super) fn text<T: Serialize + ?Sized>(record: &T) -> Result<String> {
    serde_json::to_string(record).map_err(Error::internal)
}

/// Reads a record from JSON text. A blank text means `{}`.
pub(super) fn parse<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    from_json(what, if text.trim().is_empty() { b"{}" } else { text.as_bytes() })
}
