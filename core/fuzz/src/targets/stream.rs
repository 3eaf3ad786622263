//! Streams of upstreams: wherever frames are cut, the same events and the same answer come out.

use bytes::Bytes;
use cortensor_router::internals::{Recorded, recorded};

use super::Target;
use crate::growth::Growth;
use crate::shape::Shape;

pub(super) const TARGET: Target = Target {
    name: "stream",
    read,
    // The stream is read in three ways, and each reading is kept for the comparison.
    growth: Growth { fixed: 8 << 20, times: 96 },
    words: &[
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n",
        "{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}",
        "\"finish_reason\":\"stop\"",
        "\"usage\":{\"prompt_tokens\":1}",
        "data: [DONE]\n\n",
        "error: {\"message\":\"no\"}\n\n",
        "\r\r",
        ":\n",
    ],
    shapes: SHAPES,
};

/// Streams that are hard to read.
const SHAPES: &[Shape] = &[
    Shape { name: "many small lines", make: |n| "a\n".repeat(n) },
    Shape { name: "many lines of data", make: |n| format!("{}\n", "data: 1\n".repeat(n)) },
    Shape { name: "many empty events", make: |n| "data:\n\n".repeat(n) },
    Shape { name: "many comments", make: |n| ": a\n\n".repeat(n) },
    Shape { name: "many comments in one event", make: |n| format!("data: 1\n{}\n", ": a\n".repeat(n)) },
    Shape { name: "many names of one event", make: |n| format!("{}data: 1\n\n", "event: a\nid: 1\n".repeat(n)) },
    Shape { name: "many lines that end with a return", make: |n| "data: 1\r\r".repeat(n) },
    Shape { name: "one long line", make: |n| format!("data: {}", "a".repeat(n * 8)) },
    Shape {
        name: "one text with many escapes",
        make: |n| event(&format!("{{\"content\":\"{}\"}}", "\\n\\u00e9\\ud83d".repeat(n))),
    },
    Shape {
        name: "deep JSON",
        make: |n| event(&format!("{{\"content\":\"a\",\"x\":{}1{}}}", "[".repeat(n), "]".repeat(n))),
    },
    Shape {
        name: "many pieces of text",
        make: |n| "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"abc\"}}]}\n\n".repeat(n),
    },
    Shape {
        name: "many pieces of a tool call",
        make: |n| {
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"f\",\"arguments\":\"abc\"}}]}}]}\n\n"
                    .repeat(n)
        },
    },
    Shape {
        name: "pieces of many tool calls in turns",
        make: |n| {
            let begun = |at| format!("{{\"index\":{at},\"id\":\"c{at}\",\"function\":{{\"name\":\"f\"}}}}");
            let more = |at| format!("{{\"index\":{at},\"function\":{{\"arguments\":\"1\"}}}}");
            let calls = (0..n / 4).rev().map(begun).chain((0..n / 4).map(more));
            events(calls.map(|call| format!("{{\"tool_calls\":[{call}]}}")))
        },
    },
    Shape {
        name: "pieces of many tool calls by their ids",
        make: |n| {
            let begun = |at| format!("{{\"id\":\"c{at}\",\"function\":{{\"name\":\"f\"}}}}");
            let more = |at| format!("{{\"id\":\"c{at}\",\"function\":{{\"arguments\":\"1\"}}}}");
            let calls = (0..n / 4).rev().map(begun).chain((0..n / 4).map(more));
            events(calls.map(|call| format!("{{\"tool_calls\":[{call}]}}")))
        },
    },
    Shape {
        name: "pieces of many choices in turns",
        make: |n| {
            let piece = |at| format!("data: {{\"choices\":[{{\"index\":{at},\"delta\":{{\"content\":\"a\"}}}}]}}\n\n");
            (0..n / 4).rev().chain(0..n / 4).map(piece).collect::<Vec<_>>().concat()
        },
    },
    Shape {
        name: "many logprobs",
        make: |n| {
            let probability = "{\"token\":\"a\",\"logprob\":-0.5,\"top_logprobs\":[]}";
            let logprobs = format!("\"logprobs\":{{\"content\":[{probability}]}}");
            format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}},{logprobs}}}]}}\n\n").repeat(n / 4)
        },
    },
    Shape {
        name: "many parts of a content",
        make: |n| events((0..n / 4).map(|_| "{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}".to_owned())),
    },
    Shape {
        name: "many numbered elements",
        make: |n| events((0..n / 4).map(|at| format!("{{\"details\":[{{\"index\":{at},\"text\":\"a\"}}]}}"))),
    },
    Shape {
        name: "pieces beside a long element",
        make: |n| {
            let long = format!("{{\"details\":[{{\"index\":0,\"text\":\"{}\"}}]}}", "a".repeat(n * 16));
            let piece = "{\"details\":[{\"index\":1,\"text\":\"a\"}]}";
            events(std::iter::once(long).chain((0..n / 4).map(|_| piece.to_owned())))
        },
    },
    Shape {
        name: "many members of a message",
        make: |n| {
            let members = |at| (at * 8..at * 8 + 8).map(|at| format!(",\"m{at}\":\"b\"")).collect::<Vec<_>>().concat();
            events((0..n / 8).map(|at| format!("{{\"content\":\"a\"{}}}", members(at))))
        },
    },
    Shape {
        name: "one member again and again",
        make: |n| event(&format!("{{{}\"content\":\"a\"}}", "\"m\":\"b\",".repeat(n))),
    },
    Shape { name: "events that wait for a choice", make: |n| "data: {\"choices\":[],\"odd\":1}\n\n".repeat(n) },
    Shape {
        name: "halves of characters",
        make: |n| "data: {\"choices\":[{\"delta\":{\"content\":\"\\ud83d\"}}]}\n\n".repeat(n),
    },
];

/// An event with that delta of the choice 0.
fn event(delta: &str) -> String {
    format!("data: {{\"choices\":[{{\"delta\":{delta}}}]}}\n\n")
}

fn events(deltas: impl Iterator<Item = String>) -> String {
    deltas.map(|delta| event(&delta)).collect::<Vec<_>>().concat()
}

/// Far above every input, so that no event is too long wherever it is cut.
const MOST: usize = 1 << 24;

fn read(data: &[u8]) {
    let whole = recorded([Bytes::copy_from_slice(data)], MOST);
    // The input itself says where it is cut.
    let cut = data.iter().fold(data.len(), |sum, byte| sum.wrapping_mul(31) + usize::from(*byte)) % (data.len() + 1);
    let (left, right) = data.split_at(cut);
    let halves = [left, right].map(Bytes::copy_from_slice);
    same(&whole, &recorded(halves, MOST), "cut in two");
    let size = 4 + cut % 2;
    same(&whole, &recorded(data.chunks(size).map(Bytes::copy_from_slice), MOST), "cut in small frames");
    let events: usize = whole.events.iter().map(|(data, _)| data.len()).sum();
    assert!(events <= data.len(), "{} bytes gave {events} bytes of events", data.len());
}

fn same(whole: &Recorded, cut: &Recorded, how: &str) {
    assert_eq!(whole.events, cut.events, "{how}");
    assert_eq!(whole.chunks, cut.chunks, "{how}");
    assert_eq!(whole.answer, cut.answer, "{how}");
}
