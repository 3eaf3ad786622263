//! The errors of serde in the words of JSON. Serde names Rust's types (`f64`, `struct MinerSpec`), which callers do not
//! know.

use std::borrow::Cow;
use std::fmt::Display;

/// The text of a reader's error, without its line and column, and with JSON's words for the types that it names.
pub fn told(error: &impl Display) -> String {
    let text = error.to_string();
    in_json(place(&text).map_or(text.as_str(), |at| &text[..at])).into_owned()
}

/// Where the place (` at line 1 column 2`) begins with which a text ends.
fn place(text: &str) -> Option<usize> {
    let at = text.rfind(" at line ")?;
    let (line, column) = text[at + " at line ".len()..].split_once(" column ")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(line) && is_number(column)).then_some(at)
}

/// The text of an error of serde with JSON's words for the types that it names. A text of another kind stays as it is.
pub fn in_json(text: &str) -> Cow<'_, str> {
    if let Some(rest) = text.strip_prefix("unknown variant ") {
        return Cow::Owned(format!("unknown word {rest}"));
    }
    if text.starts_with("data did not match any variant of untagged enum ") {
        return Cow::Borrowed("the value has none of the forms that it may have");
    }
    let parts = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|head| Some((*head, text.strip_prefix(head)?.rsplit_once(", expected ")?)));
    let Some((head, (found, wanted))) = parts else { return Cow::Borrowed(text) };
    Cow::Owned(format!("{head}{}, expected {}", found_in_json(found), wanted_in_json(wanted)))
}

fn found_in_json(found: &str) -> Cow<'_, str> {
    match found {
        "sequence" => "a list".into(),
        "map" => "an object".into(),
        "unit value" | "Option value" => "null".into(),
        _ => found.strip_prefix("floating point ").map_or(found.into(), |number| format!("number {number}").into()),
    }
}

fn wanted_in_json(wanted: &str) -> Cow<'_, str> {
    if wanted.starts_with("struct ") {
        return "an object".into();
    }
    match wanted {
        "f32" | "f64" => "a number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "u128" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "a nonzero u16" => "a whole number from 1 to 65535",
        "a nonzero u32" => "a whole number from 1 to 4294967295",
        "a nonzero u64" | "a nonzero usize" => "a whole number above 0",
        "a sequence" => "a list",
        "a map" => "an object",
        "a borrowed string" | "string or map" | "string or table" => "a string",
        "a boolean" | "bool" => "true or false",
        _ => return Cow::Borrowed(wanted),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::{in_json, told};

    #[test]
    fn rusts_types_have_jsons_names() {
        for (text, wanted) in [
            (r#"invalid type: string "10", expected f64"#, r#"invalid type: string "10", expected a number"#),
            (
                "invalid value: integer `-1`, expected u16",
                "invalid value: integer `-1`, expected a whole number from 0 to 65535",
            ),
            ("invalid type: map, expected a sequence", "invalid type: an object, expected a list"),
            (
                "invalid type: floating point `1.5`, expected struct MinerSpec",
                "invalid type: number `1.5`, expected an object",
            ),
            ("unknown variant `x`, expected `a` or `b`", "unknown word `x`, expected `a` or `b`"),
            // Only the reader's own words are replaced, and nothing that the caller wrote.
            (
                r#"invalid type: string "map, expected f64", expected a boolean"#,
                r#"invalid type: string "map, expected f64", expected true or false"#,
            ),
            ("retention must be all, result or none", "retention must be all, result or none"),
        ] {
            assert_eq!(in_json(text), wanted);
        }
        let error = serde_json::from_str::<Vec<u8>>("{}").unwrap_err();
        assert_eq!(told(&error), "invalid type: an object, expected a list");
        assert_eq!(told(&"looked at line by line"), "looked at line by line");
    }
}
