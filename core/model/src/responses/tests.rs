use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chat::into_raw;
use crate::{Answer, Error, ErrorKind, FinishReason, Parts, Usage};

/// The chat that a body becomes, as the JSON that an upstream would get.
fn sent(body: &Value) -> Value {
    let ResponsesRequest { mut chat, messages, .. } = to_chat(body.to_string().as_bytes()).unwrap();
    chat.messages = Some(into_raw(&messages).unwrap());
    let mut sent = serde_json::to_value(chat).unwrap();
    sent.as_object_mut().unwrap().remove("kind");
    sent
}

fn messages(items: &Value) -> Value {
    sent(&json!({"input": items}))["messages"].take()
}

#[test]
fn every_member_has_its_place_in_a_chat() {
    let tool = json!({"type": "function", "name": "f", "description": "d", "parameters": {"x": 1.50}, "strict": true});
    let function = json!({"name": "f", "description": "d", "parameters": {"x": 1.50}, "strict": true});
    let schema = json!({"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": true});
    for (body, wanted) in [
        (json!({"model": "m", "stream": true}), json!({"model": "m", "stream": true})),
        (json!({"max_output_tokens": 7}), json!({"max_tokens": 7})),
        (json!({"temperature": 0.5, "top_p": 0.25, "seed": 3}), json!({"temperature": 0.5, "top_p": 0.25, "seed": 3})),
        (json!({"tools": [tool]}), json!({"tools": [{"type": "function", "function": function}]})),
        (json!({"timeout": 2.5, "max_miners": 2, "prompt_type": 1}), json!({"timeout": 2.5, "max_miners": 2})),
        (json!({"tool_choice": "required"}), json!({"tool_choice": "required"})),
        (
            json!({"tool_choice": {"type": "function", "name": "f"}, "parallel_tool_calls": false}),
            json!({"tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false}),
        ),
        (
            json!({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}),
            json!({"tool_choice": "auto"}),
        ),
        (json!({"reasoning": {"effort": "low", "summary": "auto"}}), json!({"reasoning_effort": "low"})),
        (
            json!({"text": {"format": schema, "verbosity": "low"}}),
            json!({"verbosity": "low", "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}, "strict": true}}}),
        ),
        (json!({"text": {"format": {"type": "json_object"}}}), json!({"response_format": {"type": "json_object"}})),
        (json!({"top_logprobs": 2}), json!({"logprobs": true, "top_logprobs": 2})),
        (
            json!({"include": [], "store": false, "metadata": {"a": "b"}, "truncation": "auto", "prompt_cache_key": "k",
                   "text": {"format": {"type": "text"}}, "tools": [], "conversation": null, "background": true}),
            json!({}),
        ),
    ] {
        let (mut body, mut wanted) = (body, wanted);
        body["input"] = "hi".into();
        wanted["messages"] = json!([{"role": "user", "content": "hi"}]);
        assert_eq!(sent(&body), wanted, "{body}");
    }
}

#[test]
fn every_item_has_its_place_among_the_messages() {
    let text = |role: &str, text: &str| json!({"role": role, "content": text});
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
    for (items, wanted) in [
        (json!("hi"), json!([text("user", "hi")])),
        (
            json!([{"role": "developer", "content": "a"}, {"role": "user", "content": "b"}]),
            json!([text("system", "a"), text("user", "b")]),
        ),
        (
            json!([{"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
                {"type": "input_file", "filename": "f.pdf", "file_data": "data:application/pdf;base64,AA=="},
            ]}]),
            json!([{"role": "user", "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
                {"type": "file", "file": {"filename": "f.pdf", "file_data": "data:application/pdf;base64,AA=="}},
            ]}]),
        ),
        // The model's items that follow one another are one message.
        (
            json!([
                {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I call."}]},
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                {"type": "custom_tool_call", "call_id": "b", "name": "f", "input": "x\ny"},
                {"type": "function_call_output", "call_id": "a", "output": "1"},
                {"type": "custom_tool_call_output", "call_id": "b", "output": [{"type": "input_text", "text": "2"}]},
                {"type": "message", "role": "assistant", "content": "Done."},
                {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            ]),
            json!([
                {"role": "assistant", "content": "I call.", "reasoning_content": "hm", "tool_calls": [
                    call("a", "{}"), call("b", "{\"input\":\"x\\ny\"}"),
                ]},
                {"role": "tool", "content": "1", "tool_call_id": "a"},
                {"role": "tool", "content": "2", "tool_call_id": "b"},
                {"role": "assistant", "content": "Done."},
                {"role": "assistant", "content": null, "refusal": "no"},
            ]),
        ),
        (
            json!([{"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}, {"role": "assistant", "content": "after"}]),
            json!([{"role": "assistant", "content": null, "tool_calls": [call("a", "{}")]}, text("assistant", "after")]),
        ),
        (
            json!([{"type": "function_call_output", "call_id": "a", "output": [
                {"type": "input_text", "text": "shot"}, {"type": "input_image", "image_url": "data:,"}]}]),
            json!([
                {"role": "tool", "content": "shot", "tool_call_id": "a"},
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]},
            ]),
        ),
        (
            json!([{"type": "reasoning", "summary": [{"type": "summary_text", "text": "s"}]}, {"role": "user", "content": "q"}]),
            json!([{"role": "assistant", "content": null, "reasoning_content": "s"}, text("user", "q")]),
        ),
        // An SDK writes the members of an answer that have no value, too.
        (
            json!([
                {"type": "reasoning", "id": "rs", "summary": null, "content": null, "encrypted_content": null},
                {"type": "message", "id": "m", "role": "assistant", "status": "completed", "phase": null, "content": [
                    {"type": "output_text", "text": "a", "annotations": null, "logprobs": null}]},
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}", "namespace": null},
                {"type": "function_call_output", "id": null, "call_id": "a", "output": "1", "status": null},
            ]),
            json!([
                {"role": "assistant", "content": "a", "tool_calls": [call("a", "{}")]},
                {"role": "tool", "content": "1", "tool_call_id": "a"},
            ]),
        ),
    ] {
        assert_eq!(messages(&items), wanted, "{items}");
    }
}

#[test]
fn a_wrong_member_is_named() {
    for (body, param) in [
        (json!({}), "input"),
        (json!({"input": 5}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": [5]}), "input[0]"),
        (json!({"input": [["message", "user", "hi"]]}), "input[0]"),
        (json!({"input": [{"type": "web_search_call"}]}), "input[0].type"),
        (json!({"input": [{"type": "item_reference", "id": "x"}]}), "input[0].type"),
        (json!({"input": [{"content": "x"}]}), "input[0].role"),
        (json!({"input": [{"role": "tool", "content": "x"}]}), "input[0].role"),
        (json!({"input": [{"role": "user"}]}), "input[0].content"),
        (json!({"input": [{"role": "user", "content": 5}]}), "input[0].content"),
        (json!({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}), "input[0].content[0].type"),
        (
            json!({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}),
            "input[0].content[0].file_id",
        ),
        (
            json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "f"}]}]}),
            "input[0].content[0].file_url",
        ),
        (json!({"input": [{"role": "assistant", "content": [{"type": "input_image"}]}]}), "input[0].content[0].type"),
        (json!({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}), "input[0].call_id"),
        (json!({"input": [{"type": "function_call_output", "call_id": "c"}]}), "input[0].output"),
        (json!({"input": "x", "tools": [{"type": "code_interpreter"}]}), "tools[0].type"),
        (json!({"input": "x", "tools": [{"type": "function"}]}), "tools[0].name"),
        (json!({"input": "x", "tools": [5]}), "tools[0]"),
        (json!({"input": "x", "tools": [null]}), "tools[0]"),
        (json!({"input": "x", "tools": [{"type": "web_search"}, {"type": "web_search"}]}), "tools[0].type"),
        (json!({"input": "x", "tools": [{"type": "functoin", "name": "f"}]}), "tools[0].type"),
        (json!({"input": "x", "tools": [{"type": "function", "name": "f"}, {"type": "local_shell"}]}), "tools[1].type"),
        (json!({"input": "x", "tools": [{"type": "namespace", "tools": []}]}), "tools[0].name"),
        (
            json!({"input": "x", "tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function"}]}]}),
            "tools[0].tools[0].name",
        ),
        (
            json!({"input": "x", "tools": [{"type": "namespace", "name": "n", "tools": [{"type": "namespace", "name": "m"}]}]}),
            "tools[0].tools[0].type",
        ),
        (json!({"input": [{"type": "additional_tools", "tools": [{"type": "custom"}]}]}), "input[0].tools[0].name"),
        (
            json!({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]}),
            "input[0].arguments",
        ),
        (json!({"input": "x", "reasoning": "high"}), "reasoning"),
        (json!({"input": "x", "tool_choice": "some"}), "tool_choice"),
        (json!({"input": "x", "tool_choice": {"type": "mcp"}}), "tool_choice"),
        (json!({"input": "x", "text": {"format": {"type": "grammar"}}}), "text.format.type"),
        (json!({"input": "x", "prompt": {"id": "p"}}), "prompt"),
        (json!({"input": "x", "conversation": "c"}), "conversation"),
        (json!({"input": "x", "truncation": "some"}), "truncation"),
        (json!({"input": "x", "max_output_tokens": -1}), "max_output_tokens"),
        (json!({"input": "x", "temperature": "hot"}), "temperature"),
        (json!({"input": "x", "priority": "high"}), "priority"),
    ] {
        // A part that no chat can stand for is an error where no server of this API is.
        let error = match to_chat(body.to_string().as_bytes()) {
            Ok(request) => request.own.unwrap_or_else(|| panic!("nothing is wrong with {body}")),
            Err(error) => error,
        };
        assert_eq!(error.details().param.as_deref(), Some(param), "{body}: {error}");
        assert!(error.message().contains(param), "{error}");
    }
}

