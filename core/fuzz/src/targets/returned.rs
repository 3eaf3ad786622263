//! Answers of servers that speak the Messages and Responses APIs, whole or as the events of streams. Whatever comes, a
//! chat's answer comes out that the readers of chats understand, and its events in both APIs are JSON again.

use cortensor_router_model::chat::Heard;
use cortensor_router_model::responses::{Asked, Named};
use cortensor_router_model::shape::Reply;
use cortensor_router_model::{Answer, Completion, messages, responses};
use serde_json::value::RawValue;

use super::Target;
use crate::growth::Growth;
use crate::shape::Shape;

pub(super) const TARGET: Target = Target {
    name: "returned",
    read,
    growth: Growth { fixed: 16 << 20, times: 512 },
    words: &[
        "{\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"x\",\"usage\":{\"input_tokens\":1}}}\n",
        "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\"}}\n",
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"a\"}}\n",
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\"}}\n",
        "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"r\"}}\n",
        "{\"type\":\"content_block_stop\",\"index\":0}\n",
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":1}}\n",
        "{\"type\":\"message_stop\"}\n{\"type\":\"ping\"}\n",
        "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"no\"}}\n",
        "{\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"x\"}}\n",
        "{\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\"}}\n",
        "{\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"a\"}\n",
        "{\"type\":\"response.function_call_arguments.delta\",\"output_index\":0,\"delta\":\"{\"}\n",
        "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"message\",\"content\":[]}}\n",
        "{\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":[],\"usage\":{}}}\n",
        "\"content\":[{\"type\":\"text\",\"text\":\"a\"}]",
        "\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"output_text\",\"text\":\"a\"}]}]",
        "\"stop_reason\":\"max_tokens\"",
        "\"incomplete_details\":{\"reason\":\"content_filter\"}",
    ],
    shapes: &[
        Shape { name: "many pieces of text", make: |n| block(0, "text_delta", "text").repeat(n) },
        Shape { name: "many pieces of a call", make: |n| block(0, "input_json_delta", "partial_json").repeat(n) },
        Shape {
            name: "pieces of many calls in turns",
            make: |n| {
                let begun = |at| {
                    let call = format!("{{\"type\":\"tool_use\",\"id\":\"t{at}\",\"name\":\"f\"}}");
                    format!("{{\"type\":\"content_block_start\",\"index\":{at},\"content_block\":{call}}}\n")
                };
                let more = |at| block(at, "input_json_delta", "partial_json");
                (0..n / 4).map(begun).chain((0..n / 4).rev().map(more)).collect::<Vec<_>>().concat()
            },
        },
        Shape {
            name: "many blocks of a whole answer",
            make: |n| format!("{{\"content\":[{}{{}}]}}", "{\"type\":\"text\",\"text\":\"a\"},".repeat(n)),
        },
        Shape {
            name: "many calls of a whole answer",
            make: |n| {
                let call = |at| format!("{{\"type\":\"tool_use\",\"id\":\"t{at}\",\"name\":\"f\",\"input\":{{}}}},");
                format!("{{\"content\":[{}{{}}]}}", (0..n).map(call).collect::<Vec<_>>().concat())
            },
        },
        Shape {
            name: "many deltas of an output",
            make: |n| "{\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"abc\"}\n".repeat(n),
        },
        Shape {
            name: "many items of an output",
            make: |n| {
                let item = |at| {
                    let item = format!("{{\"type\":\"function_call\",\"call_id\":\"c{at}\",\"name\":\"f\"}}");
                    format!("{{\"type\":\"response.output_item.added\",\"output_index\":{at},\"item\":{item}}}\n")
                };
                (0..n / 4).map(item).collect::<Vec<_>>().concat()
            },
        },
        Shape {
            name: "many items of a whole response",
            make: |n| {
                let part = "{\"type\":\"output_text\",\"text\":\"a\"}";
                let item = format!("{{\"type\":\"message\",\"content\":[{part}]}},");
                format!("{{\"status\":\"completed\",\"output\":[{}{{}}]}}", item.repeat(n))
            },
        },
        Shape { name: "many pings", make: |n| "{\"type\":\"ping\"}\n".repeat(n) },
        Shape {
            name: "halves of characters",
            make: |n| {
                let delta = "\"delta\":{\"type\":\"text_delta\",\"text\":\"\\ud83d\"}";
                format!("{{\"type\":\"content_block_delta\",\"index\":0,{delta}}}\n").repeat(n)
            },
        },
    ],
};

/// An event that goes on with a block.
fn block(index: usize, kind: &str, member: &str) -> String {
    let delta = format!("{{\"type\":\"{kind}\",\"{member}\":\"a\"}}");
    format!("{{\"type\":\"content_block_delta\",\"index\":{index},\"delta\":{delta}}}\n")
}

fn read(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (mut message, mut response) = (messages::Returned::new(1), responses::Returned::new(1));
    streamed(&text, |event| message.event(event));
    streamed(&text, |event| response.event(event));
    let wholes = [messages::Returned::new(1).whole(&text), responses::Returned::new(1).whole(&text)];
    wholes.iter().flatten().for_each(|whole| understood(whole));
}

/// Reads each line as an event. The chunks that come out become the events of both APIs.
fn streamed(lines: &str, mut hear: impl FnMut(&str) -> Heard) {
    let named = Named { digits: "1".into(), model: "m".into(), created_at: 1 };
    let mut message = messages::Events::new("msg_1".into(), "m".into(), messages::Wishes::default());
    let mut response = responses::Events::new(named, Asked::default(), None);
    let (mut of_message, mut of_response) = (Vec::new(), Vec::new());
    for line in lines.lines().filter(|line| is_json(line)) {
        let (chunks, is_over) = match hear(line) {
            Heard::Chunks(chunks) => (chunks, false),
            Heard::Over(chunks) => (chunks, true),
            Heard::Failed(words) => return assert!(is_json(&words), "the words of a failure are no JSON: {words}"),
            Heard::Foreign => (Vec::new(), false),
        };
        for chunk in chunks {
            understood(&chunk);
            message.piece("", Some(chunk.as_bytes()), &mut of_message);
            response.piece("", Some(chunk.as_bytes()), &mut of_response);
        }
        if is_over {
            break;
        }
    }
    let completion = Completion::new(Answer::default());
    message.end(&completion, &mut of_message);
    response.end(&completion.answer, Some(1), &mut of_response);
    for events in [of_message, of_response] {
        let events = String::from_utf8(events).unwrap_or_else(|error| panic!("events are no UTF-8: {error}"));
        for data in events.lines().filter_map(|line| line.strip_prefix("data: ")) {
            assert!(data == "[DONE]" || is_json(data), "the data of an event are no JSON: {data}");
        }
    }
}

fn understood(chat: &str) {
    assert!(is_json(chat) && Reply::of(chat).is_some(), "the readers of chats do not understand: {chat}");
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}
