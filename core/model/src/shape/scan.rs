//! Scans JSON once: checks it and finds the places of its values.
//!
//! `serde_json` finds places in the text for raw values alone, so that each level of an answer took a scan of its own: a
//! chunk of 150 bytes cost 8 300 instructions at the miner and 8 000 at the listener. One scan with this cursor costs
//! 3 900 and 3 400 (release build, counted with callgrind). The tests hold the cursor against `serde_json`: it accepts
//! the same texts and finds the same places.
//!
//! The cursor needs no recursion, whatever somebody nests. It stands on text, which is UTF-8 already.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::text::unescaped;
use super::value::Json;

/// A place in JSON text. Every method that reads a value moves the cursor behind it, and gives `None` if there is no
/// such value. The place of the cursor has no meaning afterwards.
#[derive(Debug)]
pub struct Cursor<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The beginning of that text.
    pub const fn new(json: &'a str) -> Self {
        Self { json, at: 0 }
    }

    /// The byte after the blanks, by which the type of the next value can be told.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        loop {
            match self.byte()? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    /// Whether only blanks follow.
    pub fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Reads a value of any type.
    pub fn value(&mut self) -> Option<Json<'a>> {
        self.spanned(Self::skip).map(|(json, ())| json)
    }

    /// Reads a value as `read` does, and gives its JSON, too.
    pub fn spanned<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<(Json<'a>, T)> {
        self.peek()?;
        let from = self.at;
        let value = read(self)?;
        Some((Json::checked(self.json.get(from..self.at)?), value))
    }

    /// Reads an object. `take` gets each name, in its order and also where a name stands twice, and must read the value.
    pub fn members(&mut self, mut take: impl FnMut(Cow<'a, str>, &mut Self) -> Option<()>) -> Option<()> {
        if self.opens(b'{', b'}')? {
            return Some(());
        }
        loop {
            let (name, is_escaped) = self.name()?;
            take(if is_escaped { Cow::Owned(unescaped(name)) } else { Cow::Borrowed(name) }, self)?;
            if self.closes(b'}')? {
                return Some(());
            }
        }
    }

    /// Reads a list. `take` must read each element.
    pub fn elements(&mut self, mut take: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        if self.opens(b'[', b']')? {
            return Some(());
        }
        loop {
            take(self)?;
            if self.closes(b']')? {
                return Some(());
            }
        }
    }

    /// Reads an opening bracket. Answers whether the closing one follows at once.
    fn opens(&mut self, open: u8, close: u8) -> Option<bool> {
        if self.peek()? != open {
            return None;
        }
        self.at += 1;
        let is_empty = self.peek()? == close;
        self.at += usize::from(is_empty);
        Some(is_empty)
    }

    /// Reads what stands behind a member or an element. Answers whether it is the closing bracket.
    fn closes(&mut self, close: u8) -> Option<bool> {
        let byte = self.peek()?;
        self.at += 1;
        (byte == close || byte == b',').then_some(byte == close)
    }

    /// Reads a member's name and the colon. Answers with what stands between the quotes, and whether it has escapes.
    fn name(&mut self) -> Option<(&'a str, bool)> {
        self.peek()?;
        let from = self.at + 1;
        let is_escaped = self.string()?;
        let name = self.json.get(from..self.at - 1)?;
        let is_colon = self.peek()? == b':';
        self.at += 1;
        is_colon.then_some((name, is_escaped))
    }

    /// Skips a value of any type.
    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' | b'[' => self.nested(),
            first => self.scalar(first),
        }
    }

    /// Skips a string, a number or a word, which begins with `first`.
    #[inline]
    fn scalar(&mut self, first: u8) -> Option<()> {
        match first {
            b'"' => self.string().map(|_| ()),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            _ => None,
        }
    }

    /// Skips a list or an object. Those that are open stand on a stack, as their closing brackets.
    fn nested(&mut self) -> Option<()> {
        let mut open = SmallVec::<[u8; 32]>::new();
        loop {
            let first = self.peek()?;
            let close = match first {
                b'{' => b'}',
                b'[' => b']',
                _ => 0,
            };
            if close == 0 {
                self.scalar(first)?;
            } else if !self.opens(first, close)? {
                open.push(close);
                if close == b'}' {
                    self.name()?;
                }
                continue;
            }
            loop {
                let Some(&close) = open.last() else { return Some(()) };
                if !self.closes(close)? {
                    if close == b'}' {
                        self.name()?;
                    }
                    break;
                }
                open.pop();
            }
        }
    }

    /// Skips a string. Answers whether it has escapes.
    #[inline]
    fn string(&mut self) -> Option<bool> {
        if self.byte()? != b'"' {
            return None;
        }
        self.at += 1;
        if self.closing()? == b'"' {
            return Some(false);
        }
        self.escaped().map(|()| true)
    }

    /// Moves to the next byte of a string that means something, and behind it if it is the closing quote.
    #[inline]
    fn closing(&mut self) -> Option<u8> {
        let rest = self.json.as_bytes().get(self.at..)?;
        let plain = plain(rest);
        let byte = *rest.get(plain)?;
        self.at += plain + usize::from(byte == b'"');
        Some(byte)
    }

    /// Skips the rest of a string that begins with a backslash. This is apart, because few strings have one.
    #[cold]
    fn escaped(&mut self) -> Option<()> {
        loop {
            // Control characters must be escaped, so nothing else may stand here.
            let rest = self.json.as_bytes().get(self.at..).filter(|rest| rest.first() == Some(&b'\\'))?;
            self.at += escape(rest)?;
            if self.closing()? == b'"' {
                return Some(());
            }
        }
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte()? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(())
    }

    /// Skips at least one digit.
    fn digits(&mut self) -> Option<()> {
        let digits = self.json.as_bytes().get(self.at..)?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        (digits > 0).then_some(())
    }

    fn word(&mut self, word: &str) -> Option<()> {
        let is_here = self.json.as_bytes().get(self.at..)?.starts_with(word.as_bytes());
        self.at += word.len();
        is_here.then_some(())
    }

    #[inline]
    fn byte(&self) -> Option<u8> {
        self.json.as_bytes().get(self.at).copied()
    }
}