#[test]
fn a_request_that_no_chat_stands_for_is_told_apart_from_a_wrong_one() {
    let user = json!({"role": "user", "content": "q"});
    let own = json!({"type": "function", "name": "f"});
    for (body, is_own) in [
        (json!({"tools": [{"type": "web_search"}]}), true),
        (json!({"tools": [{"type": "web_search"}, own]}), false),
        (json!({"tools": [{"type": "shell"}, own]}), true),
        (json!({"tools": [{"type": "web_search"}, own], "tool_choice": {"type": "web_search"}}), true),
        (json!({"tools": [own], "tool_choice": {"type": "function", "name": "f"}}), false),
        (json!({"input": [user, {"type": "web_search_call", "id": "w", "status": "completed"}]}), true),
        (json!({"input": [user, {"type": "compaction", "encrypted_content": "x"}]}), true),
        (json!({"input": [user, {"type": "computer_call_output", "call_id": "c", "output": {"type": "x"}}]}), true),
        (json!({"input": [user, {"type": "from_the_future", "name": {}, "content": 1, "summary": "s"}]}), true),
        (json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}), true),
        (json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_data": "d"}]}]}), false),
    ] {
        let mut whole = json!({"model": "m", "input": "q"});
        whole.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let request = to_chat(whole.to_string().as_bytes()).unwrap();
        assert_eq!(request.own.is_some(), is_own, "{body}");
        assert!(request.own.is_none() || request.left_out.is_empty(), "nothing is left out for a server of this API");
    }
}

