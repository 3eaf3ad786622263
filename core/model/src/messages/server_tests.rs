//! Chats to a server of the Messages API, and its answers as a chat's.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chat::{Heard, Request};
use crate::{RequestKind, TaskRequest};

fn chat(body: &Value) -> TaskRequest {
    serde_json::from_value::<TaskRequest>(body.clone()).unwrap().kind(RequestKind::Chat)
}

fn sent_of(body: &Value, stream: bool) -> crate::Result<Value> {
    let request = chat(body);
    let read = Request::of(&request, request.params().others(), None)?;
    let written = onward(read, request.model.as_deref(), stream, 4_096)?;
    Ok(serde_json::from_slice(&written.write(Vec::new())).unwrap())
}

/// The request that a chat of these members becomes, without what every request has.
fn sent(mut body: Value) -> Value {
    if body.get("messages").is_none() {
        body["messages"] = json!([{"role": "user", "content": "hi"}]);
    }
    let mut sent = sent_of(&body, false).unwrap();
    let object = sent.as_object_mut().unwrap();
    assert_eq!(object.remove("max_tokens"), Some(json!(4_096)));
    sent
}

#[allow(clippy::needless_pass_by_value, reason = "the messages are made for it")]
fn turns(messages: Value) -> Value {
    sent(json!({ "messages": messages }))
}

#[test]
fn every_member_has_its_place() {
    let schema = json!({"type": "object", "x": 1.50});
    let function = json!({"name": "f", "description": "d", "parameters": schema, "strict": true});
    let tools = json!([{"type": "function", "function": function}]);
    let offered = json!([{"name": "f", "description": "d", "input_schema": schema, "strict": true}]);
    let with_choice = |choice: Value| json!({"tools": offered, "tool_choice": choice});
    for (body, wanted) in [
        (json!({"model": "m"}), json!({"model": "m"})),
        (json!({"temperature": 0.5, "top_p": 0.1, "top_k": 3}), json!({"temperature": 0.5, "top_p": 0.1, "top_k": 3})),
        (json!({"temperature": 1.7}), json!({"temperature": 1.0})),
        (json!({"stop": "a"}), json!({"stop_sequences": ["a"]})),
        (json!({"stop": ["a", "b"]}), json!({"stop_sequences": ["a", "b"]})),
        (json!({"user": "u"}), json!({"metadata": {"user_id": "u"}})),
        (json!({"tools": tools}), json!({"tools": offered})),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}]}),
            json!({"tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]}),
        ),
        // A tool that the server runs itself.
        (
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
        ),
        (json!({"tools": tools, "tool_choice": "auto"}), with_choice(json!({"type": "auto"}))),
        (json!({"tools": tools, "tool_choice": "required"}), with_choice(json!({"type": "any"}))),
        (
            json!({"tools": tools, "tool_choice": "none", "parallel_tool_calls": false}),
            with_choice(json!({"type": "none"})),
        ),
        (
            json!({"tools": tools, "parallel_tool_calls": false}),
            with_choice(json!({"type": "auto", "disable_parallel_tool_use": true})),
        ),
        (
            json!({"tools": tools, "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": true}),
            with_choice(json!({"type": "tool", "name": "f"})),
        ),
        (json!({"tool_choice": "required"}), json!({})),
        (json!({"reasoning_effort": "low"}), json!({"output_config": {"effort": "low"}})),
        (json!({"reasoning_effort": "minimal"}), json!({"output_config": {"effort": "low"}})),
        (json!({"reasoning_effort": "none"}), json!({"thinking": {"type": "disabled"}})),
        (json!({"response_format": {"type": "text"}}), json!({})),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}}}),
            json!({"output_config": {"format": {"type": "json_schema", "schema": schema}}}),
        ),
        // Words of the server's own API.
        (json!({"thinking": {"type": "adaptive"}, "container": null}), json!({"thinking": {"type": "adaptive"}})),
        (
            json!({"seed": 3, "n": 1, "logit_bias": {}, "functions": [], "store": true, "presence_penalty": 1, "verbosity": "low"}),
            json!({}),
        ),
        (json!({"logprobs": false, "stream_options": {"include_usage": true}, "modalities": ["text"]}), json!({})),
    ] {
        let mut wanted = wanted;
        wanted["messages"] = json!([{"role": "user", "content": [{"type": "text", "text": "hi"}]}]);
        assert_eq!(sent(body.clone()), wanted, "{body}");
    }
    let streamed = sent_of(&json!({"messages": [{"role": "user", "content": "a"}], "max_tokens": 7}), true).unwrap();
    assert_eq!((&streamed["stream"], &streamed["max_tokens"]), (&json!(true), &json!(7)));
}

