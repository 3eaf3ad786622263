//! Bytes that are nearly JSON.

use std::borrow::Cow;

use bytes::Bytes;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Words that Python writes and JavaScript does not read (`float("nan")` of a log probability).
const NO_NUMBERS: &[&[u8]] = &[b"NaN", b"-Infinity", b"Infinity"];

/// The bytes as every client reads them: without a byte order mark, and U+FFFD where they are no UTF-8.
pub fn utf8(mut bytes: Bytes) -> Bytes {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes = bytes.slice(BYTE_ORDER_MARK.len()..);
    }
    match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(_) => bytes,
        Cow::Owned(text) => text.into(),
    }
}

/// Makes JSON of text that is nearly JSON: numbers that are none become `null`, and bare control characters in a
/// string become escapes.
pub fn repaired(json: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(json.len() + 16);
    let (mut at, mut in_string) = (0, false);
    while let Some(&byte) = json.get(at) {
        at += 1;
        match (in_string, byte) {
            (true, b'\\') => {
                out.push(byte);
                out.extend(json.get(at));
                at += 1;
            }
            (true, 0..0x20) => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            (_, b'"') => {
                in_string = !in_string;
                out.push(byte);
            }
            (false, b'N' | b'-' | b'I') => match NO_NUMBERS.iter().find(|word| json[at - 1..].starts_with(word)) {
                Some(word) => {
                    out.extend_from_slice(b"null");
                    at += word.len() - 1;
                }
                None => out.push(byte),
            },
            _ => out.push(byte),
        }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;

    #[test]
    fn what_is_nearly_json_becomes_json() {
        let is_json = |bytes: &[u8]| serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
        for (bytes, wanted) in [
            (&b"\xef\xbb\xbf{}"[..], "{}"),
            (b"{\"a\":\"\xe6\xad\",\"b\":\"\xff\"}", "{\"a\":\"\u{fffd}\",\"b\":\"\u{fffd}\"}"),
            (b"{\"a\":NaN,\"b\":[-Infinity,Infinity,-1],\"c\":\"NaN\"}", r#"{"a":null,"b":[null,null,-1],"c":"NaN"}"#),
            (b"{\n\"a\":\"x\ny\tz\\\"\n\"}", "{\n\"a\":\"x\\u000ay\\u0009z\\\"\\u000a\"}"),
            (b"{\"a\":\"\xff\",\"b\":NaN}", "{\"a\":\"\u{fffd}\",\"b\":null}"),
        ] {
            let plain = utf8(Bytes::from_static(bytes));
            let json = if is_json(&plain) { plain } else { repaired(&plain) };
            assert_eq!(json, wanted);
            assert!(is_json(&json));
        }
        for hopeless in ["hello", "\"\\", "{\"a\":N", "-", ""] {
            assert_eq!(repaired(hopeless.as_bytes()), hopeless);
        }
    }
}
