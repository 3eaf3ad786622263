//! Bodies of requests: what was read and is written reads the same, and an error is no longer than what it is about.

use cortensor_router_model::internals::from_json;
use cortensor_router_model::{Error, MinerSpec, SessionPatch, SessionSpec, TaskRequest, ValidationSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Target, stable};
use crate::growth::Growth;
use crate::shape::Shape;

pub(super) const TARGET: Target =
    Target { name: "request", read, growth: Growth { fixed: 1 << 20, times: 64 }, words: WORDS, shapes: SHAPES };

/// Members of requests.
pub(super) const WORDS: &[&str] = &[
    "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]",
    "{\"type\":\"text\",\"text\":\"a\"}",
    "\"prompt\":[1,2]",
    "\"input\":[\"a\",\"b\"]",
    "\"n\":2",
    "\"max_tokens\":1.0",
    "\"timeout\":0.5",
    "\"stream\":true",
    "\"stream_options\":{\"include_usage\":true}",
    "\"validation_policy\":\"medoid\"",
    "\"match_pointers\":[\"/a\"]",
    "\"minNumOfNodes\":2",
    "\"redundant\":3",
    "\"name\":\"a\"",
    "\"models\":[\"m\"]",
    "\"metadata\":{}",
];

/// Bodies that are hard to read.
pub(super) const SHAPES: &[Shape] = &[
    Shape { name: "many members", make: |n| members((0..n).map(|at| format!("\"m{at}\":[1,null]"))) },
    Shape { name: "one member again and again", make: |n| members((0..n).map(|_| "\"m\":1".to_owned())) },
    Shape { name: "a long text", make: |n| members([format!("\"user\":\"{}\"", "a".repeat(n * 8))]) },
    Shape { name: "many escapes", make: |n| members([format!("\"user\":\"{}\"", "\\u00e9".repeat(n))]) },
    Shape { name: "many messages", make: |n| messages(&"{\"role\":\"user\",\"content\":\"a\"},".repeat(n)) },
    Shape {
        name: "many parts",
        make: |n| messages(&format!("{{\"role\":\"user\",\"content\":[{}1]}},", "{\"text\":\"a\"},".repeat(n))),
    },
    Shape { name: "deep lists", make: |n| members([format!("\"x\":{}{}", "[".repeat(n), "]".repeat(n))]) },
    Shape { name: "deep objects", make: |n| members([format!("\"x\":{}1{}", "{\"a\":".repeat(n), "}".repeat(n))]) },
    Shape { name: "many inputs", make: |n| format!("{{\"input\":[{}\"a\"]}}", "\"a\",".repeat(n)) },
    Shape { name: "many tokens", make: |n| format!("{{\"prompt\":[{}1]}}", "1,".repeat(n)) },
    Shape { name: "many pointers", make: |n| format!("{{\"match_pointers\":[{}\"/a\"]}}", "\"/a\",".repeat(n)) },
    Shape {
        name: "many pointers that differ",
        make: |n| format!("{{\"match_pointers\":[{}]}}", numbered(n, |at| format!("\"/a{at}\""))),
    },
    Shape {
        name: "many models that differ",
        make: |n| format!("{{\"name\":\"m\",\"models\":[{}]}}", numbered(n, |at| format!("\"m{at}\""))),
    },
    Shape {
        name: "many tools",
        make: |n| {
            let tool =
                |at| format!("{{\"type\":\"function\",\"function\":{{\"name\":\"f{at}\",\"parameters\":{{}}}}}}");
            members([format!("\"tools\":[{}]", numbered(n, tool))])
        },
    },
    Shape { name: "many words that stop", make: |n| members([format!("\"stop\":[{}\"a\"]", "\"b\",".repeat(n))]) },
    Shape {
        name: "many members of the metadata",
        make: |n| members([format!("\"metadata\":{{{}}}", numbered(n, |at| format!("\"m{at}\":\"a\"")))]),
    },
    Shape {
        name: "one member of a message again and again",
        make: |n| messages(&format!("{{{}\"role\":\"user\",\"content\":\"a\"}},", "\"m\":1,".repeat(n))),
    },
    Shape { name: "many models", make: |n| format!("{{\"name\":\"m\",\"models\":[{}\"a\"]}}", "\"a\",".repeat(n)) },
    Shape { name: "a broken end", make: |n| format!("{{\"a\":[{}", "1,".repeat(n)) },
];

fn numbered(n: usize, item: impl Fn(usize) -> String) -> String {
    (0..n).map(item).collect::<Vec<_>>().join(",")
}

fn members(members: impl IntoIterator<Item = String>) -> String {
    format!("{{\"prompt\":\"a\",{}}}", members.into_iter().collect::<Vec<_>>().join(","))
}

fn messages(messages: &str) -> String {
    format!("{{\"messages\":[{messages}{{\"role\":\"user\",\"content\":\"b\"}}]}}")
}

/// The bytes that an error may say beyond the length of what it is about.
const WORDS_OF_AN_ERROR: usize = 2 << 10;

fn read(data: &[u8]) {
    if let Some(request) = record::<TaskRequest>(data) {
        let _ = (request.prompt_text(), request.choices(), request.wants_upstream());
        if let Err(error) = request.with_checked_input() {
            told(&error, data);
        }
    }
    if let Some(spec) = record::<SessionSpec>(data)
        && let Err(error) = spec.validated()
    {
        told(&error, data);
    }
    if let Some(spec) = record::<MinerSpec>(data)
        && let Err(error) = spec.validate()
    {
        told(&error, data);
    }
    record::<ValidationSpec>(data);
    if let Err(error) = from_json::<SessionPatch>("body", data) {
        told(&error, data);
    }
}

/// Reads a record. Once it was written, it reads the same for ever. `serde_json` reads a number with a fraction and more
/// than fifteen digits to within one unit of its last digit, so a record with such a number is only read.
fn record<T: DeserializeOwned + Serialize>(data: &[u8]) -> Option<T> {
    match from_json::<T>("body", data) {
        Ok(record) => {
            if !has_long_fraction(&written(&record)) {
                stable(&record, written, |text| from_json::<T>("body", text.as_bytes()));
            }
            Some(record)
        }
        Err(error) => {
            told(&error, data);
            None
        }
    }
}

fn has_long_fraction(json: &str) -> bool {
    let numbers = json.split(|letter: char| !matches!(letter, '0'..='9' | '.' | 'e' | 'E' | '+' | '-'));
    let digits = |number: &str| number.bytes().filter(u8::is_ascii_digit).count();
    numbers.filter(|number| number.contains(['.', 'e', 'E'])).any(|number| digits(number) > 15)
}

pub(super) fn written<T: Serialize>(record: &T) -> String {
    serde_json::to_string(record).unwrap_or_else(|error| panic!("a record cannot be written: {error}"))
}

/// Checks an error: it says something, and not much more than the input did.
pub(super) fn told(error: &Error, data: &[u8]) {
    let length = error.message().len();
    assert!(length > 0, "an error says nothing");
    assert!(length <= 4 * data.len() + WORDS_OF_AN_ERROR, "{} bytes led to an error of {length} bytes", data.len());
}
