//! Requests of the Messages and Responses APIs: one that is read is a chat, and the chat can be written in both APIs and
//! read again.

use cortensor_router_model::chat::{Request, Written, into_raw};
use cortensor_router_model::{Error, Result, TaskRequest, messages, responses};

use super::Target;
use super::request::told;
use crate::growth::Growth;
use crate::shape::Shape;

pub(super) const TARGET: Target = Target {
    name: "translated",
    read,
    growth: Growth { fixed: 4 << 20, times: 192 },
    words: &[
        "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}]",
        "\"system\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":{\"type\":\"ephemeral\"}}]",
        "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\",\"input\":{}}",
        "{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":\"a\",\"is_error\":true}",
        "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":\"AA==\"}}",
        "{\"type\":\"thinking\",\"thinking\":\"r\",\"signature\":\"s\"}",
        "\"tools\":[{\"name\":\"f\",\"input_schema\":{}}]",
        "\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true}",
        "\"max_tokens\":9",
        "\"input\":[{\"role\":\"user\",\"content\":\"a\"}]",
        "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"}",
        "{\"type\":\"function_call_output\",\"call_id\":\"c\",\"output\":\"a\"}",
        "{\"type\":\"reasoning\",\"summary\":[],\"content\":[{\"type\":\"reasoning_text\",\"text\":\"r\"}]}",
        "\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{}}}",
        "\"instructions\":\"s\"",
        "\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\"}",
    ],
    shapes: &[
        Shape { name: "many blocks", make: |n| message(&"{\"type\":\"text\",\"text\":\"a\"},".repeat(n)) },
        Shape {
            name: "many calls and results",
            make: |n| {
                let call = |at| format!("{{\"type\":\"tool_use\",\"id\":\"t{at}\",\"name\":\"f\",\"input\":{{}}}}");
                let result = |at| format!("{{\"type\":\"tool_result\",\"tool_use_id\":\"t{at}\"}}");
                let turn = |role, blocks: String| format!("{{\"role\":\"{role}\",\"content\":[{blocks}]}}");
                let turns = [turn("assistant", listed(n, call)), turn("user", listed(n, result))].join(",");
                format!("{{\"max_tokens\":9,\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}},{turns}]}}")
            },
        },
        Shape {
            name: "many turns",
            make: |n| {
                let turn = |at: usize| format!("{{\"role\":\"{}\",\"content\":\"a\"}}", ["user", "assistant"][at % 2]);
                format!("{{\"max_tokens\":9,\"messages\":[{}]}}", listed(n, turn))
            },
        },
        Shape {
            name: "many system blocks",
            make: |n| {
                let blocks = "{\"type\":\"text\",\"text\":\"a\"},".repeat(n);
                let system = format!("\"system\":[{blocks}{{\"type\":\"text\",\"text\":\"b\"}}]");
                format!("{{\"max_tokens\":9,{system},\"messages\":[{{\"role\":\"user\",\"content\":\"a\"}}]}}")
            },
        },
        Shape {
            name: "many tools",
            make: |n| {
                let tools = listed(n, |at| format!("{{\"name\":\"f{at}\",\"input_schema\":{{}}}}"));
                let rest = "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]";
                format!("{{\"max_tokens\":9,\"tools\":[{tools}],{rest}}}")
            },
        },
        Shape {
            name: "many items",
            make: |n| items(listed(n, |_| "{\"role\":\"user\",\"content\":\"a\"}".to_owned())),
        },
        Shape {
            name: "many function calls and outputs",
            make: |n| {
                let call = |at| {
                    let call = "\"type\":\"function_call\",\"name\":\"f\",\"arguments\":\"{}\"";
                    format!("{{{call},\"call_id\":\"c{at}\"}}")
                };
                let output =
                    |at| format!("{{\"type\":\"function_call_output\",\"call_id\":\"c{at}\",\"output\":\"a\"}}");
                items([listed(n, call), listed(n, output)].join(","))
            },
        },
        Shape {
            name: "many pieces of reasoning",
            make: |n| {
                let item = "{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\",\"text\":\"r\"}]}";
                items([listed(n, |_| item.to_owned()), "{\"role\":\"user\",\"content\":\"a\"}".to_owned()].join(","))
            },
        },
        Shape {
            name: "many members",
            make: |n| format!("{{\"input\":\"a\",{}}}", listed(n, |at| format!("\"m{at}\":[1,null]"))),
        },
        Shape { name: "a long text", make: |n| format!("{{\"input\":\"{}\"}}", "\\u00e9a".repeat(n)) },
    ],
};

