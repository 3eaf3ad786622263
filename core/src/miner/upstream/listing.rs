//! Reads an upstream's list of models leniently. Servers agree on little beyond `id`, and the list must not decide
//! whether a server is up: an odd entry is skipped, an odd member counts as unknown, and a body that is not a list
//! counts as no information.
//!
//! | form | used by |
//! |---|---|
//! | `{"data":[{"id"}]}` | OpenAI, vLLM, llama.cpp |
//! | `[{"id"}]` | Together, GitHub Models |
//! | `{"models":[{"model"}]}`, `{"models":[{"name"}]}` | Ollama, Gemini |
//! | `["a","b"]`, `{"data":{"a":{},"b":{}}}`, `{"a":{},"b":{}}` | gateways |

use std::collections::BTreeSet;
use std::num::NonZeroU64;

use serde_json::Value;

use crate::model::MAX_JSON_INTEGER;

/// The members that may hold the list, the likeliest first.
const LISTS: &[&str] = &["data", "models", "results", "result", "items"];
/// The maximum number of bytes of a model's name. Longer names are skipped.
const LONGEST_ID: usize = 256;
/// The depth to which nested objects are searched for the list.
const DEEPEST: usize = 3;
/// Members that a list of models never has. An object with one of them is not a list.
const NO_MODELS: &[&str] = &["error", "detail", "message", "errors"];

/// The content of a server's list.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// The models in the order of the list, without duplicates.
    pub(super) models: Vec<String>,
    /// The context size of the model with the largest one, in tokens; `None`: unknown.
    pub(super) max_context_tokens: Option<NonZeroU64>,
    /// Whether the server is llama.cpp, whose list contains only the context size of the model's training.
    pub(super) llama: bool,
    /// The query parameter that asks for the next page: its name and its value.
    pub(super) next: Option<(&'static str, String)>,
}

impl Listing {
    /// Reads a body; `None`: it contains no list.
    pub(super) fn of(body: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(body);
        let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
        let mut listing = Self { next: next_page(&value), ..Self::default() };
        let mut seen = BTreeSet::new();
        for (id, entry) in entries(&value, 0)? {
            let is_name = !id.is_empty() && id.len() <= LONGEST_ID && !id.chars().any(char::is_control);
            if !is_name || !seen.insert(id) {
                continue;
            }
            listing.models.push(id.to_owned());
            listing.max_context_tokens = listing.max_context_tokens.max(context(entry));
            listing.llama |= entry.get("owned_by").and_then(Value::as_str) == Some("llamacpp");
        }
        Some(listing)
    }

    /// Adds the next page. `false`: it lists no new model.
    pub(super) fn append(&mut self, page: Self) -> bool {
        let before = self.models.len();
        let known: BTreeSet<String> = self.models.iter().cloned().collect();
        self.models.extend(page.models.into_iter().filter(|model| !known.contains(model)));
        self.max_context_tokens = self.max_context_tokens.max(page.max_context_tokens);
        self.next = page.next;
        self.models.len() > before
    }
}

/// The names of the models, each with its entry; `None`: the value is not a list of models.
fn entries(value: &Value, depth: usize) -> Option<Vec<(&str, &Value)>> {
    match value {
        Value::Array(list) => Some(named(list)),
        Value::Object(members) => {
            let mut lists = LISTS.iter().filter_map(|key| members.get(*key)).peekable();
            if lists.peek().is_some() && depth < DEEPEST {
                // Ollama's list is `null` while it has no model; llama.cpp has `models` beside `data`.
                let found: Vec<_> = lists
                    .filter_map(|list| if list.is_null() { Some(Vec::new()) } else { entries(list, depth + 1) })
                    .collect();
                let fullest = found.iter().position(|list| !list.is_empty()).unwrap_or(0);
                return found.into_iter().nth(fullest);
            }
            let keyed = members.values().all(Value::is_object) && (depth > 0 || !members.is_empty());
            (keyed && !NO_MODELS.iter().any(|key| members.contains_key(*key)))
                .then(|| members.iter().map(|(key, entry)| (text(entry, "id").unwrap_or(key), entry)).collect())
        }
        _ => None,
    }
}

/// The entries of a list that have a name. If any entry has an `id`, only `id` counts, because `name` is then a title
/// for people. Ollama's entries have no `id`.
fn named(list: &[Value]) -> Vec<(&str, &Value)> {
    let by = |keys: &[&str]| -> Vec<(&str, &Value)> {
        let name = |entry| keys.iter().find_map(|key| text(entry, key));
        list.iter().filter_map(|entry| Some((entry.as_str().or_else(|| name(entry))?, entry))).collect()
    };
    let ids = by(&["id"]);
    if ids.is_empty() { by(&["model", "name"]) } else { ids }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str().filter(|text| !text.is_empty())
}

/// The context size of a model in tokens, under any of the known names.
fn context(entry: &Value) -> Option<NonZeroU64> {
    let meta = entry.get("meta").unwrap_or(&Value::Null);
    // `max_model_len` is used by vLLM and SGLang, the other names by hosted services, and `meta` by llama.cpp.
    let own = ["max_model_len", "context_length", "context_window", "max_context_length"];
    own.iter()
        .find_map(|key| positive(entry.get(*key)?))
        .or_else(|| ["n_ctx", "n_ctx_train"].iter().find_map(|key| positive(meta.get(*key)?)))
}

