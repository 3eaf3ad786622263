//! Text out of JSON, as its readers show it.

use memchr::memchr;

use super::members::{elements, last};
use super::value::Json;

/// How deep lists of parts are read.
const PARTS_DEEP: u8 = 8;

/// A text that comes in pieces. Half a surrogate pair at the end of one piece is joined with the other half at the
/// beginning of the next; halves that stay alone are U+FFFD.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joint {
    text: String,
    half: Option<u16>,
}

impl Joint {
    /// The text of a value.
    pub fn of(value: Json<'_>) -> String {
        let mut joint = Self::default();
        joint.add(value);
        joint.into_string()
    }

    /// The text so far, without a half that waits.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Takes the text so far and keeps the half that waits.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Nothing follows: a half that waits stays alone.
    pub fn end(&mut self) {
        if self.half.take().is_some() {
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
    }

    /// The whole text.
    pub fn into_string(mut self) -> String {
        self.end();
        self.text
    }

    /// Adds what a value says: a string, a number's or a boolean's letters, the text of a part, those of a list of parts.
    pub fn add(&mut self, value: Json<'_>) {
        self.add_within(value.get(), PARTS_DEEP);
    }

    fn add_within(&mut self, json: &str, deep: u8) {
        match json.as_bytes().first() {
            Some(b'"') => self.add_string(json.get(1..json.len() - 1).unwrap_or_default()),
            Some(b'[') if deep > 0 => {
                elements(json, |part| self.add_within(part.get(), deep - 1));
            }
            // `{"type":"text","text":"..."}`. Parts without a text are empty.
            Some(b'{') if deep > 0 => {
                if let Some(text) = last(json, "text") {
                    self.add_within(text.get(), deep - 1);
                }
            }
            None | Some(b'n' | b'[' | b'{') => {}
            Some(_) => self.push(json),
        }
    }

    /// Adds plain text, and takes the text so far.
    pub fn take_with(&mut self, plain: &str) -> String {
        if self.text.is_empty() && self.half.is_none() {
            return plain.to_owned();
        }
        self.push(plain);
        self.take()
    }

    /// Adds plain text.
    pub fn push(&mut self, plain: &str) {
        if !plain.is_empty() {
            self.end();
            self.text.push_str(plain);
        }
    }

    /// Adds what stands between the quotes of a JSON string.
    fn add_string(&mut self, mut rest: &str) {
        // The text of escapes is never longer than they.
        self.text.reserve(rest.len());
        while let Some((plain, escape)) =
            memchr(b'\\', rest.as_bytes()).and_then(|at| Some((&rest[..at], rest.get(at + 1..)?)))
        {
            self.push(plain);
            let Some(letter) = escape.chars().next() else { return };
            rest = &escape[letter.len_utf8()..];
            if letter == 'u' {
                let unit = rest.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
                self.unit(unit.unwrap_or(0xFFFD));
                rest = rest.get(4..).unwrap_or_default();
            } else {
                self.end();
                self.text.push(match letter {
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                });
            }
        }
        self.push(rest);
    }

    /// Adds a unit of UTF-16.
    fn unit(&mut self, unit: u16) {
        match (self.half, unit) {
            (Some(high), 0xDC00..=0xDFFF) => {
                self.half = None;
                self.text.extend(char::decode_utf16([high, unit]).flatten());
            }
            (_, 0xD800..=0xDBFF) => {
                self.end();
                self.half = Some(unit);
            }
            _ => {
                self.end();
                self.text.push(char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
    }
}

/// The text of what stands between the quotes of a JSON string.
pub(super) fn unescaped(inner: &str) -> String {
    let mut joint = Joint::default();
    joint.add_string(inner);
    joint.into_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(pieces: &[&str]) -> String {
        let mut joint = Joint::default();
        for piece in pieces {
            joint.add(Json::of(piece).unwrap());
        }
        joint.into_string()
    }

    #[test]
    fn every_type_says_what_its_readers_show() {
        for (piece, wanted) in [
            ("null", ""),
            ("5", "5"),
            ("-1.50e3", "-1.50e3"),
            ("true", "true"),
            (r#""a\n\"\\\/\b\f\r\t\u00e9é""#, "a\n\"\\/\u{8}\u{c}\r\té\u{e9}"),
            (r#"[{"type":"text","text":"a"},{"type":"image"},"b",null,[{"text":"c"}]]"#, "abc"),
            (r#"{"type":"text","text":"a","text":"b"}"#, "b"),
            (r#"{"type":"thinking","thinking":[{"text":"hm"}]}"#, ""),
        ] {
            assert_eq!(text(&[piece]), wanted, "{piece}");
        }
        let deep = format!("{}\"x\"{}", "[".repeat(300), "]".repeat(300));
        assert_eq!(text(&[&deep, "\"y\""]), "y");
    }

    #[test]
    fn halves_of_a_pair_find_each_other_across_pieces() {
        let (high, low) = (r#""\ud83d""#, r#""\ude00""#);
        for (pieces, wanted) in [
            (&[r#""\ud83d\ude00""#][..], "😀"),
            (&[high, low], "😀"),
            (&[high, "\"\"", "null", low], "😀"),
            (&[r#""a\ud83d""#, r#""\ude00b""#], "a😀b"),
            (&[high], "\u{fffd}"),
            (&[low], "\u{fffd}"),
            (&[high, high, low], "\u{fffd}😀"),
            (&[high, "\"x\"", low], "\u{fffd}x\u{fffd}"),
            (&[high, r#""\n""#], "\u{fffd}\n"),
            (&[high, "5"], "\u{fffd}5"),
        ] {
            assert_eq!(text(pieces), wanted, "{pieces:?}");
        }
    }

    proptest! {
        /// However a text is written and cut, it reads as it was.
        #[test]
        fn any_text_survives_its_escapes_and_cuts(text in any::<String>(), escapes in any::<u64>(), cut in any::<prop::sample::Index>()) {
            let units: Vec<u16> = text.encode_utf16().collect();
            let written = |units: &[u16]| units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat();
            let cut = cut.index(units.len() + 1);
            let mut joint = Joint::default();
            for half in [&units[..cut], &units[cut..]] {
                let json = match String::from_utf16(half) {
                    Ok(plain) if escapes & 1 == 0 => serde_json::to_string(&plain).unwrap(),
                    _ => format!("\"{}\"", written(half)),
                };
                joint.add(Json::of(&json).unwrap());
            }
            prop_assert_eq!(joint.into_string(), text);
        }
    }
}
