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
    shapes: &[
        Shape { name: "many small lines", make: |n| "a\n".repeat(n) },
        Shape { name: "many lines of data", make: |n| format!("{}\n", "data: 1\n".repeat(n)) },
        Shape { name: "many empty events", make: |n| "data:\n\n".repeat(n) },
        Shape { name: "many comments", make: |n| ": a\n\n".repeat(n) },
        Shape { name: "one long line", make: |n| format!("data: {}", "a".repeat(n * 8)) },
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
        Shape { name: "events that wait for a choice", make: |n| "data: {\"choices\":[],\"odd\":1}\n\n".repeat(n) },
        Shape {
            name: "halves of characters",
            make: |n| "data: {\"choices\":[{\"delta\":{\"content\":\"\\ud83d\"}}]}\n\n".repeat(n),
        },
    ],
};

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
