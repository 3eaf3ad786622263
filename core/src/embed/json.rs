//! Records as JSON text, in and out.

use serde::Serialize;

use crate::model::from_json;
use crate::{Error, Result};

/// Any record as compact JSON.
pub(super) fn text<T: Serialize + ?Sized>(record: &T) -> Result<String> {
    serde_json::to_string(record).map_err(Error::internal)
}

/// A record out of JSON text; empty text stands for `{}`.
pub(super) fn parse<T: serde::de::DeserializeOwned>(what: &str, text: &str) -> Result<T> {
    from_json(what, if text.trim().is_empty() { b"{}" } else { text.as_bytes() })
}