/// A positive number of tokens, as a number or a string; `None`: the value is neither.
pub(super) fn positive(value: &Value) -> Option<NonZeroU64> {
    let number = match value {
        Value::Number(number) => number.as_u64().map_or_else(|| number.as_f64(), |whole| Some(whole as f64))?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    // The cast saturates.
    NonZeroU64::new((number as u64).min(MAX_JSON_INTEGER)).filter(|_| number.is_finite())
}

/// The query parameter for the next page of a list that comes in pages.
fn next_page(value: &Value) -> Option<(&'static str, String)> {
    if value.get("has_more") == Some(&Value::Bool(true)) {
        return text(value, "last_id").map(|id| ("after_id", id.to_owned()));
    }
    text(value, "nextPageToken").map(|token| ("pageToken", token.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(body: &str) -> Option<Vec<String>> {
        Listing::of(body.as_bytes()).map(|listing| listing.models)
    }

    #[test]
    fn every_shape_of_a_list_is_read() {
        for body in [
            r#"{"object":"list","data":[{"id":"a"},{"id":"b"}]}"#,
            r#"[{"id":"a","object":"model"},{"id":"b"}]"#,
            r#"["a","b"]"#,
            r#"{"data":["a","b"]}"#,
            r#"{"models":[{"name":"a","model":"a"},{"name":"b"}]}"#,
            r#"{"models":["a","b"]}"#,
            r#"{"models":null,"data":[{"id":"a"},{"id":"b"}]}"#,
            r#"{"models":[{"name":"x"}],"data":[{"id":"a"},{"id":"b"}]}"#,
            r#"{"data":[],"models":[{"name":"a"},{"name":"b"}]}"#,
            r#"{"data":{"object":"list","data":[{"id":"a"},{"id":"b"}]}}"#,
            r#"{"data":{"a":{},"b":{"context_length":5}}}"#,
            r#"{"a":{"id":"a"},"b":{}}"#,
            r#"{"results":[{"id":"a"},{"id":"b"}],"count":2,"next":null}"#,
            "\u{feff} \n{\"data\":[{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"a\"}]}",
        ] {
            assert_eq!(models(body), Some(vec!["a".to_owned(), "b".to_owned()]), "{body}");
        }
    }

    #[test]
    fn odd_entries_and_members_cost_nothing_but_themselves() {
        let long = format!(r#"{{"data":[{{"id":"{}"}},{{"id":"a"}}]}}"#, "x".repeat(300));
        for body in [
            r#"{"data":[{"name":"x"},{"id":"a"}]}"#,
            r#"{"data":[null,5,[],{},{"id":null},{"id":7},{"id":""},{"id":"two\nlines"},{"id":"a"}]}"#,
            r#"{"data":[{"id":"a","max_model_len":-1,"owned_by":{"x":1},"meta":[],"context_length":"soon"}]}"#,
            r#"{"data":[{"id":"a","max_model_len":1e400,"meta":{"n_ctx":{}},"created":"x"}]}"#.replace("1e400", "{}").as_str(),
            &long,
        ] {
            assert_eq!(models(body), Some(vec!["a".to_owned()]), "{body}");
        }
        let bad = [&br#"{"data":[{"id":"a","owner":""#[..], b"\xff\xfe", br#""}]}"#].concat();
        assert_eq!(Listing::of(&bad).unwrap().models, ["a"]);
    }

    #[test]
    fn what_is_no_list_is_none() {
        for body in [
            "",
            "<html>",
            "5",
            "null",
            r#""a""#,
            "{}",
            r#"{"error":{}}"#,
            r#"{"detail":{},"x":{}}"#,
            r#"{"status":"ok"}"#,
        ] {
            assert_eq!(models(body), None, "{body}");
        }
        for body in ["[]", r#"{"data":null}"#, r#"{"data":[]}"#, r#"{"data":{}}"#, r#"{"models":[{}]}"#] {
            assert_eq!(models(body), Some(Vec::new()), "{body}");
        }
        assert_eq!(models(&"[".repeat(100_000)), None);
    }

    #[test]
    fn a_context_is_read_however_it_is_written() {
        for (member, tokens) in [
            (r#""max_model_len":4096"#, 4_096),
            (r#""context_length":131072.0"#, 131_072),
            (r#""context_length":"8192""#, 8_192),
            (r#""max_model_len":null,"context_window":512"#, 512),
            (r#""max_model_len":-1,"meta":{"n_ctx_train":64}"#, 64),
            (r#""max_model_len":0.5"#, 0),
            (r#""max_model_len":"NaN""#, 0),
            (r#""max_model_len":18446744073709551615"#, MAX_JSON_INTEGER),
            (r#""max_model_len":1e300"#, MAX_JSON_INTEGER),
            (r#""max_model_len":true"#, 0),
        ] {
            let listing = Listing::of(format!(r#"[{{"id":"a",{member}}}]"#).as_bytes()).unwrap();
            assert_eq!(listing.max_context_tokens, NonZeroU64::new(tokens), "{member}");
        }
    }

    #[test]
    fn pages_say_where_they_go_on() {
        let next = |body: &str| Listing::of(body.as_bytes()).unwrap().next;
        assert_eq!(next(r#"{"data":[{"id":"a"}],"has_more":true,"last_id":"a"}"#), Some(("after_id", "a".into())));
        assert_eq!(next(r#"{"models":[{"name":"a"}],"nextPageToken":"t"}"#), Some(("pageToken", "t".into())));
        for end in [r#"{"data":[],"has_more":false,"last_id":"a"}"#, r#"{"data":[],"has_more":true}"#, r#"{"data":[]}"#]
        {
            assert_eq!(next(end), None, "{end}");
        }
    }
}