fn listed(n: usize, item: impl Fn(usize) -> String) -> String {
    (0..n).map(item).collect::<Vec<_>>().join(",")
}

/// A request of the Messages API with these blocks, each followed by a comma.
fn message(blocks: &str) -> String {
    let last = "{\"type\":\"text\",\"text\":\"b\"}";
    format!("{{\"max_tokens\":9,\"messages\":[{{\"role\":\"user\",\"content\":[{blocks}{last}]}}]}}")
}

/// A request of the Responses API with these items.
#[allow(clippy::needless_pass_by_value, reason = "the items are made for it")]
fn items(items: String) -> String {
    format!("{{\"input\":[{items}]}}")
}

fn read(data: &[u8]) {
    for read in [of_messages, of_responses] {
        match read(data).and_then(TaskRequest::with_checked_input) {
            Ok(chat) => {
                passed_on(&chat, to_messages, of_messages);
                passed_on(&chat, to_responses, of_responses);
            }
            Err(error) => told(&error, data),
        }
    }
}

fn of_messages(body: &[u8]) -> Result<TaskRequest> {
    messages::to_chat(body).map(|read| read.chat)
}

fn of_responses(body: &[u8]) -> Result<TaskRequest> {
    let read = responses::to_chat(body)?;
    let mut chat = read.chat;
    chat.messages = Some(into_raw(&read.messages)?);
    Ok(chat)
}

fn to_messages(chat: Request<'_>) -> Result<Written> {
    messages::onward(chat, Some("m"), false, 9)
}

fn to_responses(chat: Request<'_>) -> Result<Written> {
    responses::onward(chat, Some("m"), false)
}

/// Writes a chat in the words of an API and reads it again. A body that can be written can be read, and from then on
/// it stays the same.
fn passed_on(chat: &TaskRequest, write: fn(Request<'_>) -> Result<Written>, read: fn(&[u8]) -> Result<TaskRequest>) {
    let Ok(body) = body(chat, write) else { return };
    let again = match read(&body) {
        Ok(again) => again,
        // A member that a chat does not know goes on as it came, and may be wrong where it is known.
        Err(error) if is_foreign(chat, &error) => return,
        Err(error) => panic!("what was written cannot be read: {error}: {}", String::from_utf8_lossy(&body)),
    };
    let once = body_of(&again, write);
    let twice = body_of(&read(&once).unwrap_or_else(|error| panic!("it cannot be read again: {error}")), write);
    let shown = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
    assert_eq!(shown(&once), shown(&twice), "what was written reads otherwise");
}

/// Whether the error is about a member that only passes through.
fn is_foreign(chat: &TaskRequest, error: &Error) -> bool {
    let param = error.details().param.as_deref().unwrap_or_default();
    chat.extra.iter().any(|(name, _)| param.starts_with(name.as_str()))
}

fn body(chat: &TaskRequest, write: fn(Request<'_>) -> Result<Written>) -> Result<Vec<u8>, Error> {
    let request = Request::of(chat, chat.params().others(), None)?;
    Ok(write(request)?.write(Vec::new()))
}

fn body_of(chat: &TaskRequest, write: fn(Request<'_>) -> Result<Written>) -> Vec<u8> {
    body(chat, write).unwrap_or_else(|error| panic!("what was read cannot be written: {error}"))
}