#[test]
fn the_id_of_a_call_is_one_that_the_server_takes() {
    let body = turns(json!([
        {"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [
            {"id": "functions.f:0", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "functions.f:0", "content": "1"},
    ]));
    let id = body["messages"][1]["content"][0]["id"].as_str().unwrap();
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'), "{id}");
    assert_eq!(body["messages"][2]["content"][0]["tool_use_id"], id);
}

#[test]
fn every_message_has_its_place() {
    let text = |text: &str| json!([{"type": "text", "text": text}]);
    assert_eq!(
        turns(json!([
            {"role": "system", "content": "a"},
            {"role": "user", "content": "q"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
            {"role": "assistant", "content": "", "reasoning_content": "hm", "tool_calls": [
                {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{\"b\":1.50}"}},
                {"id": "u", "type": "function", "function": {"name": "f", "arguments": ""}},
            ]},
            {"role": "tool", "tool_call_id": "t", "content": "1"},
            {"role": "tool", "tool_call_id": "u", "content": ""},
            {"role": "user", "content": [
                {"type": "text", "text": "and"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                {"type": "image_url", "image_url": {"url": "https://h/i.png"}},
                {"type": "file", "file": {"filename": "f.pdf", "file_data": "data:application/pdf;base64,AA=="}},
            ]},
            {"role": "assistant", "content": "The", "refusal": null},
        ])),
        json!({"system": "a\n\nb", "messages": [
            {"role": "user", "content": text("q")},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "t", "name": "f", "input": {"b": 1.50}},
                {"type": "tool_use", "id": "u", "name": "f", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": text("1")},
                {"type": "tool_result", "tool_use_id": "u", "content": []},
                {"type": "text", "text": "and"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
                {"type": "image", "source": {"type": "url", "url": "https://h/i.png"}},
                {"type": "document", "title": "f.pdf",
                 "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
            ]},
            {"role": "assistant", "content": text("The")},
        ]})
    );
    let request = chat(&json!({"prompt": "p"})).kind(RequestKind::Completion);
    let read = Request::of(&request, request.params().others(), Some("The")).unwrap();
    let written = onward(read, None, false, 5).unwrap().write(b"x".to_vec());
    assert_eq!(
        String::from_utf8(written).unwrap(),
        r#"x{"max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"p"}]},{"role":"assistant","content":[{"type":"text","text":"The"}]}]}"#
    );
}

#[test]
fn what_the_api_cannot_say_is_named() {
    let user = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    for (mut body, param) in [
        (json!({"n": 2}), "n"),
        (json!({"logprobs": true}), "logprobs"),
        (json!({"logit_bias": {"1": 2}}), "logit_bias"),
        (json!({"functions": [{}]}), "functions"),
        (json!({"modalities": ["text", "audio"]}), "modalities"),
        (json!({"response_format": {"type": "json_object"}}), "response_format.type"),
        (json!({"response_format": {"type": "json_schema"}}), "response_format.json_schema"),
        (json!({"response_format": {"type": "json_schema", "json_schema": {}}}), "response_format.json_schema.schema"),
        (json!({"response_format": {"type": "grammar"}}), "response_format.type"),
        (json!({"tools": [{"type": "function"}]}), "tools[0].function"),
        (json!({"tools": [{"type": "custom", "custom": {}}]}), "tools[0].type"),
        (json!({"tools": 5}), "tools"),
        (json!({"tool_choice": "some"}), "tool_choice"),
        (json!({"tool_choice": {"type": "allowed_tools"}}), "tool_choice.type"),
        (json!({"stop": 5}), "stop"),
        (json!({"temperature": "hot"}), "temperature"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"role": "system", "content": "a"}]}), "messages"),
        (json!({"messages": [{"role": "robot", "content": "a"}]}), "messages[0].role"),
        (json!({"messages": [{"role": "tool", "content": "a"}]}), "messages[0].tool_call_id"),
        (json!({"messages": [{"role": "system", "content": [{"type": "image_url"}]}]}), "messages[0].content[0].type"),
        (user(json!({"type": "input_audio", "input_audio": {}})), "messages[0].content[0].type"),
        (user(json!({"type": "image_url"})), "messages[0].content[0].image_url"),
        (user(json!({"type": "file", "file": {"file_id": "f"}})), "messages[0].content[0].file.file_data"),
    ] {
        if body.get("messages").is_none() {
            body["messages"] = json!([{"role": "user", "content": "hi"}]);
        }
        let error = sent_of(&body, false).unwrap_err();
        assert_eq!(error.details().param.as_deref(), Some(param), "{body}: {error}");
    }
}

