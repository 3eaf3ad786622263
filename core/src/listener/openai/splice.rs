//! Replaces the top-level `id` in an upstream's JSON in place. No other byte of the body changes, so fields that the
//! router does not know arrive unchanged.

use std::ops::Range;

use serde::Serialize;

use crate::model::shape::{Body, Cursor, Outline, is_end};
use crate::model::{write_compact, write_text};

/// The facts about an upstream's chunk that the router needs. Everything else passes unread.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ChunkOutline {
    /// The places of its ids, and its form.
    pub(super) outline: Outline,
    /// The number of choices; `None` if the body has no list of them.
    pub(super) choices: Option<usize>,
    /// Whether a choice says why it ends.
    pub(super) finished: bool,
    /// Whether `usage` is there and not `null`.
    pub(super) usage: bool,
    /// Whether a choice has a completion's text.
    text: bool,
    /// The place of the words of the only choice. Another string in this place changes nothing here.
    pub(super) words: Option<Range<usize>>,
}

impl ChunkOutline {
    /// Reads the outline of a JSON object; `None` when the bytes are not an object, or not UTF-8.
    pub(super) fn of(json: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(json).ok()?;
        let mut cursor = Cursor::new(text);
        let mut chunk = Self { outline: Outline::begin(text)?, ..Self::default() };
        cursor.members(|name, cursor| {
            if name == "choices" {
                chunk.outline.note_name(&name);
                return chunk.read_choices(json, cursor);
            }
            let value = cursor.value()?;
            chunk.outline.note(text, &name, value);
            if name == "usage" {
                chunk.usage = !value.is_null();
            }
            Some(())
        })?;
        cursor.is_at_end().then_some(chunk)
    }

    /// Reads the choices. Of two members with this name the last one counts.
    fn read_choices(&mut self, json: &[u8], cursor: &mut Cursor<'_>) -> Option<()> {
        (self.choices, self.finished, self.text, self.words) = (None, false, false, None);
        if cursor.peek()? != b'[' {
            return cursor.value().map(|_| ());
        }
        let mut count = 0;
        cursor.elements(|cursor| {
            count += 1;
            if cursor.peek()? != b'{' {
                return cursor.value().map(|_| ());
            }
            let mut is_finished = false;
            cursor.members(|name, cursor| {
                match &*name {
                    "finish_reason" => is_finished = is_end(cursor.value()?),
                    "text" => {
                        self.text = true;
                        self.words =
                            Some(cursor.value()?).filter(|text| text.is_string()).and_then(|text| text.place_in(json));
                    }
                    "delta" => {
                        let words = Body::read(cursor)?.and_then(|delta| delta.sole_words());
                        self.words = words.and_then(|(_, words)| words.place_in(json));
                    }
                    _ => {
                        cursor.value()?;
                    }
                }
                Some(())
            })?;
            self.finished |= is_finished;
            Some(())
        })?;
        self.words = self.words.take().filter(|_| count == 1);
        self.choices = Some(count);
        Some(())
    }

    /// Whether a choice is a completion's.
    pub(super) fn has_text(&self) -> bool {
        self.text
    }
}

/// Writes a JSON string.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    write_text(out, text);
}

/// A JSON string.
pub(super) fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    string(&mut out, text);
    out
}

