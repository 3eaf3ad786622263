use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{Answer, Completion, FinishReason, Parts, TaskRequest, ToolCall, Usage};

fn chat_of(body: &Value) -> TaskRequest {
    to_chat(body.to_string().as_bytes()).unwrap().chat
}

/// The chat that a body becomes, as the JSON that an upstream would get.
fn sent(mut body: Value) -> Value {
    body["max_tokens"] = json!(9);
    let mut sent = serde_json::to_value(chat_of(&body)).unwrap();
    let object = sent.as_object_mut().unwrap();
    object.remove("kind");
    object.remove("max_tokens");
    sent
}

fn messages(content: &Value) -> Value {
    sent(json!({"messages": [{"role": "user", "content": content}]}))["messages"].take()
}

#[test]
fn tools_of_anthropics_servers_are_left_out() {
    let body = json!({"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "tools": [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}, {"type": "custom", "name": "f"},
        {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
        {"name": "g", "input_schema": {}, "defer_loading": true, "cache_control": {"type": "ephemeral"}}]});
    let request = to_chat(body.to_string().as_bytes()).unwrap();
    assert_eq!(request.left_out, ["web_search_20250305", "tool_search_tool_regex_20251119"]);
    let tools: Value = serde_json::from_str(request.chat.extra("tools").unwrap().get()).unwrap();
    assert_eq!(
        tools,
        json!([{"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "g", "parameters": {}}}])
    );
}

#[test]
fn every_member_has_its_place_in_a_chat() {
    let hi = json!([{"role": "user", "content": "hi"}]);
    let tool = json!({"name": "f", "description": "d", "input_schema": {"type": "object", "x": 1.50}});
    let function = json!({"name": "f", "description": "d", "parameters": {"type": "object", "x": 1.50}});
    for (body, wanted) in [
        (json!({"model": "m", "stream": true}), json!({"model": "m", "stream": true})),
        (json!({"temperature": 0.5, "top_k": 3, "min_p": 0.1}), json!({"temperature": 0.5, "top_k": 3, "min_p": 0.1})),
        (json!({"timeout": 2.5, "max_miners": 2, "prompt": "no"}), json!({"timeout": 2.5, "max_miners": 2})),
        (json!({"stop_sequences": ["a", "b"]}), json!({"stop": ["a", "b"]})),
        (json!({"metadata": {"user_id": "u"}}), json!({"user": "u"})),
        (json!({"tools": [tool]}), json!({"tools": [{"type": "function", "function": function}]})),
        (json!({"tool_choice": {"type": "auto"}}), json!({"tool_choice": "auto"})),
        (json!({"tool_choice": {"type": "any"}}), json!({"tool_choice": "required"})),
        (json!({"tool_choice": {"type": "none"}}), json!({"tool_choice": "none"})),
        (
            json!({"tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true}}),
            json!({"tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false}),
        ),
        (json!({"output_config": {"effort": "low"}}), json!({"reasoning_effort": "low"})),
        (
            json!({"output_config": {"format": {"type": "json_schema", "schema": {"a": 1}}}}),
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "output", "schema": {"a": 1}, "strict": true}}}),
        ),
        (
            json!({"thinking": {"type": "enabled", "budget_tokens": 9}, "betas": ["x"], "service_tier": "auto"}),
            json!({}),
        ),
        (json!({"mcp_servers": [], "container": null, "stop_sequences": null, "tools": null}), json!({})),
    ] {
        let (mut body, mut wanted) = (body, wanted);
        body["messages"] = hi.clone();
        wanted["messages"] = hi.clone();
        assert_eq!(sent(body.clone()), wanted, "{body}");
    }
}

#[test]
fn every_block_has_its_place_in_a_message() {
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    let png = json!({"type": "base64", "media_type": "image/png", "data": "AA=="});
    for (content, wanted) in [
        (json!("hi"), user(json!("hi"))),
        (json!([{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]), user(json!("hi"))),
        (
            json!([{"type": "text", "text": "a"}, {"type": "image", "source": png}]),
            user(
                json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]),
            ),
        ),
        (
            json!([{"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}]),
            user(json!([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}])),
        ),
        (
            json!([{"type": "document", "title": "t.pdf", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}}]),
            user(
                json!([{"type": "file", "file": {"filename": "t.pdf", "file_data": "data:application/pdf;base64,AA=="}}]),
            ),
        ),
        (
            json!([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}}]),
            user(json!("words")),
        ),
        (
            json!([{"type": "search_result", "source": "https://example.com", "title": "t",
                    "content": [{"type": "text", "text": "words"}], "citations": {"enabled": true}}]),
            user(json!("words")),
        ),
        (
            json!([{"type": "tool_result", "tool_use_id": "t", "content": "2"}]),
            json!([{"role": "tool", "content": "2", "tool_call_id": "t"}]),
        ),
        (
            json!([{"type": "tool_result", "tool_use_id": "t", "is_error": true}]),
            json!([{"role": "tool", "content": "error", "tool_call_id": "t"}]),
        ),
        // The answers of tools follow their calls, and an image of one comes with the words behind them.
        (
            json!([
                {"type": "text", "text": "look"},
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "shot"}, {"type": "image", "source": png}]},
                {"type": "tool_result", "tool_use_id": "u", "content": []},
            ]),
            json!([
                {"role": "tool", "content": "shot", "tool_call_id": "t"},
                {"role": "tool", "content": "", "tool_call_id": "u"},
                {"role": "user", "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                ]},
            ]),
        ),
    ] {
        assert_eq!(messages(&content), wanted, "{content}");
    }
}