/// The whole answer, and what the chunks of a stream make, which must be the same.
fn returned(message: &Value, events: &[Value]) -> Value {
    let whole: Value = serde_json::from_str(&Returned::new(7).whole(&message.to_string()).unwrap()).unwrap();
    let (mut reader, mut join, mut over) = (Returned::new(7), crate::shape::Join::new(1 << 20), false);
    for event in events {
        assert!(!over, "{event}");
        let chunks = match reader.event(&event.to_string()) {
            Heard::Chunks(chunks) => chunks,
            Heard::Over(chunks) => {
                over = true;
                chunks
            }
            other => panic!("{other:?}"),
        };
        for chunk in chunks {
            join.take(&crate::shape::Reply::of(&chunk).unwrap());
        }
    }
    let streamed: Value = serde_json::from_str(&join.into_json("stop")).unwrap();
    assert_eq!(streamed, whole);
    whole
}

fn start(usage: &Value) -> Value {
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
                         "stop_reason": null, "stop_sequence": null, "usage": usage});
    json!({"type": "message_start", "message": message})
}

#[test]
fn an_answer_is_a_chats_whole_or_in_events() {
    let usage =
        json!({"input_tokens": 3, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 5, "output_tokens": 1});
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "I add.", "citations": null},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}},
        {"type": "from_the_future", "text": "no"},
        {"type": "tool_use", "id": "a", "name": "add", "input": {"x": 1.5, "a": [1]}},
        {"type": "tool_use", "id": "b", "name": "now", "input": {}},
    ], "stop_reason": "tool_use", "stop_sequence": null, "usage":
        {"input_tokens": 3, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 5, "output_tokens": 9}});
    let begin =
        |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
    let events = [
        start(&usage),
        json!({"type": "ping"}),
        begin(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "h"})),
        delta(0, json!({"type": "thinking_delta", "thinking": "m"})),
        delta(0, json!({"type": "signature_delta", "signature": "s"})),
        stop(0),
        begin(1, json!({"type": "redacted_thinking", "data": "x"})),
        stop(1),
        begin(2, json!({"type": "text", "text": ""})),
        delta(2, json!({"type": "text_delta", "text": "I "})),
        delta(2, json!({"type": "citations_delta", "citation": {}})),
        delta(2, json!({"type": "text_delta", "text": "add."})),
        stop(2),
        begin(3, json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}})),
        delta(3, json!({"type": "input_json_delta", "partial_json": "{}"})),
        stop(3),
        begin(5, json!({"type": "tool_use", "id": "a", "name": "add", "input": {}})),
        delta(5, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(5, json!({"type": "input_json_delta", "partial_json": "{\"a\":[1],"})),
        delta(5, json!({"type": "input_json_delta", "partial_json": "\"x\":1.5}"})),
        stop(5),
        begin(6, json!({"type": "tool_use", "id": "b", "name": "now", "input": {}})),
        stop(6),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 9}}),
        json!({"type": "from_the_future"}),
        json!({"type": "message_stop"}),
    ];
    assert_eq!(
        returned(&message, &events),
        json!({"id": "msg_1", "object": "chat.completion", "created": 7, "model": "m", "choices": [{"index": 0, "message": {
            "role": "assistant", "content": "I add.", "reasoning_content": "hm", "tool_calls": [
                {"id": "a", "type": "function", "function": {"name": "add", "arguments": "{\"a\":[1],\"x\":1.5}"}},
                {"id": "b", "type": "function", "function": {"name": "now", "arguments": "{}"}},
            ]}, "finish_reason": "tool_calls"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 9, "total_tokens": 19,
                      "prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 0}}})
    );
}

#[test]
fn every_reason_has_its_word() {
    for (reason, sequence, wanted) in [
        ("end_turn", Value::Null, "stop"),
        ("max_tokens", Value::Null, "length"),
        ("model_context_window_exceeded", Value::Null, "length"),
        ("stop_sequence", json!("END"), "stop"),
        ("tool_use", Value::Null, "tool_calls"),
        ("pause_turn", Value::Null, "stop"),
        ("refusal", Value::Null, "content_filter"),
        ("tired", Value::Null, "tired"),
    ] {
        let end = json!({"stop_reason": reason, "stop_sequence": sequence});
        let mut message = end.clone();
        message["content"] = json!([{"type": "text", "text": "x"}]);
        let events = [
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "x"}}),
            json!({"type": "message_delta", "delta": end}),
            json!({"type": "message_stop"}),
        ];
        let choice = returned(&message, &events)["choices"][0].clone();
        assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!(wanted), &json!("x")));
        assert_eq!(choice.get("stop_reason").cloned().unwrap_or_default(), sequence);
    }
}

