//! Measures how deep a JSON text is nested, without recursion.
//!
//! The router reads its own fields into flat records and skips the other fields, so deep nesting does not harm it. But
//! it passes those fields on to miners, whose parsers may be recursive.

use memchr::{memchr2, memchr2_iter};

/// Whether more than `most` lists and objects lie in each other. This function does not check that the text is JSON;
/// the parser does that later.
pub fn is_deeper(text: &[u8], most: usize) -> bool {
    // Most texts have at most this many brackets in all, and the search looks at many bytes at a time.
    if memchr2_iter(b'[', b'{', text).take(most.saturating_add(1)).count() <= most {
        return false;
    }
    let (mut depth, mut rest) = (0_usize, text);
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => rest = behind_string(rest),
            b'[' | b'{' => {
                depth += 1;
                if depth > most {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The text behind the string whose opening quote came before; nothing if the string has no end.
fn behind_string(mut text: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', text) {
        if text[at] == b'"' {
            return &text[at + 1..];
        }
        text = text.get(at + 2..).unwrap_or_default();
    }
    &[]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = r#"[\[\]{}"\\a]{0,6}"#;
        text.prop_map(Value::from).prop_recursive(6, 40, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(text, inner, 0..4).prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_is_as_deep_as_its_deepest_value(value in any_json()) {
            let (text, depth) = (value.to_string(), depth(&value));
            prop_assert!(!is_deeper(text.as_bytes(), depth));
            prop_assert!(depth == 0 || is_deeper(text.as_bytes(), depth - 1));
        }
    }

    #[test]
    fn many_brackets_beside_each_other_are_not_deep() {
        assert!(!is_deeper(format!("[{}1]", "[],".repeat(100_000)).as_bytes(), 2));
        assert!(is_deeper("[".repeat(100_000).as_bytes(), 512));
        assert!(!is_deeper(b"", 0));
        for unended in [r#"["[[[["#, r#"["\"#, r#"["\""#] {
            assert!(!is_deeper(unended.as_bytes(), 1), "{unended}");
        }
    }
}
