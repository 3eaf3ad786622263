//! Closes JSON that was cut off, so that its beginning can be parsed.

/// A value that is open at some place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    /// An object. `in_value`: its present member is after the colon.
    Object {
        in_value: bool,
    },
    List,
}

impl Open {
    fn close(self) -> u8 {
        match self {
            Self::Object { .. } => b'}',
            Self::List => b']',
        }
    }
}

/// Takes the longest beginning of `json` that can be closed to a valid value, and closes it. A string that is cut keeps
/// its complete characters and escapes. A key or a number that is cut is left out.
pub(super) fn closed(json: &[u8]) -> Vec<u8> {
    let mut open: Vec<Open> = Vec::new();
    // The last place at which the JSON can be closed: its offset, whether it is inside a string, and its depth.
    let mut safe = (0, false, 0);
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                let is_value = !matches!(open.last(), Some(Open::Object { in_value: false }));
                let Some((end, ended)) = text(json, at + 1) else { break };
                if is_value {
                    safe = (end, !ended, open.len());
                }
                if !ended {
                    break;
                }
                at = end;
                continue;
            }
            b'{' | b'[' => {
                open.push(if *byte == b'{' { Open::Object { in_value: false } } else { Open::List });
                safe = (at + 1, false, open.len());
            }
            b'}' | b']' => {
                open.pop();
                safe = (at + 1, false, open.len());
                if open.is_empty() {
                    break;
                }
            }
            b':' => set(&mut open, true),
            b',' => {
                // A comma proves that the value before it is complete, even a number or `true`.
                safe = (at, false, open.len());
                set(&mut open, false);
            }
            _ => {}
        }
        at += 1;
    }
    let (end, in_text, depth) = safe;
    let mut out = json[..end].to_vec();
    if in_text {
        out.push(b'"');
    }
    out.extend(open[..depth.min(open.len())].iter().rev().map(|open| open.close()));
    out
}

fn set(open: &mut [Open], value: bool) {
    if let Some(Open::Object { in_value }) = open.last_mut() {
        *in_value = value;
    }
}

/// Finds the end of the string whose content begins at `start`. `true`: the string is complete; `false`: it is cut, and
/// the offset is the last place at which it can be closed.
fn text(json: &[u8], start: usize) -> Option<(usize, bool)> {
    let mut at = start;
    loop {
        match json.get(at) {
            None => {
                // An incomplete character at the end is left out.
                let valid = std::str::from_utf8(&json[start..at]).map_or_else(|e| e.valid_up_to(), str::len);
                let broken = std::str::from_utf8(&json[start..at]).is_err_and(|e| e.error_len().is_some());
                return Some((if broken { at } else { start + valid }, false));
            }
            Some(b'"') => return Some((at + 1, true)),
            Some(b'\\') => {
                let length = if json.get(at + 1) == Some(&b'u') { 6 } else { 2 };
                if at + length > json.len() {
                    return Some((at, false));
                }
                at += length;
            }
            Some(_) => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#" {"id":"a\"b","n":[1,-2.5e3,true,null,[],{}],"choices":[{"index":0,"message":{"role":"assistant","content":"é\u00e9\ud83d\ude00\\ end"},"x":{"y":"z"}}],"usage":{"total_tokens":12}} "#;

    #[test]
    fn wherever_it_is_cut_it_closes_to_a_value() {
        for end in 2..=WHOLE.len() {
            let out = closed(&WHOLE.as_bytes()[..end]);
            let value: Result<serde_json::Value, _> = serde_json::from_slice(&out);
            // Half of a surrogate pair may be left, which the router's parser accepts and a strict one does not.
            let text = String::from_utf8(out).unwrap();
            assert!(value.is_ok() || text.contains("\\ud83d\""), "{end}: {text}");
        }
        assert_eq!(closed(WHOLE.as_bytes()), WHOLE.trim_end().as_bytes());
    }

    #[test]
    fn a_text_stays_as_far_as_it_came() {
        for (cut, wanted) in [
            (r#"{"a":{"content":"hel"#, r#"{"a":{"content":"hel"}}"#),
            (r#"{"a":{"content":"hel\"#, r#"{"a":{"content":"hel"}}"#),
            (r#"{"a":{"content":"hel\u00"#, r#"{"a":{"content":"hel"}}"#),
            (r#"{"a":1,"b"#, r#"{"a":1}"#),
            (r#"{"a":1,"b":"#, r#"{"a":1}"#),
            (r#"{"a":1,"b":12"#, r#"{"a":1}"#),
            (r#"[1,[2,"x"],tru"#, r#"[1,[2,"x"]]"#),
        ] {
            assert_eq!(String::from_utf8(closed(cut.as_bytes())).unwrap(), wanted, "{cut}");
        }
        assert_eq!(closed("{\"a\":\"\u{e9}".as_bytes().split_last().unwrap().1), br#"{"a":""}"#);
    }
}