#[test]
fn the_models_own_turns_keep_their_order_and_their_arguments() {
    let body = json!({"system": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "text", "text": "I add."},
            {"type": "tool_use", "id": "t", "name": "add", "input": {"b": 1.50, "a": 1}},
        ]},
        {"role": "assistant", "content": "The answer is"},
    ]});
    assert_eq!(
        sent(body)["messages"],
        json!([
            {"role": "system", "content": "a\n\nb"},
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "I add.", "reasoning_content": "hm", "tool_calls": [
                {"id": "t", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1,\"b\":1.5}"}},
            ]},
            {"role": "assistant", "content": "The answer is"},
        ])
    );
}

#[test]
fn a_wrong_member_is_named() {
    let hi = json!([{"role": "user", "content": "hi"}]);
    let block = |block: Value| json!({"max_tokens": 1, "messages": [{"role": "user", "content": [block]}]});
    for (body, param) in [
        (json!({"messages": hi}), "max_tokens"),
        (json!({"messages": hi, "max_tokens": 0}), "max_tokens"),
        (json!({"messages": hi, "max_tokens": "many"}), "max_tokens"),
        (json!({"max_tokens": 1}), "messages"),
        (json!({"max_tokens": 1, "messages": []}), "messages"),
        (json!({"max_tokens": 1, "messages": "hi"}), "messages"),
        (json!({"max_tokens": 1, "messages": [{"role": "user"}]}), "messages[0]"),
        (json!({"max_tokens": 1, "messages": [{"role": "robot", "content": "x"}]}), "messages[0].role"),
        (json!({"max_tokens": 1, "messages": [{"role": "tool", "content": "x"}]}), "messages[0].role"),
        (json!({"max_tokens": 1, "messages": [{"role": "user", "content": 5}]}), "messages[0].content"),
        (block(json!({"type": "video"})), "messages[0].content[0].type"),
        (block(json!({"type": "text"})), "messages[0].content[0].text"),
        (block(json!({"type": "image"})), "messages[0].content[0].source"),
        (
            block(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})),
            "messages[0].content[0].source.type",
        ),
        (block(json!({"type": "tool_result"})), "messages[0].content[0].tool_use_id"),
        (
            block(json!({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_use"}]})),
            "messages[0].content[0].content[0].type",
        ),
        (
            json!({"max_tokens": 1, "messages": [{"role": "assistant", "content": [{"type": "image"}]}]}),
            "messages[0].content[0].type",
        ),
        (json!({"max_tokens": 1, "messages": hi, "system": [{"type": "image"}]}), "system[0].type"),
        (
            json!({"max_tokens": 1, "messages": hi, "tools": [{"name": "a"}, {"type": "bash_20250124", "name": "bash"}]}),
            "tools[1].type",
        ),
        (json!({"max_tokens": 1, "messages": hi, "tools": [{}]}), "tools[0].name"),
        (json!({"max_tokens": 1, "messages": hi, "tools": [{"type": "web_search_20250305"}]}), "tools[0].type"),
        (
            json!({"max_tokens": 1, "messages": hi, "tools": [{"name": "f"}, {"type": "bash_20250124", "name": "bash"}]}),
            "tools[1].type",
        ),
        (
            json!({"max_tokens": 1, "messages": hi, "tool_choice": {"type": "tool", "name": "web_search"},
                   "tools": [{"name": "f"}, {"type": "web_search_20250305", "name": "web_search"}]}),
            "tool_choice.name",
        ),
        (json!({"max_tokens": 1, "messages": hi, "tool_choice": {"type": "some"}}), "tool_choice.type"),
        (json!({"max_tokens": 1, "messages": hi, "tool_choice": {"type": "tool"}}), "tool_choice.name"),
        (json!({"max_tokens": 1, "messages": hi, "mcp_servers": [{}]}), "mcp_servers"),
        (
            json!({"max_tokens": 1, "messages": hi, "output_config": {"format": {"type": "xml"}}}),
            "output_config.format",
        ),
        (json!({"max_tokens": 1, "messages": hi, "stop_sequences": "a"}), "stop_sequences"),
        (json!({"max_tokens": 1, "messages": hi, "timeout": "soon"}), "timeout"),
    ] {
        // A part that no chat can stand for is an error where no server of this API is.
        let error = match to_chat(body.to_string().as_bytes()) {
            Ok(request) => request.own.unwrap_or_else(|| panic!("nothing is wrong with {body}")),
            Err(error) => error,
        };
        assert_eq!(error.details().param.as_deref(), Some(param), "{body}: {error}");
        assert!(error.message().contains(param), "{error}");
    }
    assert_eq!(to_chat(b"[]").unwrap_err().details().param.as_deref(), Some("body"));
    assert_eq!(to_chat(b"{").unwrap_err().code(), "invalid_json");
}

#[test]
fn a_request_that_no_chat_stands_for_is_told_apart_from_a_wrong_one() {
    let search = json!({"type": "web_search_20250305", "name": "web_search"});
    let own = json!({"name": "f", "input_schema": {}});
    let said = |block: Value| json!({"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": [block]}]});
    for (body, is_own) in [
        (json!({"tools": [search]}), true),
        (json!({"tools": [search, own]}), false),
        (json!({"tools": [search, own], "tool_choice": {"type": "tool", "name": "web_search"}}), true),
        (json!({"tools": [{"type": "bash_20250124", "name": "bash"}, own]}), true),
        (json!({"mcp_servers": [{"type": "url", "url": "u", "name": "n"}]}), true),
        (json!({"mcp_servers": []}), false),
        (said(json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})), true),
        (said(json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": []})), true),
        (said(json!({"type": "web_search_tool_result", "tool_use_id": "s", "content": {"type": "x"}})), true),
        (said(json!({"type": "from_the_future", "text": 1, "source": "s", "id": {}, "title": []})), true),
        (said(json!({"type": "text", "text": "a"})), false),
        (json!({"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]}), true),
    ] {
        let mut whole = json!({"max_tokens": 9, "messages": [{"role": "user", "content": "q"}]});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let request = to_chat(whole.to_string().as_bytes()).unwrap();
        assert_eq!(request.own.is_some(), is_own, "{body}");
        assert!(request.own.is_none() || request.left_out.is_empty(), "nothing is left out for a server of this API");
        assert!(request.chat.with_checked_input().is_ok(), "{body}");
    }
}

fn completion(answer: Answer) -> Completion {
    Completion::new(answer.usage(Usage::new(10, 3).cached_tokens(4)))
}

fn message(completion: &Completion, wishes: &Wishes) -> Value {
    serde_json::to_value(Message::of(completion, "msg_1", "m", wishes)).unwrap()
}

/// The message that a client puts together from the events of a stream, as Anthropic's own SDKs do it.
fn put_together(events: &[u8]) -> Value {
    let mut message = Value::Null;
    let mut inputs = std::collections::BTreeMap::<usize, String>::new();
    for event in std::str::from_utf8(events).unwrap().split_terminator("\n\n") {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        let index = data["index"].as_u64().unwrap_or_default() as usize;
        match data["type"].as_str().unwrap() {
            "message_start" => message = data["message"].clone(),
            "content_block_start" => {
                let content = message["content"].as_array_mut().unwrap();
                assert_eq!(content.len(), index);
                content.push(data["content_block"].clone());
            }
            "content_block_delta" => {
                let block = &mut message["content"][index];
                let (member, piece) = match data["delta"]["type"].as_str().unwrap() {
                    "text_delta" => ("text", &data["delta"]["text"]),
                    "thinking_delta" => ("thinking", &data["delta"]["thinking"]),
                    "input_json_delta" => {
                        inputs.entry(index).or_default().push_str(data["delta"]["partial_json"].as_str().unwrap());
                        continue;
                    }
                    other => panic!("{other}"),
                };
                block[member] = format!("{}{}", block[member].as_str().unwrap(), piece.as_str().unwrap()).into();
            }
            "message_delta" => {
                message["stop_reason"] = data["delta"]["stop_reason"].clone();
                message["stop_sequence"] = data["delta"]["stop_sequence"].clone();
                message["usage"] = data["usage"].clone();
            }
            "content_block_stop" | "message_stop" | "ping" => {}
            other => panic!("{other}"),
        }
    }
    for (index, input) in inputs {
        message["content"][index]["input"] = serde_json::from_str(&input).unwrap();
    }
    message
}

fn streamed(pieces: &[(&str, Option<&str>)], completion: &Completion, wishes: &Wishes) -> Value {
    let mut events = Events::new("msg_1".into(), "m".into(), wishes.clone());
    let mut out = Vec::new();
    for (text, raw) in pieces {
        events.piece(text, raw.map(str::as_bytes), &mut out);
        events.ping(&mut out);
    }
    events.end(completion, &mut out);
    assert!(events.is_over());
    put_together(&out)
}

#[test]
fn a_stop_reason_has_its_word() {
    let whole = |reason: &str, extra: &str| {
        let raw =
            format!(r#"{{"choices":[{{"index":0,"message":{{"content":"x"{extra}}},"finish_reason":"{reason}"}}]}}"#);
        completion(Answer::default().text("x").finish_reason(FinishReason::from(reason)).raw(Some(Bytes::from(raw))))
    };
    let call = r#","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]"#;
    for (reason, extra, word) in [
        ("stop", "", "end_turn"),
        ("eos", "", "end_turn"),
        ("length", "", "max_tokens"),
        ("tool_calls", call, "tool_use"),
        ("stop", call, "tool_use"),
        ("function_call", "", "tool_use"),
        ("content_filter", "", "refusal"),
        ("stop", r#","refusal":"no""#, "refusal"),
    ] {
        assert_eq!(message(&whole(reason, extra), &Wishes::default())["stop_reason"], word, "{reason} {extra}");
    }
    let raw = r#"{"choices":[{"index":0,"message":{"content":"x"},"finish_reason":"stop","stop_reason":"END"}]}"#;
    let stopped = completion(Answer::default().text("x").raw(Some(raw.into())));
    let wishes = Wishes { stop_sequences: vec!["END".into()], ..Wishes::default() };
    let answer = message(&stopped, &wishes);
    assert_eq!((&answer["stop_reason"], &answer["stop_sequence"]), (&json!("stop_sequence"), &json!("END")));
    assert_eq!(message(&stopped, &Wishes::default())["stop_reason"], "end_turn");
}

#[test]
fn a_stream_of_chunks_becomes_the_whole_answer() {
    let delta = |delta: &str| format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
    let raws = [
        delta(r#"{"role":"assistant","content":""}"#),
        delta(r#"{"reasoning_content":"h"}"#),
        delta(r#"{"reasoning_content":"m"}"#),
        delta(r#"{"content":"I "}"#),
        delta(r#"{"content":"add."}"#),
        delta(r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"add","arguments":""}}]}"#),
        delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}"#),
        delta(r#"{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"sub","arguments":"{}"}}]}"#),
        // A piece of an earlier call.
        delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#),
    ];
    let texts = ["", "", "", "I ", "add.", "", "", "", ""];
    let pieces: Vec<_> = texts.iter().copied().zip(raws.iter().map(|raw| Some(raw.as_str()))).collect();
    let raw = r#"{"choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"hm","content":"I add.","tool_calls":[
        {"id":"a","type":"function","function":{"name":"add","arguments":"{\"x\":1}"}},
        {"id":"b","type":"function","function":{"name":"sub","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
    let answer = Answer::default().text("I add.").finish_reason(FinishReason::ToolCalls).raw(Some(raw.into()));
    let done = completion(answer);
    let wishes = Wishes { thinking: true, ..Wishes::default() };
    let whole = message(&done, &wishes);
    assert_eq!(
        whole,
        json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "I add."},
            {"type": "tool_use", "id": "a", "name": "add", "input": {"x": 1}},
            {"type": "tool_use", "id": "b", "name": "sub", "input": {}},
        ], "stop_reason": "tool_use", "stop_sequence": null,
           "usage": {"input_tokens": 6, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 3}})
    );
    assert_eq!(streamed(&pieces, &done, &wishes), whole);
    // Without the wish nothing of the reasoning is shown.
    let plain = message(&done, &Wishes::default());
    assert_eq!(plain["content"].as_array().unwrap().len(), 3);
    assert_eq!(streamed(&pieces, &done, &Wishes::default()), plain);
    // The miner gave all of it, or all but the text, in one piece.
    assert_eq!(streamed(&[], &done, &wishes), whole);
    let late = streamed(&[("I add.", None)], &done, &Wishes::default());
    assert_eq!(late["content"].as_array().unwrap().len(), 3);
}

#[test]
fn arguments_that_are_no_object_are_kept_as_text() {
    let parts = |arguments: &str| {
        let mut parts = Parts::default();
        parts.tool_calls.push(ToolCall::new("", "f", arguments));
        let answer = Answer::default().parts(Some(Box::new(parts)));
        message(&completion(answer), &Wishes::default())["content"][0].clone()
    };
    assert_eq!(parts(""), json!({"type": "tool_use", "id": "toolu_1_0", "name": "f", "input": {}}));
    assert_eq!(parts(r#"{"a":"#)["input"], json!({"arguments": "{\"a\":"}));
    assert_eq!(parts("[1]")["input"], json!({"arguments": "[1]"}));
}

#[test]
fn chunks_that_differ_in_their_words_alone_make_the_events_that_others_make() {
    let words = ["a \"b\"", "", "original_event", "\u{1f600}\n"];
    let completion = completion(Answer::default().text(words.concat()));
    let [alike, differing] = [false, true].map(|differs| {
        let mut events = Events::new("msg_1".into(), "m".into(), Wishes::default());
        let mut out = Vec::new();
        for (number, text) in words.iter().enumerate() {
            let beside = if differs { json!(number) } else { Value::Null };
            let raw = json!({"choices": [{"index": 0, "delta": {"content": text}, "logprobs": beside}]}).to_string();
            events.piece(text, Some(raw.as_bytes()), &mut out);
        }
        events.end(&completion, &mut out);
        String::from_utf8(out).unwrap()
    });
    assert_eq!(alike, differing);
    assert_eq!(alike.matches("event: content_block_delta\n").count(), 3);
}

#[test]
fn a_stream_begins_again_only_while_nothing_is_out() {
    let mut events = Events::new("msg_1".into(), "m".into(), Wishes::default());
    let mut out = Vec::new();
    events.ping(&mut out);
    events.restart().unwrap();
    events.piece("a", None, &mut out);
    assert_eq!(events.restart().unwrap_err().kind(), crate::ErrorKind::MinerFailed);
    events.fail(br#"{"type":"error"}"#, &mut out);
    assert!(out.ends_with(b"event: error\ndata: {\"type\":\"error\"}\n\n") && events.is_over());
}

proptest! {
    /// Whatever the model says and in whichever pieces, a client that puts the events together has the whole answer.
    #[test]
    fn any_words_survive(pieces in prop::collection::vec(any::<String>(), 0..5), thought in any::<String>()) {
        let text = pieces.concat();
        let parts = Parts { reasoning: thought, ..Parts::default() };
        let raw = parts.completion(&text, &FinishReason::Stop).unwrap();
        let done = completion(Answer::default().text(text.as_str()).raw(Some(raw)));
        let wishes = Wishes { thinking: true, ..Wishes::default() };
        let delta = json!({"choices": [{"index": 0, "delta": {"reasoning_content": &parts.reasoning}}]}).to_string();
        let mut told = vec![("", Some(delta.as_str()))];
        told.extend(pieces.iter().map(|piece| (piece.as_str(), None)));
        prop_assert_eq!(streamed(&told, &done, &wishes), message(&done, &wishes));
    }

    #[test]
    fn any_prompt_survives(text in any::<String>(), system in any::<String>()) {
        let body = json!({"system": &system, "messages": [{"role": "user", "content": [{"type": "text", "text": &text}]}]});
        let chat = sent(body)["messages"].take();
        prop_assert_eq!(&chat[chat.as_array().unwrap().len() - 1]["content"], &Value::from(text));
        prop_assert_eq!(chat[0]["role"] == "system", !system.is_empty());
    }
}
