//! The bytes that the chunks of a stream have in common.
//!
//! Nearly all chunks of a stream differ from the one before them in one string: the words of the model. A chunk that has
//! the same bytes around another string is valid JSON and means the same as the one before, but for that string, so only
//! the string is scanned. That costs 350 instructions for a chunk of 150 bytes, and a scan of all of it 3 900 (release
//! build, counted with callgrind).

use std::ops::Range;

use super::quoted::Quoted;

/// The bytes of the last chunk around one string.
#[derive(Debug, Default)]
pub struct Envelope {
    bytes: Vec<u8>,
    /// The number of bytes before the string.
    before: usize,
}

impl Envelope {
    /// Keeps the bytes of a chunk around the string at the place `words`. Without a place, no chunk has these bytes.
    pub fn keep(&mut self, chunk: &[u8], words: Option<Range<usize>>) {
        self.bytes.clear();
        if let Some(words) = words
            && let (Some(before), Some(after)) = (chunk.get(..words.start), chunk.get(words.end..))
        {
            self.before = before.len();
            self.bytes.extend_from_slice(before);
            self.bytes.extend_from_slice(after);
        }
    }

    /// The string of a chunk that has these bytes around it. A chunk with a string is the JSON that it looks like.
    pub fn words<'a>(&self, chunk: &'a [u8]) -> Option<Quoted<'a>> {
        if self.bytes.is_empty() {
            return None;
        }
        let (before, after) = self.bytes.split_at_checked(self.before)?;
        Quoted::of(chunk.strip_prefix(before)?.strip_suffix(after)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Json, Said};
    use super::*;

    const CHUNK: &str = r#"{"id":"x","choices":[{"delta":{"content":"a"},"finish_reason":null}]}"#;

    fn kept() -> Envelope {
        let mut envelope = Envelope::default();
        let at = CHUNK.find("\"a\"").unwrap();
        envelope.keep(CHUNK.as_bytes(), Some(at..at + 3));
        envelope
    }

    #[test]
    fn only_another_string_fits() {
        let envelope = kept();
        let words = |value: &str| {
            envelope.words(CHUNK.replace("\"a\"", value).as_bytes()).map(|words| match words.said() {
                Said::Plain(text) => text.to_owned(),
                Said::Escaped(json) => json.text().into_owned(),
            })
        };
        for (value, wanted) in
            [("\"\"", ""), ("\"b c\"", "b c"), (r#""\"\u0062""#, "\"b"), (" \"b\" ", "b"), (r#""\ud83d""#, "\u{fffd}")]
        {
            assert_eq!(words(value).as_deref(), Some(wanted), "{value}");
        }
        for other in ["", "null", "5", "[\"a\"]", r#""a","b":"c""#, "\"a\n\"", "\"\\x\"", "\"a", "a\"", "\"a\" \"b\""] {
            assert_eq!(words(other), None, "{other}");
        }
        assert_eq!(envelope.words(CHUNK.as_bytes().split_last().unwrap().1), None);
        assert_eq!(
            envelope.words(b"{\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"\xff\"},\"finish_reason\":null}]}"),
            None
        );
        assert_eq!(envelope.words(b""), None);
        assert_eq!(Envelope::default().words(b"\"a\""), None);
    }

    #[test]
    fn a_chunk_without_words_is_forgotten() {
        let mut envelope = kept();
        envelope.keep(CHUNK.as_bytes(), None);
        assert_eq!(envelope.words(CHUNK.as_bytes()), None);
        envelope.keep(CHUNK.as_bytes(), Some(CHUNK.len()..CHUNK.len() + 1));
        assert_eq!(envelope.words(CHUNK.as_bytes()), None);
    }

    proptest! {
        /// Whatever fits is JSON.
        #[test]
        fn what_fits_is_json(inner in "[\"\\\\{}:,a-u0-9 \n]{0,12}") {
            let chunk = CHUNK.replace("\"a\"", &format!("\"{inner}\""));
            if kept().words(chunk.as_bytes()).is_some() {
                prop_assert!(Json::of(&chunk).is_some(), "{}", chunk);
            }
        }
    }
}