/// Every kind of tool that a client runs, beside two that only a host runs.
fn toolbox() -> Value {
    json!([
        {"type": "function", "name": "plain"},
        {"type": "web_search", "external_web_access": false},
        {"type": "custom", "name": "patch", "description": "Patches.", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "namespace", "name": "mcp__git", "description": "Git.", "tools": [
            {"type": "function", "name": "log", "parameters": {"type": "object"}}, {"type": "custom", "name": "_run"}]},
        {"type": "tool_search", "execution": "client", "description": "Finds.", "parameters": {"type": "object"}},
        {"type": "image_generation", "output_format": "png"},
        {"type": "web_search_preview_2025_03_11"},
    ])
}

#[test]
fn tools_become_functions() {
    let body = json!({"tools": toolbox(), "input": [
        {"type": "additional_tools", "role": "developer", "tools": [
            {"type": "namespace", "name": "functions", "tools": [{"type": "custom", "name": "exec"}]},
            {"type": "function", "name": "plain", "description": "again"}]},
        {"role": "user", "content": "q"},
        {"type": "tool_search_call", "call_id": "s", "execution": "client", "arguments": {"query": "q"}},
        {"type": "tool_search_output", "call_id": "s", "execution": "client", "status": "completed", "tools": [
            {"type": "namespace", "name": "mcp__cal_", "tools": [{"type": "function", "name": "add", "defer_loading": true}]}]},
        {"type": "function_call", "call_id": "c", "namespace": "mcp__cal_", "name": "add", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "done"},
        {"type": "tool_search_call", "call_id": null, "execution": "server", "arguments": {}},
    ]});
    let request = to_chat(body.to_string().as_bytes()).unwrap();
    assert_eq!(request.left_out, ["web_search", "image_generation", "web_search_preview_2025_03_11"]);
    let shown: Vec<&Value> = request.asked.tools.iter().map(|tool| &tool["type"]).collect();
    assert_eq!(shown, ["function", "custom", "namespace", "tool_search", "namespace", "namespace"]);
    let sent = sent(&body);
    let text = json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]});
    let grammar = r#"Patches.

