//! Chats to a server of the Responses API, and its answers as a chat's.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chat::{Heard, Request};
use crate::{RequestKind, TaskRequest};

fn sent_of(body: &Value, stream: bool) -> crate::Result<Value> {
    let request = serde_json::from_value::<TaskRequest>(body.clone()).unwrap().kind(RequestKind::Chat);
    let read = Request::of(&request, request.params().others(), None)?;
    let written = onward(read, request.model.as_deref(), stream)?;
    Ok(serde_json::from_slice(&written.write(Vec::new())).unwrap())
}

/// The request that a chat of these members becomes, without what every request has.
fn sent(mut body: Value) -> Value {
    body["messages"] = json!([{"role": "user", "content": "hi"}]);
    let mut sent = sent_of(&body, false).unwrap();
    let object = sent.as_object_mut().unwrap();
    let input = json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]);
    assert_eq!((object.remove("input"), object.remove("store")), (Some(input), Some(json!(false))));
    sent
}

#[test]
fn a_chunk_names_its_answer_once() {
    let mut returned = Returned::new(7);
    for kind in ["created", "in_progress"] {
        returned.event(&format!(r#"{{"type":"response.{kind}","response":{{"id":"r","model":"m"}}}}"#));
    }
    let Heard::Chunks(chunks) = returned.event(r#"{"type":"response.output_text.delta","delta":"a"}"#) else {
        panic!("the text makes a chunk");
    };
    assert_eq!((chunks[0].matches("\"id\"").count(), chunks[0].matches("\"model\"").count()), (1, 1), "{}", chunks[0]);
}

#[test]
fn places_that_a_server_leaves_out_are_filled_in() {
    let item = |id: &str, kind: &str| json!({"id": id, "type": kind, "call_id": id, "name": id});
    let events = [
        (json!({"type": "response.output_item.added", "item": item("m", "message")}), json!([0, null])),
        (json!({"type": "response.content_part.added", "item_id": "m", "part": {}}), json!([0, 0])),
        (json!({"type": "response.output_text.delta", "item_id": "m", "delta": "a"}), json!([0, 0])),
        (json!({"type": "response.content_part.added", "item_id": "m", "part": {}}), json!([0, 1])),
        (json!({"type": "response.output_text.delta", "item_id": "m", "delta": "b"}), json!([0, 1])),
        (json!({"type": "response.output_item.done", "item": item("m", "message")}), json!([0, null])),
        (json!({"type": "response.output_item.added", "item": item("f", "function_call")}), json!([1, null])),
        (json!({"type": "response.output_item.added", "item": item("g", "function_call")}), json!([2, null])),
        (json!({"type": "response.function_call_arguments.delta", "item_id": "f", "delta": "{}"}), json!([1, null])),
        (json!({"type": "response.function_call_arguments.delta", "item_id": "g", "delta": "[]"}), json!([2, null])),
        (
            json!({"type": "response.output_text.delta", "item_id": "m", "output_index": 7, "delta": "c"}),
            json!([7, null]),
        ),
        (json!({"type": "response.in_progress", "response": {}}), json!([null, null])),
    ];
    let mut returned = Returned::new(7).keeping();
    let mut calls = Vec::new();
    for (event, wanted) in events {
        let Heard::Chunks(chunks) = returned.event(&event.to_string()) else { panic!("{event} ends nothing") };
        let chunk: Value = serde_json::from_str(&chunks[0]).unwrap();
        let passed = &chunk["original_event"];
        assert_eq!(json!([passed["output_index"], passed["content_index"]]), wanted, "{event}");
        calls.extend(chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten().cloned());
    }
    let arguments: Vec<_> = calls.iter().map(|call| (&call["index"], &call["function"]["arguments"])).collect();
    assert_eq!(
        arguments,
        [(&json!(0), &json!("")), (&json!(1), &json!("")), (&json!(0), &json!("{}")), (&json!(1), &json!("[]"))]
    );
}

#[test]
fn every_member_has_its_place() {
    let schema = json!({"type": "object", "x": 1.50});
    let function = json!({"name": "f", "description": "d", "parameters": schema, "strict": true});
    for (body, wanted) in [
        (json!({"model": "m", "max_tokens": 7}), json!({"model": "m", "max_output_tokens": 7})),
        (
            json!({"temperature": 1.7, "top_p": 0.1, "user": "u"}),
            json!({"temperature": 1.7, "top_p": 0.1, "user": "u"}),
        ),
        (
            json!({"tools": [{"type": "function", "function": function}], "tool_choice": "required", "parallel_tool_calls": false}),
            json!({"tools": [{"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": true}],
                "tool_choice": "required", "parallel_tool_calls": false}),
        ),
        (
            json!({"tools": [{"type": "function", "function": {"name": "f"}}, {"type": "web_search"}],
                "tool_choice": {"type": "function", "function": {"name": "f"}}}),
            json!({"tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": false},
                          {"type": "web_search"}],
                "tool_choice": {"type": "function", "name": "f"}}),
        ),
        (
            json!({"reasoning_effort": "low", "verbosity": "high"}),
            json!({"reasoning": {"effort": "low"}, "text": {"verbosity": "high"}}),
        ),
        (json!({"response_format": {"type": "json_object"}}), json!({"text": {"format": {"type": "json_object"}}})),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": true}}}),
            json!({"text": {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": true}}}),
        ),
        (
            json!({"logprobs": true, "top_logprobs": 3}),
            json!({"include": ["message.output_text.logprobs"], "top_logprobs": 3}),
        ),
        (json!({"seed": 1, "stop": [], "metadata": {"a": "b"}, "include": null}), json!({"metadata": {"a": "b"}})),
    ] {
        assert_eq!(sent(body.clone()), wanted, "{body}");
    }
    let kept = sent_of(&json!({"messages": [{"role": "user", "content": "a"}], "store": true}), true).unwrap();
    assert_eq!((&kept["store"], &kept["stream"]), (&json!(true), &json!(true)));
}

#[test]
fn every_message_has_its_place() {
    let body = json!({"messages": [
        {"role": "developer", "content": "a"},
        {"role": "user", "content": [
            {"type": "text", "text": "q"},
            {"type": "image_url", "image_url": {"url": "https://h/i.png", "detail": "low"}},
            {"type": "file", "file": {"filename": "f", "file_data": "data:x;base64,AA=="}},
            {"type": "file", "file": {"file_id": "f"}},
        ]},
        {"role": "assistant", "content": null, "reasoning_content": "hm", "refusal": "no", "tool_calls": [
            {"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "t", "content": "1"},
        {"role": "tool", "tool_call_id": "u", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]});
    assert_eq!(
        sent_of(&body, false).unwrap()["input"],
        json!([
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "a"}]},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "q"},
                {"type": "input_image", "image_url": "https://h/i.png", "detail": "low"},
                {"type": "input_file", "filename": "f", "file_data": "data:x;base64,AA=="},
                {"type": "input_file", "file_id": "f"},
            ]},
            {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"type": "function_call", "call_id": "t", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "t", "output": "1"},
            {"type": "function_call_output", "call_id": "u", "output": [
                {"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
        ])
    );
}

#[test]
fn what_the_api_cannot_say_is_named() {
    for (mut body, param) in [
        (json!({"n": 2}), "n"),
        (json!({"stop": "a"}), "stop"),
        (json!({"logit_bias": {"1": 2}}), "logit_bias"),
        (json!({"response_format": {"type": "json_schema", "json_schema": {}}}), "response_format.json_schema.schema"),
        (json!({"tools": [{"type": "custom"}]}), "tools[0].type"),
        (json!({"messages": []}), "messages"),
        (json!({"messages": [{"role": "tool", "content": "a"}]}), "messages[0].tool_call_id"),
        (json!({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}), "messages[0].content[0].type"),
    ] {
        if body.get("messages").is_none() {
            body["messages"] = json!([{"role": "user", "content": "hi"}]);
        }
        let error = sent_of(&body, false).unwrap_err();
        assert_eq!(error.details().param.as_deref(), Some(param), "{body}: {error}");
    }
}

/// The whole answer that the chunks of these events make.
fn heard(events: &[Value]) -> Value {
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
    assert!(over);
    serde_json::from_str(&join.into_json("stop")).unwrap()
}

fn whole(response: &Value) -> Value {
    serde_json::from_str(&Returned::new(7).whole(&response.to_string()).unwrap()).unwrap()
}

#[test]
fn an_answer_is_a_chats_whole_or_in_events() {
    let probability = json!([{"token": "I", "logprob": -0.5, "bytes": [73], "top_logprobs": []}]);
    let response = json!({"id": "resp_1", "object": "response", "created_at": 3, "status": "completed", "model": "m",
        "error": null, "incomplete_details": null, "output": [
        {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]},
        {"type": "web_search_call", "id": "ws", "status": "completed"},
        {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "I add.", "annotations": [], "logprobs": probability},
            {"type": "refusal", "refusal": "no"}]},
        {"type": "function_call", "id": "fc", "call_id": "c", "name": "add", "arguments": "{\"a\":1}", "status": "completed"},
        {"type": "custom_tool_call", "id": "ct", "call_id": "d", "name": "run", "input": "x"},
    ], "usage": {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5,
                 "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 14}});
    let item = |place: u64| response["output"][place as usize].clone();
    let added =
        |place: u64, item: Value| json!({"type": "response.output_item.added", "output_index": place, "item": item});
    let done = |place: u64| json!({"type": "response.output_item.done", "output_index": place, "item": item(place)});
    let on = |kind: &str, place: u64, delta: &str| json!({"type": format!("response.{kind}.delta"), "output_index": place, "delta": delta});
    let mut text = on("output_text", 2, "I ");
    text["logprobs"] = probability.clone();
    let mut second = on("reasoning_summary_text", 0, "b");
    second["summary_index"] = 1.into();
    let events = [
        json!({"type": "response.created", "response": {"id": "resp_1", "model": "m", "output": []}}),
        json!({"type": "response.in_progress", "response": {"id": "resp_1", "model": "m", "output": []}}),
        added(0, json!({"type": "reasoning", "id": "rs", "summary": []})),
        on("reasoning_summary_text", 0, "a"),
        second,
        // The reasoning itself says the same again.
        on("reasoning_text", 0, "ab"),
        done(0),
        added(1, json!({"type": "web_search_call"})),
        json!({"type": "response.web_search_call.searching", "output_index": 1}),
        done(1),
        added(2, json!({"type": "message", "content": []})),
        text,
        on("output_text", 2, "add."),
        on("refusal", 2, "no"),
        done(2),
        added(3, json!({"type": "function_call", "call_id": "c", "name": "add", "arguments": ""})),
        on("function_call_arguments", 3, "{\"a\""),
        on("function_call_arguments", 3, ":1}"),
        done(3),
        added(4, json!({"type": "custom_tool_call", "call_id": "d", "name": "run", "input": ""})),
        on("custom_tool_call_input", 4, "x"),
        done(4),
        json!({"type": "response.completed", "response": response}),
    ];
    let wanted = json!({"object": "chat.completion", "created": 7, "id": "resp_1", "model": "m", "choices": [{"index": 0,
        "message": {"role": "assistant", "reasoning_content": "a\n\nb", "content": "I add.", "refusal": "no", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}},
            {"id": "d", "type": "function", "function": {"name": "run", "arguments": "{\"input\":\"x\"}"}}]},
        "logprobs": {"content": probability}, "finish_reason": "tool_calls"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
                  "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}});
    assert_eq!(whole(&response), wanted);
    assert_eq!(heard(&events), wanted);
    // A server that tells only whole items, or nothing before the end.
    let only_items: Vec<Value> = (0..5).map(done).chain([events[22].clone()]).collect();
    for events in [&only_items[..], &events[22..]] {
        let mut found = heard(events);
        found["id"] = "resp_1".into();
        found["model"] = "m".into();
        assert_eq!(found, wanted);
    }
}

#[test]
fn every_end_has_its_reason() {
    let output = json!([{"type": "message", "content": [{"type": "output_text", "text": "x"}]}]);
    for (status, details, wanted) in [
        ("completed", Value::Null, "stop"),
        ("incomplete", json!({"reason": "max_output_tokens"}), "length"),
        ("incomplete", json!({"reason": "content_filter"}), "content_filter"),
        ("incomplete", Value::Null, "length"),
    ] {
        let response = json!({"status": status, "incomplete_details": details, "output": output});
        assert_eq!(whole(&response)["choices"][0]["finish_reason"], wanted, "{response}");
    }
    for body in
        [json!({"status": "failed", "output": [], "error": {}}), json!({"status": "queued", "output": []}), json!(5)]
    {
        assert_eq!(Returned::new(0).whole(&body.to_string()), None, "{body}");
    }
}

#[test]
fn errors_and_foreign_words_are_told_apart() {
    let error = r#"{"type":"error","code":"server_error","message":"boom"}"#;
    assert_eq!(Returned::new(0).event(error), Heard::Failed(error.to_owned()));
    let failed = r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"slow"}}}"#;
    let wanted = r#"{"error":{"code":"rate_limit_exceeded","message":"slow"}}"#;
    assert_eq!(Returned::new(0).event(failed), Heard::Failed(wanted.to_owned()));
    assert_eq!(Returned::new(0).event(r#"{"type":"response.failed"}"#), Heard::Failed(r#"{"error":{}}"#.to_owned()));
    for foreign in ["", "null", r#"{"error":{}}"#] {
        assert_eq!(Returned::new(0).event(foreign), Heard::Foreign, "{foreign}");
    }
    for odd in [
        r#"{"type":"response.created"}"#,
        r#"{"type":"response.output_item.added","item":[]}"#,
        r#"{"type":"response.output_text.delta","delta":7,"logprobs":{}}"#,
        r#"{"type":"response.function_call_arguments.delta","output_index":3,"delta":"{"}"#,
        r#"{"type":"response.output_item.done","output_index":-1,"item":{"type":"message","content":7}}"#,
    ] {
        assert_eq!(Returned::new(0).event(odd), Heard::Chunks(Vec::new()), "{odd}");
    }
}

proptest! {
    /// A chat that becomes a request of this API and then a chat again loses nothing.
    #[test]
    fn nothing_that_both_can_say_is_lost(
        texts in prop::collection::vec(("[a-zé😀\"\\\\]{1,6}", prop::option::of("[a-z]{1,4}"), any::<bool>()), 1..4),
        system in prop::option::of("[a-z]{1,4}"),
        choice in prop::sample::select(vec![json!("auto"), json!("required"), json!({"type": "function", "function": {"name": "f"}})]),
        parallel in any::<bool>(),
    ) {
        let mut messages: Vec<Value> = system.into_iter().map(|text| json!({"role": "system", "content": text})).collect();
        for (index, (text, answer, is_pictured)) in texts.into_iter().enumerate() {
            let image = json!({"type": "image_url", "image_url": {"url": "https://h/i.png", "detail": "low"}});
            messages.push(if is_pictured {
                json!({"role": "user", "content": [{"type": "text", "text": &text}, image]})
            } else {
                json!({"role": "user", "content": &text})
            });
            let id = format!("c{index}");
            let call = json!({"id": id, "type": "function", "function": {"name": "f", "arguments": json!({"a": &text}).to_string()}});
            messages.push(json!({"role": "assistant", "content": answer, "tool_calls": [call]}));
            messages.push(json!({"role": "tool", "content": text, "tool_call_id": id}));
        }
        let body = json!({
            "model": "m", "max_tokens": 9, "temperature": 0.5, "user": "u", "tool_choice": choice,
            "parallel_tool_calls": parallel, "reasoning_effort": "high", "verbosity": "low",
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": true}},
        });
        let mut asked = body.clone();
        asked["messages"] = json!(messages);
        let again = to_chat(sent_of(&asked, false).unwrap().to_string().as_bytes()).unwrap();
        prop_assert_eq!(serde_json::to_value(&again.messages).unwrap(), json!(messages));
        let mut chat = serde_json::to_value(&again.chat).unwrap();
        chat.as_object_mut().unwrap().remove("kind");
        prop_assert_eq!(chat, body);
    }
}
