//! Reading records out of JSON, with errors that name the field.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// The record in `text`; `what` names the text where no field of it is at fault.
///
/// # Errors
/// `InvalidArgument`, with the code `invalid_json` where the text is no JSON at all; else the error's `param` is the
/// path of the field (`messages[0].role`).
pub fn from_json<T: DeserializeOwned>(what: &str, text: &[u8]) -> crate::Result<T> {
    // Some editors and shells put a byte order mark before what they send.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    from_bytes(text).map_err(|first| explain::<T>(what, text, &first))
}

/// As [`serde_json::from_slice`], but looks whether the text is UTF-8 once and not string by string, which is much faster.
fn from_bytes<'a, T: Deserialize<'a>>(text: &'a [u8]) -> serde_json::Result<T> {
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
    let mut reader = serde_json::Deserializer::from_slice(text);
    let found = serde_path_to_error::deserialize::<_, T>(&mut reader);
    if !first.is_data() {
        let place = match &found {
            Err(error) if error.path().iter().next().is_some() => format!(", in {}", error.path()),
            _ => String::new(),
        };
        return Error::invalid(what, format!("the {what} is not JSON: {first}{place}")).with_code("invalid_json");
    }
    match found {
        Err(error) if error.path().iter().next().is_some() => {
            let path = error.path().to_string();
            let text = told(&error.into_inner());
            Error::invalid(path.clone(), format!("{path}: {text}"))
        }
        _ => Error::invalid(what, told(first)),
    }
}

/// What is wrong, without the line and the column: the path says more. Of the fields that there are only the one that was
/// probably meant, where one is close.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let text = text.strip_suffix(&place).unwrap_or(&text);
    match text.split_once(", expected one of ") {
        Some((unknown, known)) if unknown.starts_with("unknown field ") => match meant(unknown, known) {
            Some(name) => format!("{unknown}: did you mean `{name}`?"),
            None => text.to_owned(),
        },
        _ => text.to_owned(),
    }
}

/// The name among `` `a`, `b` `` that is close to the one in ``unknown field `c` ``.
fn meant<'a>(unknown: &str, known: &'a str) -> Option<&'a str> {
    let wrong = unknown.split('`').nth(1)?;
    let close = |name: &'a str| (strsim::jaro_winkler(wrong, name), name);
    let best = known.split('`').skip(1).step_by(2).map(close).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= 0.85).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::from_json;
    use crate::MinerSpec;

    #[test]
    fn a_wrong_field_is_named_with_the_one_that_was_meant() {
        let message = |text: &str| from_json::<MinerSpec>("miner", text.as_bytes()).unwrap_err().message().to_owned();
        let close = message(r#"{"name": "m", "model": "tiny"}"#);
        assert_eq!(close, "model: unknown field `model`: did you mean `models`?");
        let far = message(r#"{"name": "m", "colour": "red"}"#);
        assert!(far.starts_with("colour: unknown field `colour`, expected one of `name`, "), "{far}");
        assert_eq!(
            message(r#"{"name": "m", "models": "tiny"}"#),
            r#"models: invalid type: string "tiny", expected a sequence"#
        );
        assert_eq!(message("5"), "invalid type: integer `5`, expected struct MinerSpec");
    }
}