{"definition":"x","syntax":"lark","type":"grammar"}"#;
    let functions: Vec<Value> = vec![
        json!({"name": "plain"}),
        json!({"name": "patch", "description": grammar, "parameters": text}),
        json!({"name": "mcp__git__log", "parameters": {"type": "object"}}),
        json!({"name": "mcp__git_run", "parameters": text}),
        json!({"name": "tool_search", "description": "Finds.", "parameters": {"type": "object"}}),
        json!({"name": "exec", "parameters": text}),
        json!({"name": "mcp__cal_add"}),
    ];
    let found: Vec<Value> = sent["tools"].as_array().unwrap().iter().map(|tool| tool["function"].clone()).collect();
    assert_eq!(found, functions);
    let call = |id: &str, name: &str, arguments: &str| {
        json!({"role": "assistant", "content": null, "tool_calls": [
            {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}]})
    };
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "user", "content": "q"},
            call("s", "tool_search", r#"{"query":"q"}"#),
            {"role": "tool", "tool_call_id": "s", "content": r#"{"tools":["mcp__cal_add"]}"#},
            call("c", "mcp__cal_add", "{}"),
            {"role": "tool", "tool_call_id": "c", "content": "done"},
        ])
    );
}

#[test]
fn a_call_of_a_function_is_a_call_of_its_tool() {
    let asked = to_chat(json!({"input": "x", "tools": toolbox()}).to_string().as_bytes()).unwrap().asked;
    for (function, arguments, wanted) in [
        ("plain", "{}", json!({"type": "function_call", "id": "fc_d_0", "name": "plain", "arguments": "{}"})),
        ("other", "{}", json!({"type": "function_call", "id": "fc_d_0", "name": "other", "arguments": "{}"})),
        (
            "patch",
            r#"{"input":"*** x"}"#,
            json!({"type": "custom_tool_call", "id": "ctc_d_0", "name": "patch", "input": "*** x"}),
        ),
        (
            "mcp__git__log",
            r#"{"n":1}"#,
            json!({"type": "function_call", "id": "fc_d_0", "name": "log", "namespace": "mcp__git", "arguments": "{\"n\":1}"}),
        ),
        (
            "mcp__git_run",
            r#"{"input":"ls"}"#,
            json!({"type": "custom_tool_call", "id": "ctc_d_0", "name": "_run", "namespace": "mcp__git", "input": "ls"}),
        ),
        (
            "tool_search",
            r#"{"query":"q"}"#,
            json!({"type": "tool_search_call", "id": "tsc_d_0", "execution": "client", "arguments": {"query": "q"}}),
        ),
        (
            "tool_search",
            "",
            json!({"type": "tool_search_call", "id": "tsc_d_0", "execution": "client", "arguments": {}}),
        ),
    ] {
        let call =
            json!({"index": 0, "id": "c", "type": "function", "function": {"name": function, "arguments": arguments}});
        let chunk = json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}).to_string();
        let raw = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": null, "tool_calls": [call]},
                                      "finish_reason": "tool_calls"}]});
        let answer = Answer::default().finish_reason(FinishReason::ToolCalls).raw(Some(raw.to_string().into()));
        let full = whole(&answer, &asked);
        let mut wanted = wanted;
        (wanted["status"], wanted["call_id"]) = ("completed".into(), "c".into());
        assert_eq!(full["output"], json!([wanted]));
        assert_eq!(streamed(&[("", Some(&chunk))], &answer, &asked), full);
    }
}

fn named() -> Named {
    Named { digits: "d".into(), model: "m".into(), created_at: 7 }
}

fn whole(answer: &Answer, asked: &Asked) -> Value {
    serde_json::to_value(Resource::of(&named(), asked, Ended::Answered(answer), Some(9))).unwrap()
}

/// The events of a stream, each checked for its name and its number.
fn events(out: &[u8], first: u64) -> Vec<Value> {
    let text = std::str::from_utf8(out).unwrap();
    let mut all = Vec::new();
    for event in text.split_terminator("\n\n") {
        if event == "data: [DONE]" {
            continue;
        }
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        assert_eq!(data["sequence_number"], first + all.len() as u64);
        all.push(data);
    }
    assert!(text.ends_with("data: [DONE]\n\n"));
    all
}