/// Whether a JSON string of this text has escapes.
pub fn has_escapes(text: &str) -> bool {
    plain(text.as_bytes()) < text.len()
}

/// The number of bytes before the first one that means something in a string: a quote, a backslash or a control
/// character.
#[inline]
pub(super) fn plain(text: &[u8]) -> usize {
    let mut rest = text;
    while let Some((eight, more)) = rest.split_first_chunk::<8>() {
        if let Some(at) = special(u64::from_le_bytes(*eight)) {
            return text.len() - rest.len() + at;
        }
        rest = more;
    }
    // The bytes at the end are looked at together, too, with some before them, which mean nothing.
    if let Some(eight) = text.last_chunk::<8>() {
        return special(u64::from_le_bytes(*eight)).map_or(text.len(), |at| text.len() - 8 + at);
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        let both = u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
        let place = |at| if at < 4 { at } else { text.len() + at - 8 };
        return special(both).map_or(text.len(), place);
    }
    text.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(text.len())
}

/// The place of the first of eight bytes that means something in a string. Below such a byte no bit of `found` is set.
#[inline]
fn special(word: u64) -> Option<usize> {
    const EACH: u64 = u64::MAX / 255;
    let below = |word: u64, bound: u8| word.wrapping_sub(EACH * u64::from(bound)) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    let found = (below(word, 0x20) | is(b'"') | is(b'\\')) & (EACH << 7);
    (found != 0).then(|| found.trailing_zeros() as usize / 8)
}

