//! A whole answer, made into the chunks of a stream.

use super::members::{elements, last};
use super::node::{write_key, write_string};
use super::reply::{Choice, Reply, is_end};
use super::value::Json;

/// Members that stand in every chunk. The others stand in the first.
const EVERYWHERE: &[&str] = &["id", "created", "model", "system_fingerprint", "service_tier"];

/// The longest value that stands in every chunk.
const MOST_EVERYWHERE: usize = 256;

/// Whether the words of the first choice are among the chunks, or were said before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// The chunks say them.
    Unsaid,
    /// The chunks leave them out.
    Said,
}

/// The chunks of a stream that says the same: each choice's message as one delta, each choice's end, the usage. Empty
/// where `json` is no object with choices.
pub fn split(json: &str, words: Words) -> Vec<String> {
    let Some(reply) = Reply::of(json) else { return Vec::new() };
    let mut choices: Vec<&Choice<'_>> = reply.choices.iter().flatten().collect();
    choices.sort_by_key(|choice| choice.index);
    let is_chat = choices.iter().any(|choice| choice.whole().is_some());
    let mut chunks: Vec<String> = choices
        .iter()
        .enumerate()
        .map(|(place, choice)| {
            let is_said = place == 0 && words == Words::Said;
            chunk(&reply, is_chat, place == 0, |out| write_said(choice, is_chat, is_said, out))
        })
        .collect();
    chunks.extend(choices.iter().filter_map(|choice| {
        let reason = choice.finish_reason.filter(|reason| is_end(*reason))?;
        Some(chunk(&reply, is_chat, false, |out| write_end(choice, is_chat, reason, out)))
    }));
    if let Some(usage) = reply.usage.filter(|_| !chunks.is_empty()) {
        let mut last = chunk(&reply, is_chat, false, |_| ());
        last.pop();
        write_key("usage", &mut last);
        last.push_str(usage.get());
        last.push('}');
        chunks.push(last);
    }
    chunks
}

fn chunk(reply: &Reply<'_>, is_chat: bool, is_first: bool, choices: impl FnOnce(&mut String)) -> String {
    let mut out = String::from("{");
    let is_written =
        |key: &str, value: Json<'_>| is_first || EVERYWHERE.contains(&key) && value.get().len() <= MOST_EVERYWHERE;
    if let Some(id) = reply.get("id").filter(|id| is_written("id", *id)) {
        write_key("id", &mut out);
        out.push_str(id.get());
    }
    write_key("object", &mut out);
    write_string(if is_chat { "chat.completion.chunk" } else { "text_completion" }, &mut out);
    for (key, value) in &reply.others {
        if matches!(&**key, "id" | "object") || !is_written(key, *value) {
            continue;
        }
        write_key(key, &mut out);
        out.push_str(value.get());
    }
    write_key("choices", &mut out);
    out.push('[');
    choices(&mut out);
    out.push_str("]}");
    out
}

fn write_said(choice: &Choice<'_>, is_chat: bool, is_said: bool, out: &mut String) {
    out.push('{');
    write_key("index", out);
    out.push_str(&choice.index.to_string());
    if is_chat {
        write_key("delta", out);
        write_delta(choice, is_said, out);
    } else {
        write_key("text", out);
        out.push_str(choice.text.filter(|_| !is_said).map_or("\"\"", Json::get));
    }
    for (key, value) in &choice.others {
        write_key(key, out);
        out.push_str(value.get());
    }
    out.push_str(",\"finish_reason\":null}");
}

fn write_end(choice: &Choice<'_>, is_chat: bool, reason: Json<'_>, out: &mut String) {
    out.push_str("{\"index\":");
    out.push_str(&choice.index.to_string());
    out.push_str(if is_chat { ",\"delta\":{}" } else { ",\"text\":\"\",\"logprobs\":null" });
    out.push_str(",\"finish_reason\":");
    out.push_str(reason.get());
    out.push('}');
}

/// A choice's message as a delta: the same, but that each call of a tool has its number. The text beside a message
/// without content is its content.
fn write_delta(choice: &Choice<'_>, is_said: bool, out: &mut String) {
    out.push('{');
    let message = choice.whole();
    let calls = message.and_then(|message| message.last("tool_calls")).filter(|calls| calls.is_list());
    if let Some(message) = message {
        message.members(|key, value| {
            if key == "tool_calls" && calls.is_some() || is_said && matches!(&*key, "role" | "content") {
                return;
            }
            write_key(&key, out);
            out.push_str(value.get());
        });
    }
    let has_content = message.is_some_and(|message| message.content.is_some());
    if let Some(text) = choice.text.filter(|_| !has_content && !is_said) {
        write_key("content", out);
        out.push_str(text.get());
    }
    if let Some(calls) = calls {
        write_key("tool_calls", out);
        out.push('[');
        let mut place = 0;
        elements(calls.get(), |call| {
            if place > 0 {
                out.push(',');
            }
            write_call(call.get(), place, out);
            place += 1;
        });
        out.push(']');
    }
    out.push('}');
}