/// Writes a value as compact JSON.
pub(super) fn write_json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing to a vector never fails, and no shape of the router has a map with keys that are not text.
    let _ = write_compact(out, value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn spliced(json: &str, id: &str) -> String {
        let mut out = Vec::new();
        ChunkOutline::of(json.as_bytes()).unwrap().outline.splice(json.as_bytes(), &quoted(id), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_the_value_of_the_top_level_id_changes() {
        assert_eq!(
            spliced(r#" { "x" : {"id":1}, "id" : "a\"b" , "choices":[{"id":"keep"}] } "#, "chatcmpl-1"),
            r#" { "x" : {"id":1}, "id" : "chatcmpl-1" , "choices":[{"id":"keep"}] } "#
        );
        assert_eq!(spliced(r#"{"id":null}"#, "n"), r#"{"id":"n"}"#);
        assert_eq!(spliced(r#"{"\u0069d":7,"z":1e400}"#, "n"), r#"{"\u0069d":"n","z":1e400}"#);
        assert_eq!(spliced(r#"{"id":1,"id":2}"#, "n"), r#"{"id":"n","id":"n"}"#);
    }

    #[test]
    fn a_body_without_an_id_gets_one() {
        assert_eq!(spliced(r#"{"a":1}"#, "n"), r#"{"id":"n","a":1}"#);
        assert_eq!(spliced("\t{ }", "n"), "\t{\"id\":\"n\" }");
    }

    #[test]
    fn what_is_no_object_has_no_outline() {
        for bad in ["", "[]", "null", "{", "{\"a\":}", "{} x", "\"id\"", "{\"id\":\"\u{1}\"}"] {
            assert_eq!(ChunkOutline::of(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(ChunkOutline::of(b"{\"a\":\"\xff\"}"), None);
    }

    #[test]
    fn the_outline_tells_the_end_and_the_usage() {
        let of = |json: &str| {
            let outline = ChunkOutline::of(json.as_bytes()).unwrap();
            (outline.choices, outline.finished, outline.usage)
        };
        assert_eq!(of(r#"{"choices":[{"finish_reason":null},{"delta":{}}],"usage":null}"#), (Some(2), false, false));
        assert_eq!(of(r#"{"choices":[{"delta":{}},{"finish_reason":"stop"}]}"#), (Some(2), true, false));
        assert_eq!(of(r#"{"choices":[],"usage":{"total_tokens":1}}"#), (Some(0), false, true));
        assert_eq!(of(r#"{"choices":"none"}"#), (None, false, false));
        for no_end in [r#""""#, r#""null""#, "null", "0", "{}"] {
            let chunk = format!(r#"{{"choices":[{{"finish_reason":{no_end}}}]}}"#);
            assert_eq!(of(&chunk), (Some(1), false, false), "{no_end}");
        }
        // JSON that other readers accept: members that stand twice, of any type, with half a character, or deep.
        let deep = format!("{}{}", "[".repeat(300), "]".repeat(300));
        let odd = format!(
            r#"{{"\ud83d":1,"choices":5,"choices":[7,{{"finish_reason":1,"finish_reason":"stop","x":{deep}}}],"usage":1,"usage":null}}"#
        );
        assert_eq!(of(&odd), (Some(2), true, false));
        assert_eq!(of(r#"{"choices":[{"delta":{"content":"\"finish_reason\":\"x\""}}]}"#), (Some(1), false, false));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((key(), inner), 0..6)
                    .prop_map(|members| json!(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("id".to_owned()),
            Just("choices".to_owned()),
            Just("usage".to_owned()),
            Just("finish_reason".to_owned()),
            any::<String>(),
        ]
    }

    /// Blanks between tokens, as pretty printers write them.
    fn blank() -> impl Strategy<Value = String> {
        prop::collection::vec(prop_oneof![Just(' '), Just('\n'), Just('\t'), Just('\r')], 0..3)
            .prop_map(|blanks| blanks.into_iter().collect())
    }

    /// A key or string as JSON, each character escaped or not.
    fn written(text: &str, escape: &[bool]) -> String {
        let mut out = String::from("\"");
        for (index, unit) in text.chars().enumerate() {
            if escape.get(index % escape.len().max(1)).copied().unwrap_or(false) {
                let mut units = [0; 2];
                for unit in unit.encode_utf16(&mut units) {
                    out.extend(['\\', 'u']);
                    out.extend(
                        [12, 8, 4, 0].map(|shift| char::from_digit(u32::from(*unit >> shift) & 15, 16).unwrap()),
                    );
                }
            } else {
                let plain = serde_json::to_string(&unit.to_string()).unwrap();
                out.push_str(&plain[1..plain.len() - 1]);
            }
        }
        out.push('"');
        out
    }

    proptest! {
        /// For any order of members, any blanks and any escapes, the result reads as the original object with the
        /// router's id.
        #[test]
        fn splicing_is_setting_the_id(
            members in prop::collection::vec((key(), any_json()), 0..8),
            blanks in prop::collection::vec(blank(), 8),
            escape in prop::collection::vec(any::<bool>(), 1..5),
            id in any::<String>(),
        ) {
            let mut wanted = Map::new();
            let mut body = format!("{}{{", blanks[0]);
            let mut first = true;
            for (key, value) in members {
                if wanted.contains_key(&key) {
                    continue;
                }
                if !first {
                    body.push(',');
                }
                first = false;
                let value_text = if blanks[1].is_empty() { value.to_string() } else { serde_json::to_string_pretty(&value).unwrap() };
                body.extend([&blanks[2], &written(&key, &escape), &blanks[3], ":", &blanks[4], &value_text, &blanks[5]]);
                wanted.insert(key, serde_json::from_str(&value_text).unwrap());
            }
            body.extend([&blanks[6], "}", &blanks[7]]);
            wanted.insert("id".into(), Value::from(id.as_str()));
            let got: Value = serde_json::from_str(&spliced(&body, &id)).unwrap();
            prop_assert_eq!(got, Value::Object(wanted));
        }

        /// Bytes that are not JSON, or only half of it, never cause a panic.
        #[test]
        fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..64), json in any_json(), cut in any::<prop::sample::Index>()) {
            let _ = ChunkOutline::of(&bytes);
            let text = json.to_string();
            let cut = cut.index(text.len() + 1);
            if let Some(chunk) = ChunkOutline::of(&text.as_bytes()[..cut]) {
                let mut out = Vec::new();
                chunk.outline.splice(&text.as_bytes()[..cut], b"\"x\"", &mut out);
                prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
            }
        }
    }
}