#[test]
fn errors_and_foreign_words_are_told_apart() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    assert_eq!(Returned::new(0).event(error), Heard::Failed(error.to_owned()));
    for foreign in ["", "null", "[1]", r#"{"error":{}}"#, r#"{"type":5}"#] {
        assert_eq!(Returned::new(0).event(foreign), Heard::Foreign, "{foreign}");
    }
    for odd in [
        r#"{"type":"message_start"}"#,
        r#"{"type":"message_start","message":5}"#,
        r#"{"type":"content_block_start","content_block":[]}"#,
        r#"{"type":"content_block_delta","index":9,"delta":{"type":"input_json_delta","partial_json":"{"}}"#,
        r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":7}}"#,
        r#"{"type":"content_block_stop","index":-1}"#,
        r#"{"type":"message_delta","delta":null,"usage":[]}"#,
    ] {
        assert_eq!(Returned::new(0).event(odd), Heard::Chunks(Vec::new()), "{odd}");
    }
    for body in ["", "5", "{}", r#"{"content":"x"}"#, error] {
        assert_eq!(Returned::new(0).whole(body), None, "{body}");
    }
    // Half of a surrogate pair goes on as it came.
    let half = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\ud83d"}}"#;
    let Heard::Chunks(chunks) = Returned::new(0).event(half) else { panic!("{half}") };
    assert!(chunks[0].contains(r#""content":"\ud83d""#), "{chunks:?}");
}

/// A conversation of what both APIs can say.
fn conversation() -> impl Strategy<Value = Vec<Value>> {
    let words = || "[a-zé😀\"\\\\]{1,6}";
    let asks = prop_oneof![
        words().prop_map(|text| json!({"role": "user", "content": text})),
        (words(), any::<bool>()).prop_map(|(text, inline)| {
            let url = if inline { "data:image/png;base64,AA==" } else { "https://h/i.png" };
            json!({"role": "user", "content": [
                {"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]})
        }),
    ];
    let answers = prop_oneof![
        words().prop_map(|text| vec![json!({"role": "assistant", "content": text})]),
        (prop::option::of(words()), prop::collection::vec((words(), words()), 1..3)).prop_map(|(text, calls)| {
            let (mut asked, mut told) = (Vec::new(), Vec::new());
            for (index, (name, said)) in calls.into_iter().enumerate() {
                let id = format!("c{index}");
                let arguments = json!({"a": &said}).to_string();
                asked.push(json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}));
                told.push(json!({"role": "tool", "content": said, "tool_call_id": id}));
            }
            let mut turn = vec![json!({"role": "assistant", "content": text, "tool_calls": asked})];
            turn.extend(told);
            turn
        }),
    ];
    let system = prop::option::of(words().prop_map(|text| json!({"role": "system", "content": text})));
    (system, prop::collection::vec((asks, answers), 1..4)).prop_map(|(system, turns)| {
        let turns = turns.into_iter().flat_map(|(ask, answer)| std::iter::once(ask).chain(answer));
        system.into_iter().chain(turns).collect()
    })
}

proptest! {
    /// A chat that becomes a request of this API and then a chat again loses nothing.
    #[test]
    fn nothing_that_both_can_say_is_lost(
        messages in conversation(),
        heat in 0..=4_u8,
        choice in prop::sample::select(vec![json!("auto"), json!("required"), json!("none"),
                                            json!({"type": "function", "function": {"name": "f"}})]),
        stop in prop::collection::vec("[a-z]{1,3}", 0..3),
        stream in any::<bool>(),
    ) {
        let mut body = json!({
            "model": "m", "messages": messages, "max_tokens": 9, "temperature": f64::from(heat) / 4.0, "user": "u",
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
            "tool_choice": choice, "reasoning_effort": "high",
            "response_format": {"type": "json_schema", "json_schema": {"name": "output", "schema": {"a": 1}, "strict": true}},
        });
        if !stop.is_empty() {
            body["stop"] = json!(stop);
        }
        let sent = sent_of(&body, stream).unwrap();
        let mut again = serde_json::to_value(to_chat(sent.to_string().as_bytes()).unwrap().chat).unwrap();
        again.as_object_mut().unwrap().remove("kind");
        if stream {
            body["stream"] = true.into();
        }
        prop_assert_eq!(again, body);
    }
}