fn write_call(call: &str, place: u32, out: &mut String) {
    match call.strip_prefix('{') {
        Some(rest) if last(call, "index").is_none() => {
            out.push_str("{\"index\":");
            out.push_str(&place.to_string());
            if !rest.trim_start().starts_with('}') {
                out.push(',');
            }
            out.push_str(rest);
        }
        _ => out.push_str(call),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::Join;
    use super::*;

    fn rejoined(whole: &str) -> Value {
        let mut join = Join::new(1 << 20);
        for chunk in split(whole, Words::Unsaid) {
            join.take(&Reply::of(&chunk).unwrap());
        }
        serde_json::from_str(&join.into_json("stop")).unwrap()
    }

    #[test]
    fn a_message_with_calls_of_tools_becomes_deltas() {
        let whole = r#"{"id":"u","object":"chat.completion","model":"m","x":{"y":1.50},"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},{}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"total_tokens":1}}"#;
        let head = r#"{"id":"u","object":"chat.completion.chunk","model":"m""#;
        assert_eq!(
            split(whole, Words::Unsaid),
            [
                format!(
                    r#"{head},"x":{{"y":1.50}},"choices":[{{"index":0,"delta":{{"role":"assistant","content":null,"tool_calls":[{{"index":0,"id":"c1","type":"function","function":{{"name":"f","arguments":"{{}}"}}}},{{"index":1}}]}},"logprobs":null,"finish_reason":null}}]}}"#
                ),
                format!(r#"{head},"choices":[{{"index":0,"delta":{{}},"finish_reason":"tool_calls"}}]}}"#),
                format!(r#"{head},"choices":[],"usage":{{"total_tokens":1}}}}"#),
            ]
        );
    }

    #[test]
    fn of_two_members_with_one_name_the_last_one_counts() {
        for whole in [
            r#"{"choices":[{"message":{"content":"a","content":"b"}}]}"#,
            r#"{"choices":[{"message":{"content":"a","x":1,"role":"user","content":"b","role":"assistant"}}]}"#,
            r#"{"choices":[{"delta":{"reasoning":"r","content":"a","reasoning":"","content":"b"}}]}"#,
        ] {
            assert_eq!(rejoined(whole)["choices"][0]["message"]["content"], "b", "{whole}");
        }
    }

    #[test]
    fn the_text_beside_a_message_without_content_is_its_content() {
        let whole = r#"{"choices":[{"text":"a","message":{"role":"assistant","refusal":null}}]}"#;
        assert_eq!(rejoined(whole)["choices"][0]["message"]["content"], "a");
        let mixed = r#"{"choices":[{"text":"a","finish_reason":"stop"},{"message":{"content":"b"}}]}"#;
        assert_eq!(rejoined(mixed)["choices"][0]["message"]["content"], "a");
        let both = r#"{"choices":[{"text":"a","message":{"content":"b"}}]}"#;
        assert_eq!(rejoined(both)["choices"][0]["message"]["content"], "b");
        let mut join = Join::new(0);
        join.take(&Reply::of(r#"{"choices":[{"text":"a","delta":{"role":"assistant"}}]}"#).unwrap());
        assert!(join.into_json("stop").contains(r#""content":"a""#));
    }

    #[test]
    fn words_that_were_said_are_left_out() {
        let whole = r#"{"choices":[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"role":"assistant","content":"a","refusal":"no"}}]}"#;
        let chunks = split(whole, Words::Said).concat();
        assert!(
            chunks.contains(r#"{"index":0,"delta":{"refusal":"no"}"#) && chunks.contains(r#""content":"b""#),
            "{chunks}"
        );
        let text = split(r#"{"choices":[{"text":"a","finish_reason":"stop"}]}"#, Words::Said).concat();
        assert!(!text.contains(r#""a""#), "{text}");
    }

    #[test]
    fn a_completion_becomes_pieces_of_text() {
        let whole = r#"{"object":"text_completion","choices":[{"text":"a","index":0,"logprobs":{"tokens":["a"]},"finish_reason":"length"}]}"#;
        assert_eq!(
            split(whole, Words::Unsaid),
            [
                r#"{"object":"text_completion","choices":[{"index":0,"text":"a","logprobs":{"tokens":["a"]},"finish_reason":null}]}"#,
                r#"{"object":"text_completion","choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"length"}]}"#,
            ]
        );
        for none in ["{}", "[]", r#"{"choices":[],"usage":{}}"#, r#"{"choices":5}"#] {
            assert!(split(none, Words::Unsaid).is_empty(), "{none}");
        }
    }

    /// A value of a member that nobody knows.
    fn anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map("[a-z]{1,6}", inner, 0..4).prop_map(|members| json!(members)),
            ]
        })
    }

    fn call() -> impl Strategy<Value = Value> {
        ("[a-z0-9]{1,6}", "[a-z_]{1,8}", any::<String>(), prop::option::of(anything())).prop_map(
            |(id, name, arguments, extra)| {
                let mut call =
                    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
                if let Some(extra) = extra {
                    call["extra_content"] = extra;
                }
                call
            },
        )
    }

    fn message() -> impl Strategy<Value = Value> {
        (
            prop::option::of(any::<String>()),
            prop::option::of(prop::collection::vec(call(), 0..4)),
            prop::collection::hash_map("reasoning|reasoning_content|refusal", prop::option::of(any::<String>()), 0..3),
            prop::option::of(("[a-z]{1,5}", any::<String>())),
            prop::collection::hash_map("audio|annotations|x_[a-z]{1,4}", anything(), 0..4),
        )
            .prop_map(|(content, calls, words, function, unknown)| {
                let mut message = json!({"role": "assistant", "content": content});
                if let Some(calls) = calls {
                    message["tool_calls"] = Value::from(calls);
                }
                if let Some((name, arguments)) = function {
                    message["function_call"] = json!({"name": name, "arguments": arguments});
                }
                for (key, value) in words {
                    message[key] = json!(value);
                }
                for (key, value) in unknown {
                    message[key] = value;
                }
                message
            })
    }

    fn choice(index: usize, is_chat: bool) -> impl Strategy<Value = Value> {
        (
            message(),
            any::<String>(),
            "stop|length|tool_calls|content_filter|eos",
            prop::option::of(anything()),
            prop::collection::hash_map("x_[a-z]{1,4}|stop_reason", anything(), 0..3),
        )
            .prop_map(move |(message, text, reason, logprobs, unknown)| {
                let mut choice = json!({"index": index, "finish_reason": reason, "logprobs": logprobs});
                if is_chat {
                    choice["message"] = message;
                } else {
                    choice["text"] = Value::from(text);
                }
                for (key, value) in unknown {
                    choice[key] = value;
                }
                choice
            })
    }

    fn whole() -> impl Strategy<Value = Value> {
        let choices = (any::<bool>(), 1..4_usize).prop_flat_map(|(is_chat, count)| {
            (Just(is_chat), (0..count).map(|index| choice(index, is_chat)).collect::<Vec<_>>())
        });
        (
            choices,
            prop::option::of(anything()),
            prop::collection::hash_map("x_[a-z]{1,4}|system_fingerprint|created", anything(), 0..4),
        )
            .prop_map(|((is_chat, choices), details, unknown)| {
                let object = if is_chat { "chat.completion" } else { "text_completion" };
                let mut whole = json!({"id": "u", "object": object, "model": "m", "choices": choices});
                if let Some(details) = details {
                    whole["usage"] =
                        json!({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "details": details});
                }
                for (key, value) in unknown {
                    whole[key] = value;
                }
                whole
            })
    }

    proptest! {
        /// A whole answer and the chunks that it is made into say the same, for every choice and every member.
        #[test]
        fn nothing_is_lost_between_the_two_forms(whole in whole()) {
            prop_assert_eq!(rejoined(&whole.to_string()), whole);
        }

        /// A stream, its whole, and the stream that is made of it say the same: however finely the text was cut.
        #[test]
        fn a_stream_and_its_whole_say_the_same(whole in whole(), at in 1..9_usize) {
            let mut join = Join::new(1 << 20);
            for chunk in split(&whole.to_string(), Words::Unsaid) {
                let chunk: Value = serde_json::from_str(&chunk).unwrap();
                for piece in finer(&chunk, at) {
                    join.take(&Reply::of(&piece.to_string()).unwrap());
                }
            }
            let joined: Value = serde_json::from_str(&join.into_json("stop")).unwrap();
            prop_assert_eq!(&joined, &whole);
            prop_assert_eq!(rejoined(&joined.to_string()), joined);
        }
    }

    /// The chunk with its words cut into pieces of so many characters.
    fn finer(chunk: &Value, at: usize) -> Vec<Value> {
        let cut = |text: &str| {
            text.chars().collect::<Vec<_>>().chunks(at).map(|part| part.iter().collect::<String>()).collect::<Vec<_>>()
        };
        let mut first = chunk.clone();
        let mut rest = Vec::new();
        for pointer in
            ["/choices/0/text", "/choices/0/delta/content", "/choices/0/delta/reasoning", "/choices/0/delta/refusal"]
        {
            let Some(Value::String(text)) = first.pointer_mut(pointer) else { continue };
            let mut parts = cut(text).into_iter();
            *text = parts.next().unwrap_or_default();
            let name = pointer.rsplit('/').next().unwrap();
            for part in parts {
                let inner = if name == "text" { json!({"text": part}) } else { json!({"delta": {name: part}}) };
                let mut choice = inner;
                choice["index"] = chunk["choices"][0]["index"].clone();
                rest.push(json!({"choices": [choice]}));
            }
        }
        let mut out = vec![first];
        out.extend(rest);
        out
    }
}