/// The items that a client puts together from the events, as OpenAI's own SDKs do it.
fn put_together(events: &[Value]) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    for event in events {
        let index = event["output_index"].as_u64().unwrap_or_default() as usize;
        let part = event["content_index"].as_u64().unwrap_or_default() as usize;
        let grow = |value: &mut Value| {
            *value = format!("{}{}", value.as_str().unwrap(), event["delta"].as_str().unwrap()).into();
        };
        match event["type"].as_str().unwrap() {
            "response.output_item.added" => {
                assert_eq!(items.len(), index);
                items.push(event["item"].clone());
            }
            "response.content_part.added" if items[index]["type"] == "reasoning" => {
                items[index]["content"] = json!([event["part"]]);
            }
            "response.content_part.added" => {
                items[index]["content"].as_array_mut().unwrap().push(event["part"].clone());
            }
            "response.reasoning_summary_part.added" => items[index]["summary"] = json!([event["part"]]),
            "response.output_text.delta" | "response.reasoning_text.delta" => {
                grow(&mut items[index]["content"][part]["text"]);
            }
            "response.refusal.delta" => grow(&mut items[index]["content"][part]["refusal"]),
            "response.reasoning_summary_text.delta" => grow(&mut items[index]["summary"][0]["text"]),
            "response.function_call_arguments.delta" => grow(&mut items[index]["arguments"]),
            "response.custom_tool_call_input.delta" => grow(&mut items[index]["input"]),
            "response.function_call_arguments.done" => assert_eq!(items[index]["arguments"], event["arguments"]),
            "response.output_item.done" if event["item"]["type"] == "tool_search_call" => {
                // A search has no events for its arguments.
                items[index] = event["item"].clone();
            }
            "response.custom_tool_call_input.done" => assert_eq!(items[index]["input"], event["input"]),
            "response.output_text.done" => assert_eq!(items[index]["content"][part]["text"], event["text"]),
            "response.output_item.done" => {
                items[index]["status"] = event["item"]["status"].clone();
                if items[index]["status"].is_null() {
                    items[index].as_object_mut().unwrap().remove("status");
                }
                assert_eq!(items[index], event["item"]);
            }
            _ => {}
        }
    }
    items
}

fn streamed(pieces: &[(&str, Option<&str>)], answer: &Answer, asked: &Asked) -> Value {
    let mut writer = Events::new(named(), asked.clone(), None);
    let mut out = Vec::new();
    for (text, raw) in pieces {
        writer.piece(text, raw.map(str::as_bytes), &mut out);
    }
    writer.end(answer, Some(9), &mut out);
    assert!(writer.is_over());
    let all = events(&out, 0);
    let response = all.last().unwrap()["response"].clone();
    assert_eq!(Value::from(put_together(&all)), response["output"]);
    response
}

#[test]
fn chunks_that_differ_in_their_words_alone_make_the_events_that_others_make() {
    let words = ["a \"b\"", "", "original_event", "\u{1f600}\n"];
    let answer = Answer::default().text(words.concat());
    let all = [None, Some(1)].map(|after| {
        [false, true].map(|differs| {
            let mut writer = Events::new(named(), Asked::default(), after);
            let mut out = Vec::new();
            for (number, text) in words.iter().enumerate() {
                let beside = if differs { json!(number) } else { Value::Null };
                let raw =
                    json!({"choices": [{"index": 0, "delta": {"content": text}, "logprobs": beside}]}).to_string();
                writer.piece(text, Some(raw.as_bytes()), &mut out);
            }
            writer.end(&answer, Some(9), &mut out);
            String::from_utf8(out).unwrap()
        })
    });
    for [alike, differing] in all {
        assert_eq!(alike, differing);
        assert_eq!(alike.matches("event: response.output_text.delta\n").count(), 3);
    }
}

fn called() -> (Vec<String>, Answer) {
    let delta = |delta: &str| format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
    let raws = vec![
        delta(r#"{"reasoning_content":"h"}"#),
        delta(r#"{"reasoning_content":"m"}"#),
        delta(r#"{"content":"I add."}"#),
        delta(r#"{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"add","arguments":""}}]}"#),
        delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}"#),
        delta(
            r#"{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"sh","arguments":"{\"input\":\"ls\"}"}}]}"#,
        ),
        delta(r#"{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}"#),
    ];
    let raw = r#"{"choices":[{"index":0,"message":{"role":"assistant","reasoning_content":"hm","content":"I add.","tool_calls":[
        {"id":"a","type":"function","function":{"name":"add","arguments":"{\"x\":1}"}},
        {"id":"b","type":"function","function":{"name":"sh","arguments":"{\"input\":\"ls\"}"}}]},"finish_reason":"tool_calls"}]}"#;
    let answer = Answer::default().text("I add.").finish_reason(FinishReason::ToolCalls).raw(Some(raw.into()));
    (raws, answer.usage(Usage::new(10, 3).cached_tokens(4).reasoning_tokens(2)))
}