/// The length of the escape that `text` begins with.
pub(super) fn escape(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => text.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    /// The value by the cursor and by `serde_json`.
    fn both(text: &str) -> (Option<&str>, Option<&str>) {
        let by_serde = serde_json::from_str::<&RawValue>(text).ok().map(RawValue::get);
        (Json::of(text).map(Json::get), by_serde)
    }

    #[test]
    fn the_same_texts_are_json() {
        for text in [
            "",
            " ",
            "null",
            "nul",
            "nullx",
            "true",
            "false",
            "tru",
            " \t\r\n1 \n",
            "0",
            "-0",
            "-",
            "01",
            "1.",
            "1.5",
            ".5",
            "1e5",
            "1E+5",
            "1e-",
            "1e",
            "-1.50e+10",
            "+1",
            "NaN",
            "Infinity",
            "1 2",
            "\"",
            "\"\"",
            "\"a",
            "\"\\\"",
            "\"\\\"\"",
            "\"\\u12\"",
            "\"\\u12g4\"",
            "\"\\ud83d\"",
            "\"\\x\"",
            "\"\\\\\"",
            "\"\n\"",
            "\"\u{0}\"",
            "\"\u{7f}\u{80}é😀\"",
            "[",
            "]",
            "[]",
            "[ ]",
            "[,]",
            "[1,]",
            "[1 2]",
            "[1,2]",
            "{",
            "}",
            "{}",
            "{ }",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}",
            "{a:1}",
            "{1:1}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":1]",
            "[1}",
            "[[1],[{}]]",
            "{\"a\":[{\"b\":[]}],\"a\":{}}",
            "\u{feff}1",
            "\u{a0}1",
            "\u{b}1",
            "/**/1",
            "'a'",
        ] {
            let (mine, wanted) = both(text);
            assert_eq!(mine, wanted, "{text:?}");
        }
    }

    #[test]
    fn depth_needs_no_recursion() {
        let lists = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        let objects = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        for deep in [&lists, &objects] {
            assert_eq!(Json::of(deep).map(Json::get), Some(&**deep));
            for cut in [1, 10_000, deep.len() - 1] {
                assert_eq!(Json::of(&deep[..cut]), None);
            }
        }
        assert_eq!(Json::of(&lists.replacen(']', "}", 1)), None);
    }

    /// JSON of any shape, with blanks between its tokens and any characters escaped.
    fn any_json() -> impl Strategy<Value = String> {
        let blank = || prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\n\t\r ")];
        let escaped = (any::<char>(), 0..8_u8).prop_map(|(letter, way)| match way {
            0 => {
                let mut units = [0; 2];
                letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat()
            }
            1 => "\\ud83d".to_owned(),
            2 => "abcdefgh".to_owned(),
            _ => {
                let json = serde_json::to_string(&letter.to_string()).unwrap();
                json[1..json.len() - 1].to_owned()
            }
        });
        let string =
            prop::collection::vec(escaped, 0..12).prop_map(|letters| format!("\"{}\"", letters.concat())).boxed();
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|value| value.to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            any::<f64>().prop_map(|value| Value::from(value).to_string()),
            string.clone(),
        ];
        leaf.prop_recursive(6, 48, 6, move |inner| {
            let list = prop::collection::vec((blank(), inner.clone(), blank()), 0..6).prop_map(|elements| {
                let elements: Vec<_> =
                    elements.into_iter().map(|(before, it, after)| format!("{before}{it}{after}")).collect();
                format!("[{}]", elements.join(","))
            });
            let object = prop::collection::vec((blank(), string.clone(), inner, blank()), 0..6).prop_map(|members| {
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(blank, name, it, after)| format!("{blank}{name}{after}:{blank}{it}{after}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            });
            prop_oneof![list, object]
        })
    }

    proptest! {
        /// Valid JSON is accepted whole, and its members stand where `serde_json` finds them.
        #[test]
        fn any_json_is_read_as_serde_json_reads_it(text in any_json(), before in "[ \n]{0,2}", after in "[ \t]{0,2}") {
            let text = format!("{before}{text}{after}");
            let (mine, wanted) = both(&text);
            prop_assert_eq!(mine, wanted);
            let mut found = Vec::new();
            let is_list = Cursor::new(&text).elements(|cursor| {
                found.push(cursor.value()?.get());
                Some(())
            });
            if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(&text) {
                prop_assert_eq!(is_list, Some(()));
                prop_assert_eq!(found, elements.into_iter().map(RawValue::get).collect::<Vec<_>>());
            } else {
                prop_assert_eq!(is_list, None);
            }
            let mut found = Vec::new();
            let is_object = Cursor::new(&text).members(|name, cursor| {
                found.push((name.into_owned(), cursor.value()?.get()));
                Some(())
            });
            prop_assert_eq!(is_object.is_some(), text.trim_start().starts_with('{'));
            if let Ok(members) = serde_json::from_str::<std::collections::HashMap<String, &RawValue>>(&text) {
                for (name, value) in members {
                    let last = found.iter().rfind(|(key, _)| *key == name).map(|(_, value)| *value);
                    prop_assert_eq!(last, Some(value.get()), "{}", name);
                }
            }
        }

        /// JSON with any bytes changed is accepted where `serde_json` accepts it, and nowhere else.
        #[test]
        fn changed_json_is_refused_as_serde_json_refuses_it(
            text in any_json(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Selector>()), 0..4),
            cut in any::<prop::sample::Index>(),
            is_cut in any::<bool>(),
        ) {
            let mut letters: Vec<char> = text.chars().collect();
            for (place, letter) in changes {
                let place = place.index(letters.len());
                letters[place] = letter.select("{}[],:\"\\ntfu0123456789.eE+- \n\u{1}\u{1f} é\u{7f}".chars());
            }
            if is_cut {
                letters.truncate(cut.index(letters.len()));
            }
            let text: String = letters.into_iter().collect();
            let (mine, wanted) = both(&text);
            prop_assert_eq!(mine, wanted, "{}", text);
        }

        /// Any text at all is accepted where `serde_json` accepts it, and nowhere else.
        #[test]
        fn any_text_is_safe(text in any::<String>(), odd in "[\\[\\]{}\",:0-9a-u\\\\ -]{0,24}") {
            for text in [text, odd] {
                let (mine, wanted) = both(&text);
                prop_assert_eq!(mine, wanted, "{}", text);
            }
        }

        #[test]
        fn the_first_byte_with_a_meaning_is_found(text in prop::collection::vec(any::<u8>(), 0..40), tame in any::<bool>()) {
            let text: Vec<u8> = text.into_iter().map(|byte| if tame { byte | 0x80 } else { byte }).collect();
            let wanted = text.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(text.len());
            prop_assert_eq!(plain(&text), wanted);
        }
    }
}
