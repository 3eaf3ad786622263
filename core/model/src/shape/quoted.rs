//! A JSON string whose escapes are not read yet.

use super::scan::{escape, plain};
use super::value::Json;

/// A JSON string that was checked, with its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted<'a> {
    bytes: &'a [u8],
    is_escaped: bool,
}

/// The words of a JSON string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said<'a> {
    /// The text: the string has no escapes.
    Plain(&'a str),
    /// The string, which has escapes.
    Escaped(Json<'a>),
}

impl<'a> Quoted<'a> {
    /// The string that the bytes are, but for blanks around it.
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        let bytes = trimmed(bytes);
        let [b'"', rest @ ..] = bytes else { return None };
        let (inner, mut rest, mut is_escaped) = (rest.strip_suffix(b"\"")?, rest, false);
        loop {
            rest = &rest[plain(rest)..];
            match rest {
                [b'"'] => break,
                [b'\\', ..] => rest = rest.get(escape(rest)?..)?,
                // A quote ends the string too early, and control characters must be escaped.
                _ => return None,
            }
            is_escaped = true;
        }
        (inner.is_ascii() || std::str::from_utf8(inner).is_ok()).then_some(Self { bytes, is_escaped })
    }

    /// The string with its quotes.
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The words of the string.
    pub fn said(self) -> Said<'a> {
        // The bytes were checked, so that there is always a text.
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        if self.is_escaped {
            Said::Escaped(Json::checked(text(self.bytes)))
        } else {
            Said::Plain(text(&self.bytes[1..self.bytes.len() - 1]))
        }
    }
}

/// The bytes without JSON's blanks around them.
fn trimmed(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\n' | b'\r' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn agrees(bytes: &[u8]) -> Result<(), TestCaseError> {
        let wanted = std::str::from_utf8(bytes).ok().and_then(Json::of).filter(|json| json.is_string());
        let found = Quoted::of(bytes);
        prop_assert_eq!(found.map(Quoted::bytes), wanted.map(|json| json.get().as_bytes()), "{:?}", bytes);
        if let (Some(found), Some(wanted)) = (found, wanted) {
            let text = match found.said() {
                Said::Plain(text) => text.to_owned(),
                Said::Escaped(json) => json.text().into_owned(),
            };
            prop_assert_eq!(text, wanted.text());
        }
        Ok(())
    }

    proptest! {
        /// Bytes that are a string for the cursor are one here too, and say the same.
        #[test]
        fn a_string_is_what_the_cursor_takes_for_one(
            inner in "[\"\\\\{a-u0-9 \n\t\u{b}é😀]{0,24}",
            blanks in "[ \n\u{b}]{0,2}",
            cut in any::<prop::sample::Index>(),
        ) {
            agrees(format!("{blanks}\"{inner}\"{blanks}").as_bytes())?;
            agrees(inner.as_bytes())?;
            let bytes = format!("\"{inner}\"").into_bytes();
            agrees(&bytes[cut.index(bytes.len())..])?;
            // Half a character is no text.
            let mut broken = bytes;
            broken.retain(|byte| *byte != 0xa9);
            agrees(&broken)?;
        }

        #[test]
        fn any_text_is_read(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            agrees(json.as_bytes())?;
            prop_assert!(Quoted::of(json.as_bytes()).is_some());
        }
    }
}
