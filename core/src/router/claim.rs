//! Bounds a miner's claims about its work by the bytes that the router has seen.
//!
//! The router trusts an upstream's token counts, because hidden reasoning and images have no bytes. A miner that dials
//! in, and a callback of the host program, may claim no more tokens than its answer has bytes, and no more than the
//! request allows. The choice of miners and the fair shares of sessions use the bytes alone, for every kind of miner.

use bytes::Bytes;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::{RequestKind, TaskRequest, Usage, estimate_bytes};

/// The maximum number of tokens that a chat's template may add to a prompt.
const TEMPLATE_TOKENS: u64 = 1_024;
/// The maximum number of tokens of an object that a prompt names by its URL, such as an image.
const LINKED_TOKENS: u64 = 4_096;

/// The size of an answer as the router has seen it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Bytes of the answer's text.
    pub(super) text: u64,
    /// Bytes of the other parts that the router reads, such as tool calls.
    pub(super) parts: u64,
    /// The number of raw pieces without text, which the router does not read. Each counts as one token.
    pub(super) pieces: u64,
    /// Bytes of these pieces, and of the whole answer if it came in the miner's own JSON.
    pub(super) raw: u64,
}

impl Seen {
    /// The estimated tokens, for the session's fair share and for the miner's speed.
    pub(super) fn tokens(&self, request: &TaskRequest) -> u64 {
        if request.kind == RequestKind::Embedding || request.kind.passes() {
            return 0;
        }
        let read = self.text.saturating_add(self.parts);
        let tokens = estimate_bytes(usize::try_from(read).unwrap_or(usize::MAX)).saturating_add(self.pieces);
        // An answer without text and pieces came whole as JSON, for example because it only calls tools.
        if tokens == 0 { estimate_bytes(usize::try_from(self.raw).unwrap_or(usize::MAX)) } else { tokens }
    }

    /// Lowers the claimed counts to the numbers that are possible.
    pub(super) fn bound(&self, request: &TaskRequest, claim: Usage) -> Usage {
        let bytes = self.text.saturating_add(self.parts).saturating_add(self.raw);
        let most = request.token_limit().map_or(bytes, |limit| limit.min(bytes));
        let (prompt, completion) = (most_of_prompt(request, claim.prompt_tokens), claim.completion_tokens.min(most));
        let bounded = Usage::new(prompt, completion)
            .cached_tokens(claim.cached_tokens.min(prompt))
            .reasoning_tokens(claim.reasoning_tokens.min(completion));
        bounded.in_json()
    }

    /// The miner's own JSON with its usage lowered to the numbers that are possible. The bytes are unchanged if the
    /// claim is possible.
    pub(super) fn bound_in(&self, request: &TaskRequest, raw: Bytes) -> Bytes {
        let mentions = |word: &[u8]| memchr::memmem::find(&raw, word).is_some();
        // The key may be written with escapes.
        if !mentions(b"usage") && !mentions(b"\\u") {
            return raw;
        }
        let Some(Usages(found)) = std::str::from_utf8(&raw).ok().and_then(|text| serde_json::from_str(text).ok())
        else {
            return raw;
        };
        let wrong = found.iter().any(|usage| !self.believes(request, usage.get()));
        if !wrong {
            return raw;
        }
        let mut out = Vec::with_capacity(raw.len());
        let mut from = 0;
        for usage in found {
            let start = usage.get().as_ptr() as usize - raw.as_ptr() as usize;
            out.extend_from_slice(&raw[from..start]);
            let bounded = self.bound(request, claimed(&serde_json::from_str(usage.get()).unwrap_or_default()));
            // Three numbers can always be written as JSON.
            out.extend_from_slice(&serde_json::to_vec(&bounded).unwrap_or_default());
            from = start + usage.get().len();
        }
        out.extend_from_slice(&raw[from..]);
        out.into()
    }

    fn believes(&self, request: &TaskRequest, usage: &str) -> bool {
        let Ok(usage) = serde_json::from_str::<Value>(usage) else { return false };
        let claim = claimed(&usage);
        let bounded = self.bound(request, claim);
        holds_counts(&usage)
            && (claim.prompt_tokens, claim.completion_tokens) == (bounded.prompt_tokens, bounded.completion_tokens)
            && greatest(&usage) <= bounded.total_tokens
    }
}

/// Lowers a claim of prompt tokens to the bytes of the prompt, plus an allowance for the template and for linked
/// objects.
fn most_of_prompt(request: &TaskRequest, claim: u64) -> u64 {
    let raws = [&request.messages, &request.input].into_iter().flatten().map(|raw| raw.get());
    let texts = [&request.prompt, &request.prompt_template].into_iter().flatten().map(String::as_str);
    let extras = request.extra.iter().map(|(_, value)| value.get());
    let bytes: usize = raws.chain(texts).chain(extras).map(str::len).sum();
    let most = TEMPLATE_TOKENS.saturating_add(bytes as u64);
    if claim <= most {
        return claim;
    }
    let links = request.messages.as_ref().map_or(0, |messages| messages.get().matches("_url\"").count());
    claim.min(most.saturating_add(LINKED_TOKENS.saturating_mul(links as u64)))
}

fn claimed(usage: &Value) -> Usage {
    let count = |keys: [&str; 2]| keys.iter().find_map(|key| usage.get(*key)).map_or(0, whole);
    Usage::new(count(["prompt_tokens", "input_tokens"]), count(["completion_tokens", "output_tokens"]))
}

/// A JSON number as a count of tokens; 0 for any other value.
fn whole(value: &Value) -> u64 {
    // The cast saturates and turns a negative number into 0.
    value.as_u64().or_else(|| Some(value.as_f64()? as u64)).unwrap_or(0)
}

