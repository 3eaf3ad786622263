//! Reading records out of JSON, with errors that name the field.

use std::fmt;

use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Error;
use crate::told;

/// Reads the record in `text`. `what` names the whole text in an error for which no field is at fault.
///
/// # Errors
/// `InvalidArgument`. If the text is no JSON, its code is `invalid_json`; otherwise its `param` is the path of the
/// wrong field (`messages[0].role`).
pub fn from_json<T: DeserializeOwned>(what: &str, text: &[u8]) -> crate::Result<T> {
    // Some editors and shells put a byte order mark before what they send.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    from_bytes(text).map_err(|first| explain::<T>(what, text, &first))
}

/// Does the same as [`serde_json::from_slice`], but checks once that the whole text is UTF-8. That is much faster than
/// a check of each string.
fn from_bytes<'a, T: Deserialize<'a>>(text: &'a [u8]) -> serde_json::Result<T> {
    match std::str::from_utf8(text) {
        Ok(text) => serde_json::from_str(text),
        // It fails too, and says where.
        Err(_) => serde_json::from_slice(text),
    }
}

/// The JSON of an answer: the whole text, or the content of its first fenced block.
pub fn answered(text: &str) -> Option<serde_json::Value> {
    let text = text.trim();
    serde_json::from_str(text).ok().or_else(|| {
        let (_, rest) = text.split_once("```")?;
        let (_, block) = rest.split_once('\n')?;
        let (block, _) = block.split_once("```")?;
        serde_json::from_str(block.trim()).ok()
    })
}

/// Parses once more, slowly, to find out where the fault lies.
fn explain<T: DeserializeOwned>(what: &str, text: &[u8], first: &serde_json::Error) -> Error {
    if std::str::from_utf8(text).is_err() {
        return Error::invalid(what, format!("the {what} is not UTF-8")).with_code("invalid_json");
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    let found = serde_path_to_error::deserialize::<_, T>(&mut reader);
    if !first.is_data() {
        let place = found.as_ref().err().map(|error| error.path().to_string()).unwrap_or_default();
        // Members that are read without their names have no place.
        let place = if matches!(&*place, "" | "." | "?") { String::new() } else { format!(", in {place}") };
        return Error::invalid(what, format!("the {what} is not JSON: {first}{place}")).with_code("invalid_json");
    }
    let Err(found) = found else { return Error::invalid(what, words(first)) };
    let path = found.path().to_string();
    if found.path().iter().next().is_some() {
        return field(&path, &words(&found.into_inner()));
    }
    let text = words(first);
    match text.split_once(": ") {
        Some((path, text)) if is_path(path) => field(path, text),
        _ => Error::invalid(what, text),
    }
}

/// For `deserialize_with` of a flattened record. Serde loses the path of the fields of such a record, so the error's
/// text begins with it.
pub(crate) fn with_path<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    serde_path_to_error::deserialize(deserializer).map_err(|error: serde_path_to_error::Error<D::Error>| {
        let path = error.path().to_string();
        if is_path(&path) { D::Error::custom(format!("{path}: {}", error.inner())) } else { error.into_inner() }
    })
}

/// Whether the text is the path of a field (`messages[0].role`).
fn is_path(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.[]".contains(c))
}

/// The error about the field with this path. `text` may already begin with the name of the field.
fn field(path: &str, text: &str) -> Error {
    let name = path.rsplit('.').next().unwrap_or(path);
    let text = told::in_json(text);
    let names_itself = text.strip_prefix(name).is_some_and(|rest| rest.starts_with(" must be "));
    Error::invalid(path, if names_itself { text.into_owned() } else { format!("{path}: {text}") })
}

/// The text of an error without its line and column, because the path of the field says more. Instead of all known
/// fields, the text names only the one that was probably meant, if one is similar.
fn words(error: &serde_json::Error) -> String {
    let text = told::told(error);
    match text.split_once(", expected one of ") {
        Some((unknown, known)) if unknown.starts_with("unknown field ") => match meant(unknown, known) {
            Some(name) => format!("{unknown}: did you mean `{name}`?"),
            None => text,
        },
        _ => text,
    }
}

/// The name in the list `` `a`, `b` `` that is similar to the one in ``unknown field `c` ``; `None`: no name is.
fn meant<'a>(unknown: &str, known: &'a str) -> Option<&'a str> {
    let wrong = unknown.split('`').nth(1)?;
    let close = |name: &'a str| (strsim::jaro_winkler(wrong, name), name);
    let best = known.split('`').skip(1).step_by(2).map(close).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.85).then_some(best.1)
}

/// Gives the text of a value to `read`, without a copy of it.
///
/// # Errors
/// The deserializer's: the value is no text. Faults of the text itself are for `read` to tell.
pub fn with_text<'de, D: Deserializer<'de>, R>(deserializer: D, read: impl FnOnce(&str) -> R) -> Result<R, D::Error> {
    struct Text<F>(F);

    impl<R, F: FnOnce(&str) -> R> Visitor<'_> for Text<F> {
        type Value = R;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E>(self, text: &str) -> Result<R, E> {
            Ok((self.0)(text))
        }
    }

    deserializer.deserialize_str(Text(read))
}

#[cfg(test)]
mod tests {
    use super::from_json;
    use crate::{MinerSpec, SessionMode, SessionSpec};

    #[test]
    fn a_wrong_field_of_a_session_is_named() {
        for (text, param, message) in [
            (r#"{"retention":"x"}"#, "retention", "retention must be all, result or none"),
            (r#"{"retention":null}"#, "retention", "retention: invalid type: null, expected a string"),
            (r#"{"mode":3}"#, "mode", "mode must be 0 (ephemeral), 1 (dedicated) or 2 (hybrid)"),
            (r#"{"mode":-1}"#, "mode", "mode: invalid value: integer `-1`, expected a whole number from 0 to 255"),
            (
                r#"{"validation_policy":"x"}"#,
                "validation_policy",
                "validation_policy must be first, quorum, medoid or all",
            ),
            (r#"{"match":"x"}"#, "match", "match must be exact, normalized, json, lexical, embedding or verdict"),
            (r#"{"min_score":"x"}"#, "min_score", "min_score: invalid type: string \"x\", expected a number"),
        ] {
            let error = from_json::<SessionSpec>("session", text.as_bytes()).unwrap_err();
            assert_eq!((error.details().param.as_deref(), error.message()), (Some(param), message), "{text}");
        }
        let spec: SessionSpec = from_json("session", br#"{"name":"s","mode":2.0,"retention":""}"#).unwrap();
        assert_eq!(spec.mode, SessionMode::Hybrid);
    }

    #[test]
    fn a_wrong_field_is_named_with_the_one_that_was_meant() {
        let message = |text: &str| from_json::<MinerSpec>("miner", text.as_bytes()).unwrap_err().message().to_owned();
        let close = message(r#"{"name": "m", "model": "tiny"}"#);
        assert_eq!(close, "model: unknown field `model`: did you mean `models`?");
        let far = message(r#"{"name": "m", "colour": "red"}"#);
        assert!(far.starts_with("colour: unknown field `colour`, expected one of `name`, "), "{far}");
        assert_eq!(
            message(r#"{"name": "m", "models": "tiny"}"#),
            r#"models: invalid type: string "tiny", expected a list"#
        );
        assert_eq!(message(r#"{"name": "m", "kind": "tiny"}"#), "kind must be local, upstream or remote");
        assert_eq!(message("5"), "invalid type: integer `5`, expected an object");
    }
}
