//! Compares an outcome with the expectation of a scenario; see `core/tests/conformance/README.md`.

use serde_json::Value;

/// Says where and why `actual` differs from the expectation; `None` when it matches.
pub(crate) fn mismatch(expected: &Value, actual: &Value) -> Option<String> {
    differs(expected, actual, "")
}

fn differs(expected: &Value, actual: &Value, path: &str) -> Option<String> {
    let wrong = || Some(format!("{path}: expected {expected}, got {actual}"));
    match expected {
        Value::String(word) if word.starts_with('$') => {
            let holds = match word.as_str() {
                "$any" => !actual.is_null(),
                "$number" => actual.is_number(),
                "$text" => actual.as_str().is_some_and(|text| !text.is_empty()),
                "$absent" => actual.is_null(),
                _ => false,
            };
            if holds { None } else { wrong() }
        }
        Value::Object(members) => {
            if let Some(part) = members.get("$contains").and_then(Value::as_str) {
                return if actual.as_str().is_some_and(|text| text.contains(part)) { None } else { wrong() };
            }
            if !actual.is_object() {
                return wrong();
            }
            members.iter().find_map(|(name, member)| {
                differs(member, actual.get(name).unwrap_or(&Value::Null), &format!("{path}.{name}"))
            })
        }
        Value::Array(items) => {
            let Some(found) = actual.as_array().filter(|found| found.len() == items.len()) else { return wrong() };
            items
                .iter()
                .zip(found)
                .enumerate()
                .find_map(|(index, (item, found))| differs(item, found, &format!("{path}[{index}]")))
        }
        Value::Number(number) => {
            if number.as_f64() == actual.as_f64() {
                None
            } else {
                wrong()
            }
        }
        _ if expected == actual => None,
        _ => wrong(),
    }
}

#[test]
fn a_matcher_finds_what_is_wrong() {
    let mismatch = |expected: &str, actual: &str| {
        mismatch(&serde_json::from_str(expected).unwrap(), &serde_json::from_str(actual).unwrap())
    };
    assert_eq!(mismatch(r#"{"a": [1, "$text"], "b": "$absent"}"#, r#"{"a": [1.0, "x"], "c": 0}"#), None);
    assert_eq!(mismatch(r#"{"a": {"$contains": "el"}}"#, r#"{"a": "hello"}"#), None);
    for (expected, actual) in [
        (r#"{"a": [1]}"#, r#"{"a": [1, 2]}"#),
        (r#"{"a": "$any"}"#, "{}"),
        (r#"{"a": "$number"}"#, r#"{"a": "1"}"#),
        (r#"{"a": null}"#, r#"{"a": 0}"#),
        (r#"{"a": {"$contains": "x"}}"#, r#"{"a": "hello"}"#),
    ] {
        assert!(mismatch(expected, actual).is_some(), "{expected} {actual}");
    }
}