/// Whether each member with the name of a count of tokens is a whole number that is not negative, or null.
fn holds_counts(value: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().all(holds_counts),
        Value::Object(members) => members.iter().all(|(name, value)| {
            holds_counts(value) && (!name.ends_with("_tokens") || value.is_null() || is_count(value))
        }),
        _ => true,
    }
}

fn is_count(value: &Value) -> bool {
    value.as_u64().is_some() || value.as_f64().is_some_and(|number| number >= 0.0 && number.fract() == 0.0)
}

/// The greatest number anywhere in the value.
fn greatest(value: &Value) -> u64 {
    match value {
        Value::Array(list) => list.iter().map(greatest).max().unwrap_or(0),
        Value::Object(members) => members.values().map(greatest).max().unwrap_or(0),
        number => whole(number),
    }
}

/// The values of all top-level members `usage` of an object, except null.
struct Usages<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Usages<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Usages<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Usages<'de>, A::Error> {
                let mut found = Vec::new();
                while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    if key == "usage" {
                        found.push(map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                found.retain(|usage: &&RawValue| usage.get() != "null");
                Ok(Usages(found))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> TaskRequest {
        TaskRequest::completion("0123456789").max_tokens(50)
    }

    #[test]
    fn a_claim_is_bounded_by_bytes_and_by_what_was_asked_for() {
        let seen = |text| Seen { text, ..Seen::default() };
        let bound = |text, claim| seen(text).bound(&request(), claim);
        assert_eq!(bound(100, Usage::new(9, 20)), Usage::new(9, 20));
        assert_eq!(bound(100, Usage::new(9, u64::MAX)), Usage::new(9, 50));
        assert_eq!(bound(7, Usage::new(u64::MAX, 1 << 50)), Usage::new(1_034, 7));
        assert_eq!(seen(7).bound(&TaskRequest::completion("x"), Usage::new(0, 1 << 50)), Usage::new(0, 7));
        assert_eq!(Seen { parts: 3, raw: 2, ..seen(1) }.bound(&request(), Usage::new(0, 40)), Usage::new(0, 6));
        let links = r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/y"}}]}]"#;
        let most = seen(1).bound(&TaskRequest::chat(links).unwrap(), Usage::new(u64::MAX, 0)).prompt_tokens;
        assert_eq!(most, 1_024 + links.len() as u64 + 2 * 4_096);
    }

    #[test]
    fn the_account_goes_by_what_was_seen() {
        let tokens = |seen: Seen| seen.tokens(&request());
        assert_eq!(tokens(Seen { text: 40, raw: 9_000, ..Seen::default() }), 10);
        assert_eq!(tokens(Seen { text: 8, parts: 8, pieces: 3, ..Seen::default() }), 7);
        assert_eq!(tokens(Seen { raw: 400, ..Seen::default() }), 100);
        let vectors = TaskRequest::default().kind(RequestKind::Embedding);
        assert_eq!(Seen { text: 40, raw: 9, ..Seen::default() }.tokens(&vectors), 0);
    }

    #[test]
    fn a_usage_in_the_miners_own_json_is_bounded_too() {
        let seen = Seen { text: 10, ..Seen::default() };
        let bound = |raw: &str| {
            String::from_utf8(seen.bound_in(&request(), Bytes::copy_from_slice(raw.as_bytes())).to_vec()).unwrap()
        };
        let bounded = r#"{"completion_tokens":10,"prompt_tokens":3,"total_tokens":13}"#;
        for claim in [
            r#"{"prompt_tokens":3,"completion_tokens":18446744073709551615,"total_tokens":5}"#,
            r#"{"prompt_tokens":3,"completion_tokens":1e300}"#,
            r#"{"input_tokens":3,"output_tokens":11}"#,
            r#"{"prompt_tokens":3,"completion_tokens":10,"total_tokens":99999}"#,
            r#"{"prompt_tokens":3,"completion_tokens":10,"completion_tokens_details":{"reasoning_tokens":9007199254740993}}"#,
        ] {
            assert_eq!(
                bound(&format!(r#"{{"a":[1], "usage": {claim} ,"z":2}}"#)),
                format!(r#"{{"a":[1], "usage": {bounded} ,"z":2}}"#)
            );
            let escaped = format!(r#"{{"\u0075sage":{claim}}}"#);
            assert_eq!(bound(&escaped), format!(r#"{{"\u0075sage":{bounded}}}"#));
        }
        for honest in [
            r#"{"usage":{"prompt_tokens":3,"completion_tokens":10,"total_tokens":13,"details":{"x":2}}}"#,
            r#"{"usage":null,"choices":[]}"#,
            r#"{"choices":[{"delta":{"content":"usage"}}]}"#,
            "no json: usage",
        ] {
            assert_eq!(bound(honest), honest);
        }
        for (odd, read) in [("-5", 0), ("2.5", 2), ("\"7\"", 0), ("[1]", 0)] {
            let raw = format!(r#"{{"usage":{{"prompt_tokens":3,"completion_tokens":{odd}}}}}"#);
            let total = read + 3;
            let wanted =
                format!(r#"{{"usage":{{"completion_tokens":{read},"prompt_tokens":3,"total_tokens":{total}}}}}"#);
            assert_eq!(bound(&raw), wanted);
        }
        let cost = r#"{"usage":{"prompt_tokens":3,"completion_tokens":2.0,"cost":0.5,"cost_change":-0.5}}"#;
        assert_eq!(bound(cost), cost);
        let twice = bound(r#"{"usage":{"completion_tokens":99},"usage":{"completion_tokens":99}}"#);
        assert!(!twice.contains("99"), "{twice}");
    }
}