#[test]
fn a_stream_of_chunks_becomes_the_whole_answer() {
    let (raws, answer) = called();
    let texts = ["", "", "I add.", "", "", "", ""];
    let pieces: Vec<_> = texts.iter().copied().zip(raws.iter().map(|raw| Some(raw.as_str()))).collect();
    let tools = vec![json!({"type": "custom", "name": "sh"})];
    let asked = Asked { tools, ..Asked::default() };
    let full = whole(&answer, &asked);
    assert_eq!(
        full["output"],
        json!([
            {"type": "reasoning", "id": "rs_d_0", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
            {"type": "message", "id": "msg_d_1", "status": "completed", "role": "assistant", "content": [
                {"type": "output_text", "text": "I add.", "annotations": [], "logprobs": []}]},
            {"type": "function_call", "id": "fc_d_2", "status": "completed", "call_id": "a", "name": "add", "arguments": "{\"x\":1}"},
            {"type": "custom_tool_call", "id": "ctc_d_3", "status": "completed", "call_id": "b", "name": "sh", "input": "ls"},
        ])
    );
    assert_eq!(
        full["usage"],
        json!({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3,
               "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 13})
    );
    assert_eq!(streamed(&pieces, &answer, &asked), full);
    // The miner gave all of it, or all but the text, in one piece.
    assert_eq!(streamed(&[], &answer, &asked), full);
    let summary = Asked { reasoning: Some(json!({"summary": "auto"})), ..asked };
    let shown = streamed(&pieces, &answer, &summary);
    assert_eq!(
        shown["output"][0],
        json!({"type": "reasoning", "id": "rs_d_0", "summary": [{"type": "summary_text", "text": "hm"}]})
    );
    assert_eq!(shown, whole(&answer, &summary));
}

#[test]
fn an_end_has_its_status() {
    let said = |reason: &str| Answer::default().text("x").finish_reason(FinishReason::from(reason));
    for (reason, status, details, item) in [
        ("stop", "completed", Value::Null, "completed"),
        ("length", "incomplete", json!({"reason": "max_output_tokens"}), "incomplete"),
        ("content_filter", "incomplete", json!({"reason": "content_filter"}), "incomplete"),
    ] {
        let full = whole(&said(reason), &Asked::default());
        assert_eq!((&full["status"], &full["incomplete_details"]), (&json!(status), &details));
        assert_eq!(full["output"][0]["status"], item);
        assert_eq!(full["completed_at"].is_null(), status != "completed");
        assert_eq!(streamed(&[("x", None)], &said(reason), &Asked::default()), full);
    }
    for (error, code) in [
        (Error::new(ErrorKind::Overloaded, "full"), "rate_limit_exceeded"),
        (Error::invalid("messages", "bad"), "invalid_prompt"),
        (Error::invalid("messages", "long").with_code("context_length_exceeded"), "context_length_exceeded"),
        (Error::new(ErrorKind::MinerFailed, "lost"), "server_error"),
    ] {
        let mut writer = Events::new(named(), Asked::default(), None);
        let mut out = Vec::new();
        writer.piece("a", None, &mut out);
        writer.fail(&error, &mut out);
        let all = events(&out, 0);
        let last = all.last().unwrap();
        assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.failed"), &json!("failed")));
        assert_eq!(last["response"]["error"], json!({"code": code, "message": error.message()}));
        assert_eq!(last["response"]["output"][0]["content"][0]["text"], "a");
    }
}

/// Checks that every item and every part that has begun has also ended, and that they make the output of the end.
fn assert_whole(out: &[u8]) {
    let all = events(out, 0);
    let count = |end: &str| all.iter().filter(|event| event["type"].as_str().unwrap().ends_with(end)).count();
    for part in ["output_item", "content_part", "reasoning_summary_part"] {
        let [begun, ended] = ["added", "done"].map(|change| count(&format!(".{part}.{change}")));
        assert_eq!(begun, ended, "{part} of {all:#?}");
    }
    let last = all.last().unwrap();
    assert_eq!(Value::from(put_together(&all)), last["response"]["output"], "{all:#?}");
}

#[test]
fn a_stream_that_fails_anywhere_ends_all_that_is_open() {
    let (raws, answer) = called();
    let texts = ["", "", "I add.", "", "", "", ""];
    let tools = vec![json!({"type": "custom", "name": "sh"})];
    let reasoning = [None, Some(json!({"summary": "auto"}))];
    let error = Error::new(ErrorKind::MinerFailed, "lost");
    for asked in reasoning.map(|reasoning| Asked { tools: tools.clone(), reasoning, ..Asked::default() }) {
        let mut full = Vec::new();
        let mut writer = Events::new(named(), asked.clone(), None);
        for cut in 0..=raws.len() {
            let (mut writer, mut out) = (Events::new(named(), asked.clone(), None), Vec::new());
            for (text, raw) in texts.iter().zip(&raws).take(cut) {
                writer.piece(text, Some(raw.as_bytes()), &mut out);
            }
            writer.fail(&error, &mut out);
            assert_whole(&out);
            let failed = events(&out, 0).pop().unwrap()["response"].clone();
            let open =
                failed["output"].as_array().unwrap().iter().filter(|item| item["status"] == "incomplete").count();
            assert!(open <= 2, "what was whole before is not cut off: {failed}");
        }
        for (text, raw) in texts.iter().zip(&raws) {
            writer.piece(text, Some(raw.as_bytes()), &mut full);
        }
        writer.end(&answer, Some(9), &mut full);
        // The events of this stream are those of a server that speaks the API itself.
        let told = events(&full, 0);
        for cut in 0..told.len() {
            for is_failure in [true, false] {
                let (mut writer, mut out) = (Events::new(named(), asked.clone(), None), Vec::new());
                for event in &told[..cut] {
                    let raw = format!(r#"{{"choices":[],"original_event":{event}}}"#);
                    writer.piece("", Some(raw.as_bytes()), &mut out);
                }
                if is_failure {
                    writer.fail(&error, &mut out);
                } else if cut > 0 {
                    // The answer was longer than the router takes.
                    let answer = Answer::default().text("I").finish_reason(FinishReason::Length);
                    writer.end(&answer, Some(9), &mut out);
                } else {
                    continue;
                }
                assert_whole(&out);
                let found = events(&out, 0);
                assert_eq!(found[2.min(cut)..cut], told[2.min(cut)..cut], "the server's own events stay");
            }
        }
    }
}

#[test]
fn a_call_without_arguments_has_empty_ones_once_it_is_whole() {
    let raw = r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"now"}}]}}]}"#;
    let answer = Answer::default().finish_reason(FinishReason::ToolCalls);
    let response = streamed(&[("", Some(raw))], &answer, &Asked::default());
    assert_eq!(response["output"][0]["arguments"], "{}");
}

