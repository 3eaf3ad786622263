//! Reading records out of JSON, with errors that name the field.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// The record in `text`; `what` names the text where no field of it is at fault.
///
/// # Errors
/// `InvalidArgument`, with the code `invalid_json` where the text is no JSON at all; else the error's `param` is the
/// path of the field (`messages[0].role`).
pub(crate) fn from_json<T: DeserializeOwned>(what: &str, text: &[u8]) -> crate::Result<T> {
    from_bytes(text).map_err(|first| explain::<T>(what, text, &first))
}

/// As [`serde_json::from_slice`], but looks whether the text is UTF-8 once and not string by string, which is much faster.
pub(crate) fn from_bytes<'a, T: Deserialize<'a>>(text: &'a [u8]) -> serde_json::Result<T> {
    match std::str::from_utf8(text) {
        Ok(text) => serde_json::from_str(text),
        // It fails too, and says where.
        Err(_) => serde_json::from_slice(text),
    }
}

/// Parses once more, slowly, to find out where the fault lies.
fn explain<T: DeserializeOwned>(what: &str, text: &[u8], first: &serde_json::Error) -> Error {
    if std::str::from_utf8(text).is_err() {
        return Error::invalid(what, format!("the {what} is not UTF-8")).with_code("invalid_json");
    }
    if !first.is_data() {
        return Error::invalid(what, format!("the {what} is not JSON: {first}")).with_code("invalid_json");
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Err(error) if error.path().iter().next().is_some() => {
            let path = error.path().to_string();
            let text = error.into_inner().to_string();
            Error::invalid(path.clone(), format!("{path}: {text}"))
        }
        _ => Error::invalid(what, first.to_string()),
    }
}
