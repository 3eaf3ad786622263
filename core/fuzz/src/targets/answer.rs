//! Answers in OpenAI's shape: a whole answer becomes chunks, and the chunks become a whole answer that says the same.

use bytes::Bytes;
use cortensor_router_model::shape::{Join, Joint, Json, Reply, Words, repaired, split, utf8};
use serde_json::value::RawValue;

use super::Target;
use crate::growth::Growth;
use crate::shape::Shape;

pub(super) const TARGET: Target = Target {
    name: "answer",
    read,
    growth: Growth { fixed: 16 << 20, times: 64 },
    words: &[
        "\"choices\":[",
        "{\"index\":1,\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"finish_reason\":\"stop\"}",
        "\"delta\":{",
        "\"tool_calls\":[{\"id\":\"c\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]",
        "\"logprobs\":{\"content\":[1]}",
        "\"text\":",
        "\"usage\":{}",
        "\"reasoning_content\":\"r\"",
    ],
    shapes: &[
        Shape { name: "many members", make: |n| object((0..n).map(|at| format!("\"m{at}\":1"))) },
        Shape { name: "one member again and again", make: |n| object((0..n).map(|_| "\"m\":1".to_owned())) },
        Shape { name: "many choices", make: |n| choices((0..n).map(|at| choice(at, "\"a\"", ""))) },
        Shape {
            name: "many choices behind a long head",
            make: |n| {
                let head: String = ["id", "created", "model", "system_fingerprint", "service_tier"]
                    .map(|name| format!("\"{name}\":\"{}\",", "a".repeat(250)))
                    .concat();
                format!("{{{head}\"choices\":[{}{{}}]}}", "{},".repeat(n * 32))
            },
        },
        Shape { name: "many choices backwards", make: |n| choices((0..n / 2).rev().map(|at| choice(at, "\"a\"", ""))) },
        Shape {
            name: "many logprobs",
            make: |n| {
                let token = "{\"token\":\"a\",\"logprob\":-0.5,\"bytes\":[97],\"top_logprobs\":[]},".repeat(n);
                format!(
                    "{{\"choices\":[{{\"message\":{{\"content\":\"a\"}},\"logprobs\":{{\"content\":[{token}1]}}}}]}}"
                )
            },
        },
        Shape { name: "the choice 0 again and again", make: |n| choices((0..n).map(|_| choice(0, "\"a\"", ""))) },
        Shape { name: "a long text", make: |n| choices([choice(0, &format!("\"{}\"", "a".repeat(n * 8)), "")]) },
        Shape { name: "many escapes", make: |n| choices([choice(0, &format!("\"{}\"", "\\n\\ud83d".repeat(n)), "")]) },
        Shape { name: "deep lists", make: |n| choices([choice(0, &nested("[", "]", n), "")]) },
        Shape { name: "deep objects", make: |n| choices([choice(0, &nested("{\"a\":", "}", n), "")]) },
        Shape {
            name: "many tool calls",
            make: |n| {
                let call = |at| format!("{{\"id\":\"c{at}\",\"function\":{{\"name\":\"f\",\"arguments\":\"1\"}}}}");
                calls((0..n).map(call))
            },
        },
        Shape {
            name: "many numbered tool calls backwards",
            make: |n| {
                let call = |at| format!("{{\"index\":{at},\"function\":{{\"name\":\"f\",\"arguments\":\"1\"}}}}");
                calls((0..n).rev().map(call))
            },
        },
        Shape {
            name: "many parts",
            make: |n| choices([choice(0, &format!("[{}0]", "{\"text\":\"a\"},".repeat(n)), "")]),
        },
        Shape {
            name: "many members of a message",
            make: |n| {
                let members = (0..n).map(|at| format!(",\"m{at}\":\"a\"")).collect::<Vec<_>>().concat();
                choices([choice(0, "\"a\"", &members)])
            },
        },
        Shape { name: "no numbers", make: |n| format!("{{\"a\":[{}1]}}", "NaN,".repeat(n)) },
    ],
};

fn object(members: impl Iterator<Item = String>) -> String {
    format!("{{\"choices\":[{{\"message\":{{\"content\":\"a\"}}}}],{}}}", members.collect::<Vec<_>>().join(","))
}

fn choices(choices: impl IntoIterator<Item = String>) -> String {
    format!("{{\"id\":\"a\",\"choices\":[{}]}}", choices.into_iter().collect::<Vec<_>>().join(","))
}

/// An answer whose only choice has these calls of tools.
fn calls(calls: impl Iterator<Item = String>) -> String {
    choices([choice(0, "null", &format!(",\"tool_calls\":[{}]", calls.collect::<Vec<_>>().join(",")))])
}

fn choice(index: usize, content: &str, more: &str) -> String {
    format!("{{\"index\":{index},\"message\":{{\"content\":{content}{more}}},\"finish_reason\":\"stop\"}}")
}

fn nested(open: &str, close: &str, levels: usize) -> String {
    format!("{}1{}", open.repeat(levels), close.repeat(levels))
}

fn read(data: &[u8]) {
    let text = utf8(Bytes::copy_from_slice(data));
    let text = if is_json(&text) { text } else { repaired(&text) };
    let Ok(text) = std::str::from_utf8(&text) else { panic!("the repaired text is no UTF-8") };
    let is_value = Json::of(text).is_some();
    assert_eq!(is_value, is_json(text.as_bytes()), "only one of two readers takes this as JSON: {text}");
    let Some(reply) = Reply::of(text) else {
        assert!(split(text, Words::Unsaid).is_empty(), "chunks of no answer");
        return;
    };
    let _ = (reply.usage(), reply.model());
    let chunks = split(text, Words::Unsaid);
    for chunk in chunks.iter().chain(&split(text, Words::Said)) {
        assert!(Reply::of(chunk).is_some(), "a chunk is no object: {chunk}");
    }
    if !reply.has_choices() {
        return;
    }
    let whole = joined(&chunks);
    if let Some(text) = said(text, 0) {
        assert_eq!(Some(text), said(&whole, 0), "the text of the first choice changed");
    }
    // The first times leave out what OpenAI's shape does not have, and add what every chunk has. After that nothing
    // changes any more.
    let settled = joined(&split(&whole, Words::Unsaid));
    let again = joined(&split(&settled, Words::Unsaid));
    assert_eq!(settled, again, "an answer that was made into chunks and back changed");
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(text).is_ok()
}

fn joined(chunks: &[String]) -> String {
    let mut join = Join::new(1 << 20);
    for chunk in chunks {
        if let Some(reply) = Reply::of(chunk) {
            join.take(&reply);
        }
    }
    join.into_json("stop")
}

/// The text of the choice with that number, if one choice alone has it.
fn said(answer: &str, number: u64) -> Option<String> {
    let reply = Reply::of(answer)?;
    let mut of_number = reply.choices.iter().flatten().filter(|choice| choice.index == number);
    let (first, other) = (of_number.next()?, of_number.next());
    if other.is_some() {
        return None;
    }
    Some(first.words(first.whole()).map(Joint::of).unwrap_or_default())
}