#[test]
fn odd_events_of_a_server_break_nothing() {
    let mut writer = Events::new(named(), Asked::default(), None);
    let mut out = Vec::new();
    for event in [
        json!({"type": "response.output_text.delta", "output_index": 3, "delta": "a"}),
        json!({"type": "response.output_item.added", "output_index": 7, "item": "no object"}),
        json!({"type": "response.output_text.delta", "output_index": 7, "content_index": 0, "delta": "a"}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"id": "m", "content": null}}),
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 9_000_000_000_u64, "delta": "a"}),
        json!({"type": "response.content_part.added", "output_index": 0, "content_index": 1, "part": {}}),
        json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"}),
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": 7}),
        json!({"type": "response.from.the.future", "output_index": 0}),
        json!({"type": "nothing"}),
        json!({"type": 4}),
        json!([]),
    ] {
        let raw = format!(r#"{{"choices":[],"original_event":{event}}}"#);
        writer.piece("", Some(raw.as_bytes()), &mut out);
    }
    writer.fail(&Error::new(ErrorKind::MinerFailed, "lost"), &mut out);
    let text = String::from_utf8(out).unwrap();
    assert!(text.ends_with("data: [DONE]\n\n") && text.contains("\"text\":\"a\""), "{text}");
}

#[test]
fn a_reader_goes_on_where_it_left_off() {
    let answer = Answer::default().text("a b");
    let pieces = ["a", " b"];
    let run = |after: Option<u64>| {
        let mut writer = Events::new(named(), Asked::default(), after);
        let mut out = Vec::new();
        for piece in pieces {
            writer.piece(piece, None, &mut out);
        }
        writer.end(&answer, Some(9), &mut out);
        out
    };
    let all = events(&run(None), 0);
    for after in 0..all.len() as u64 - 1 {
        assert_eq!(events(&run(Some(after)), after + 1), all[after as usize + 1..], "{after}");
    }
    // The pieces are not kept one by one any more: the end alone comes, under the next number.
    let mut writer = Events::new(named(), Asked::default(), Some(4));
    let mut out = Vec::new();
    writer.restart().unwrap();
    writer.piece("a b", None, &mut out);
    writer.end(&answer, Some(9), &mut out);
    let rest = events(&out, 5);
    assert_eq!((rest.len(), &rest[0]["response"]), (1, &all.last().unwrap()["response"]));
    // A number that no event has.
    let mut failed = Vec::new();
    Events::new(named(), Asked::default(), Some(99)).fail(&Error::invalid("messages", "bad"), &mut failed);
    for out in [run(Some(99)), failed] {
        let text = String::from_utf8(out).unwrap();
        let error: Value = serde_json::from_str(text.lines().nth(1).unwrap().strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!((&error["type"], &error["param"]), (&json!("error"), &json!("starting_after")));
    }
}

#[test]
fn what_the_answer_repeats_survives_the_store() {
    let tool =
        json!({"type": "function", "name": "f", "x": 1, "description": null, "parameters": null, "strict": null});
    let body = json!({"input": "x", "tools": [tool], "metadata": {"a": "b"}, "store": false,
                      "instructions": "i", "temperature": 0.5, "max_output_tokens": 3, "reasoning": {"effort": "low"}});
    let asked = to_chat(body.to_string().as_bytes()).unwrap().asked;
    let again: Asked = serde_json::from_str(into_raw(&asked).unwrap().get()).unwrap();
    assert_eq!(into_raw(&again).unwrap().get(), into_raw(&asked).unwrap().get());
    let begun = serde_json::to_value(Resource::of(&named(), &again, Ended::Queued, None)).unwrap();
    assert_eq!(
        (&begun["status"], &begun["tools"], &begun["metadata"]),
        (&json!("queued"), &body["tools"], &body["metadata"])
    );
    assert_eq!(
        (&begun["temperature"], &begun["max_output_tokens"], &begun["store"]),
        (&json!(0.5), &json!(3), &json!(false))
    );
}

proptest! {
    /// The bytes of a frame are those that the described type is serialized to, whatever the values are.
    #[test]
    fn a_frame_writes_what_its_type_is_serialized_to(
        (digits, model, text) in any::<(String, String, String)>(),
        (created_at, most, ended_at) in any::<(u64, Option<u64>, Option<u64>)>(),
        is_plain in any::<bool>(),
    ) {
        let named = Named { digits, model, created_at };
        let user = (!is_plain).then(|| text.clone());
        let asked = Asked { max_output_tokens: most, user, ..Asked::default() };
        let answer = Answer::default().text(text.as_str());
        let (cut, error) = (answer.clone().finish_reason(FinishReason::Length), Error::invalid("input", text));
        for ended in [
            Ended::Queued,
            Ended::InProgress,
            Ended::Answered(&answer),
            Ended::Answered(&cut),
            Ended::Cancelled,
            Ended::Failed(&error),
        ] {
            let response = Resource::of(&named, &asked, ended, ended_at);
            let mut out = Vec::new();
            response.write(&mut out).unwrap();
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&response).unwrap());
        }
    }

    /// Whatever the model says and in whichever pieces, a client that puts the events together has the whole answer.
    #[test]
    fn any_words_survive(pieces in prop::collection::vec(any::<String>(), 0..5), thought in any::<String>()) {
        let text = pieces.concat();
        let parts = Parts { reasoning: thought, ..Parts::default() };
        let raw: Bytes = parts.completion(&text, &FinishReason::Stop).unwrap();
        let answer = Answer::default().text(text.as_str()).raw(Some(raw));
        let delta = json!({"choices": [{"index": 0, "delta": {"reasoning_content": &parts.reasoning}}]}).to_string();
        let mut told = vec![("", Some(delta.as_str()))];
        told.extend(pieces.iter().map(|piece| (piece.as_str(), None)));
        prop_assert_eq!(streamed(&told, &answer, &Asked::default()), whole(&answer, &Asked::default()));
    }
}
