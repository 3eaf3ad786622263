//! Upstreams that speak one family alone: whole answers, streams, odd streams, errors, and jobs that they cannot serve.

use cortensor_router::Config;
use cortensor_router::config::{UpstreamApi, UpstreamConfig};
use cortensor_router::model::Breaker;
use cortensor_router_testkit::upstream::Say;
use cortensor_router_testkit::{Server, Upstream};
use serde_json::{Value, json};

pub(crate) const CHAT: &str = "/v1/chat/completions";

/// A router in front of upstreams of that API, each with a script of its own.
pub(crate) async fn before(upstreams: &[(&Upstream, UpstreamApi)]) -> Server {
    let server = Server::open(Config::default()).await;
    for (index, (upstream, api)) in upstreams.iter().enumerate() {
        let mut config = UpstreamConfig::new(&upstream.url);
        config.api = *api;
        config.name = Some(format!("up{index}"));
        config.models = vec!["up-model".into()];
        config.api_key = Some("sk-0123456789abcdef".into());
        server.router.add_upstream(config).unwrap();
    }
    server
}

fn ask(stream: bool) -> Value {
    json!({"model": "up-model", "messages": [{"role": "user", "content": "1 + 1?"}], "stream": stream,
           "stream_options": {"include_usage": true}})
}

pub(crate) fn events(list: &[Value]) -> Say {
    let text = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("x"));
    Say::Body("text/event-stream", list.iter().map(text).collect::<String>().into_bytes())
}

fn message() -> Value {
    json!({"id": "msg_9", "type": "message", "role": "assistant", "model": "up-1", "stop_sequence": null, "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "Two."},
        {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}},
    ], "stop_reason": "tool_use", "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 5}})
}

fn message_events() -> Vec<Value> {
    let begun = json!({"id": "msg_9", "type": "message", "role": "assistant", "model": "up-1", "content": [],
                       "stop_reason": null, "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 1}});
    vec![
        json!({"type": "message_start", "message": begun}),
        json!({"type": "ping"}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Two"}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "from_the_future", "text": "no"}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "."}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "from_the_future", "index": 1}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "add", "input": {}}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{\"a\":1}"}}),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null}, "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ]
}

fn response() -> Value {
    json!({"id": "resp_9", "object": "response", "created_at": 1, "status": "completed", "model": "up-1", "error": null, "output": [
        {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "Two.", "annotations": []}]},
        {"type": "function_call", "id": "fc", "call_id": "t", "name": "add", "arguments": "{\"a\":1}"},
    ], "usage": {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5}})
}

pub(crate) fn response_events() -> Vec<Value> {
    let response = response();
    let item = |place: usize| response["output"][place].clone();
    vec![
        json!({"type": "response.created", "response": {"id": "resp_9", "model": "up-1", "status": "in_progress", "output": []}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning", "id": "rs", "summary": []}}),
        json!({"type": "response.reasoning_text.delta", "output_index": 0, "content_index": 0, "delta": "hm"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": item(0)}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "content": []}}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "Two"}),
        json!({"type": "response.from_the_future", "output_index": 1}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "."}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": item(1)}),
        json!({"type": "response.output_item.added", "output_index": 2, "item": {"type": "function_call", "call_id": "t", "name": "add", "arguments": ""}}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{\"a\":1}"}),
        json!({"type": "response.output_item.done", "output_index": 2, "item": item(2)}),
        json!({"type": "response.completed", "response": response}),
    ]
}

/// Each API with its whole answer and its stream of one answer.
pub(crate) fn families() -> [(UpstreamApi, &'static str, Value, Vec<Value>); 2] {
    [
        (UpstreamApi::Anthropic, "/v1/messages", message(), message_events()),
        (UpstreamApi::Responses, "/v1/responses", response(), response_events()),
    ]
}

#[tokio::test]
async fn a_chat_has_all_that_such_a_server_says() {
    for (api, path, whole, streamed) in families() {
        let upstream = Upstream::new(move |asked, body| {
            assert_eq!(asked, path);
            if body.contains("\"stream\":true") { events(&streamed) } else { Say::Json(200, whole.to_string()) }
        })
        .await;
        let server = before(&[(&upstream, api)]).await;
        let (status, answer) = server.post_json(CHAT, &ask(false)).await;
        let message = &answer["choices"][0]["message"];
        assert_eq!((status, &message["content"], &message["reasoning_content"]), (200, &json!("Two."), &json!("hm")));
        let call = json!({"id": "t", "type": "function", "function": {"name": "add", "arguments": "{\"a\":1}"}});
        assert_eq!((&message["tool_calls"][0], &answer["choices"][0]["finish_reason"]), (&call, &json!("tool_calls")));
        let usage = &answer["usage"];
        let counts =
            [&usage["prompt_tokens"], &usage["completion_tokens"], &usage["prompt_tokens_details"]["cached_tokens"]];
        assert_eq!((counts, &answer["model"]), ([&json!(7), &json!(5), &json!(4)], &json!("up-1")));

        let chunks = server.post(CHAT, &ask(true).to_string()).await.chunks();
        let said = |name: &str| -> String {
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][name].as_str()).collect()
        };
        assert_eq!((said("content"), said("reasoning_content")), ("Two.".to_owned(), "hm".to_owned()), "{chunks:?}");
        assert_eq!(chunks.iter().filter(|chunk| chunk["choices"][0]["delta"]["role"] == "assistant").count(), 1);
        assert!(chunks.iter().any(|chunk| chunk["choices"][0]["finish_reason"] == "tool_calls"));
        assert_eq!(chunks.last().unwrap()["usage"]["prompt_tokens"], 7);

        // The other families read it as well, and so does a prompt.
        let (_, answer) = server.post_json("/api/v1/completions", &json!({"prompt": "1 + 1?"})).await;
        assert_eq!(answer["text"], "Two.", "{answer}");
        for head in upstream.heads() {
            let key = head.to_ascii_lowercase();
            let is_anthropic = key.contains("\r\nx-api-key: sk-0123456789abcdef\r\nanthropic-version: 2023-06-01");
            assert_eq!(is_anthropic, api == UpstreamApi::Anthropic, "{head}");
            assert_eq!(key.contains("\r\nauthorization: bearer sk-"), api == UpstreamApi::Responses, "{head}");
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn a_stream_may_be_odd_and_a_cut_one_is_no_answer() {
    for (api, _, _, whole) in families() {
        // Cut behind the reason, and before anything of the end.
        let ends = if api == UpstreamApi::Anthropic {
            [whole.len() - 1, whole.len() - 3]
        } else {
            [whole.len(), whole.len() - 1]
        };
        for (end, is_answer) in ends.into_iter().zip([true, false]) {
            let cut = whole[..end].to_vec();
            let upstream = Upstream::new(move |_, _| events(&cut)).await;
            let server = before(&[(&upstream, api)]).await;
            let reply = server.post(CHAT, &ask(true).to_string()).await;
            assert_eq!(reply.body.contains("\"finish_reason\":\"tool_calls\""), is_answer, "{}", reply.body);
            assert_eq!(reply.body.contains("\"error\""), !is_answer, "{}", reply.body);
            server.stop().await;
        }
        // Without usage the router estimates it.
        let mut bare = whole.clone();
        for event in &mut bare {
            for pointer in ["/usage", "/message/usage", "/response/usage"] {
                if let Some(usage) = event.pointer_mut(pointer) {
                    *usage = Value::Null;
                }
            }
        }
        let upstream = Upstream::new(move |_, _| events(&bare)).await;
        let server = before(&[(&upstream, api)]).await;
        let chunks = server.post(CHAT, &ask(true).to_string()).await.chunks();
        assert!(chunks.last().unwrap()["usage"]["completion_tokens"].as_u64().unwrap() > 0, "{chunks:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn an_error_within_a_stream_is_told() {
    for (api, _, _, whole) in families() {
        let errors = match api {
            UpstreamApi::Anthropic => {
                vec![json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})]
            }
            _ => vec![
                json!({"type": "error", "code": "rate_limit_exceeded", "message": "Overloaded"}),
                json!({"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "Overloaded"}}}),
            ],
        };
        for error in errors {
            // Before the first words it has a status of its own, and behind them it is an event.
            for (words, status) in [(1, 429), (10, 200)] {
                let list: Vec<Value> = whole[..words].iter().cloned().chain([error.clone()]).collect();
                let upstream = Upstream::new(move |_, _| events(&list)).await;
                let server = before(&[(&upstream, api)]).await;
                let reply = server.post(CHAT, &ask(true).to_string()).await;
                assert_eq!(reply.status, status, "{words}: {}", reply.body);
                assert!(reply.body.contains("Overloaded"), "{}", reply.body);
                assert_eq!(server.router.miners()[0].breaker, Breaker::Closed);
                server.stop().await;
            }
        }
    }
}

#[tokio::test]
async fn a_status_means_what_it_means_elsewhere() {
    let body = |kind: &str| json!({"type": "error", "error": {"type": kind, "message": "because"}}).to_string();
    for (status, kind, seen) in [
        (529, "overloaded_error", 429),
        (429, "rate_limit_error", 429),
        (400, "invalid_request_error", 400),
        (413, "request_too_large", 400),
        (404, "not_found_error", 404),
        (401, "authentication_error", 502),
        (500, "api_error", 502),
    ] {
        let upstream = Upstream::new(move |_, _| Say::Json(status, body(kind))).await;
        let server = before(&[(&upstream, UpstreamApi::Anthropic)]).await;
        let reply = server.post(CHAT, &ask(false).to_string()).await;
        assert!(
            reply.status == seen || reply.status == status && status < 500,
            "{status}: {} {}",
            reply.status,
            reply.body
        );
        assert_eq!(reply.body.contains("because"), status != 401, "{}", reply.body);
        server.stop().await;
    }
}

#[tokio::test]
async fn another_upstream_serves_what_one_cannot_say() {
    let chat =
        r#"{"id":"u","choices":[{"index":0,"message":{"role":"assistant","content":"{}"},"finish_reason":"stop"}]}"#;
    for (api, _, whole, _) in families() {
        let narrow = Upstream::new(move |_, _| Say::Json(200, whole.to_string())).await;
        let wide = Upstream::new(move |path, _| {
            let body = if path.ends_with("/embeddings") { r#"{"data":[{"index":0,"embedding":[0.5]}]}"# } else { chat };
            Say::Json(200, body.to_owned())
        })
        .await;
        let mut body = ask(false);
        body["n"] = 2.into();
        let alone = before(&[(&narrow, api)]).await;
        let reply = alone.post(CHAT, &body.to_string()).await;
        assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("n")), "{}", reply.body);
        assert!(reply.body.contains("leave it out"), "{}", reply.body);
        let embedding = json!({"model": "up-model", "input": "a"});
        assert_ne!(alone.post("/v1/embeddings", &embedding.to_string()).await.status, 200);
        alone.stop().await;
        assert!(narrow.bodies().is_empty());

        let both = before(&[(&narrow, api), (&wide, UpstreamApi::OpenAi)]).await;
        for _ in 0..4 {
            assert_eq!(both.post(CHAT, &body.to_string()).await.status, 200);
            assert_eq!(both.post("/v1/embeddings", &embedding.to_string()).await.status, 200);
            let plain = both.post("/v1/completions", r#"{"model":"up-model","prompt":"a"}"#).await;
            assert_eq!(plain.status, 200, "{}", plain.body);
        }
        assert!(narrow.bodies().is_empty());
        both.stop().await;
    }
}

/// The events of a stream with names, in order.
pub(crate) fn events_of(body: &str) -> Vec<Value> {
    let data = |event: &str| event.split_once("data: ").and_then(|(_, data)| serde_json::from_str(data).ok());
    body.split("\n\n").filter_map(data).collect()
}

#[tokio::test]
async fn a_caller_of_messages_has_every_word_of_a_server_of_messages() {
    let asked = json!({
        "model": "up-model", "max_tokens": 99, "timeout": 30, "a_newer_member": {"x": [1.5]},
        "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
        "thinking": {"type": "enabled", "budget_tokens": 50},
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "sig"}, {"type": "text", "text": "a"}]},
            {"role": "user", "content": "r"},
        ],
    });
    let mut wanted = asked.clone();
    wanted.as_object_mut().unwrap().remove("timeout");
    let mut whole = message();
    whole["content"].as_array_mut().unwrap().push(json!({"type": "from_the_future", "x": 1}));
    whole["usage"]["service_tier"] = "standard".into();
    let (answer, streamed) = (whole.clone(), message_events());
    let told = streamed.clone();
    let upstream = Upstream::new(move |_, body| {
        let mut body: Value = serde_json::from_str(body).unwrap();
        let stream = body.as_object_mut().unwrap().remove("stream").is_some();
        assert_eq!(body, wanted);
        if stream { events(&told) } else { Say::Json(200, answer.to_string()) }
    })
    .await;
    let server = before(&[(&upstream, UpstreamApi::Anthropic)]).await;
    let (status, mut found) = server.post_json("/v1/messages", &asked).await;
    assert_eq!(status, 200, "{found}");
    assert!(found["id"].as_str().unwrap().starts_with("msg_") && found["id"] != whole["id"]);
    found["id"] = whole["id"].clone();
    assert_eq!(found, whole);

    let mut body = asked.clone();
    body["stream"] = true.into();
    let reply = server.post("/v1/messages", &body.to_string()).await;
    let mut found = events_of(&reply.body);
    found[0]["message"]["id"] = "msg_9".into();
    let wanted: Vec<Value> = streamed.into_iter().filter(|event| event["type"] != "ping").collect();
    assert_eq!(found, wanted, "{}", reply.body);

    // A task is no different from others, and no other caller sees the server's own words.
    let chat =
        server.post_json(CHAT, &json!({"model": "up-model", "messages": asked["messages"], "max_tokens": 1})).await;
    assert_ne!(chat.0, 200, "the server refuses what it does not expect");
    server.stop().await;
}

#[tokio::test]
async fn a_bound_of_the_router_leaves_the_model_room_to_answer() {
    let upstream = Upstream::new(|_, body| {
        let body: Value = serde_json::from_str(body).unwrap();
        let (most, thinking) = (body["max_tokens"].as_u64().unwrap(), &body["thinking"]);
        let fits = thinking["budget_tokens"].as_u64().is_none_or(|budget| (1_024..most).contains(&budget));
        if fits { Say::Json(200, message().to_string()) } else { Say::Json(400, body.to_string()) }
    })
    .await;
    let server = before(&[(&upstream, UpstreamApi::Anthropic)]).await;
    for (most, budget) in [(64_000, 40_000), (2_000, 1_999), (2_000, 9_000), (1_000, 1_024)] {
        let asked = json!({"model": "up-model", "max_tokens": most, "messages": [{"role": "user", "content": "q"}],
                           "thinking": {"type": "enabled", "budget_tokens": budget}});
        let (status, answer) = server.post_json("/v1/messages", &asked).await;
        assert_eq!(status, 200, "{most} {budget}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_caller_of_responses_has_every_word_of_a_server_of_responses() {
    let asked = json!({"model": "up-model", "input": [{"type": "message", "role": "user", "content": "q"}],
                       "include": ["reasoning.encrypted_content"], "a_newer_member": 1, "timeout": 30});
    let mut wanted = asked.clone();
    wanted.as_object_mut().unwrap().remove("timeout");
    // The router keeps the response, and nobody else does.
    wanted["store"] = false.into();
    let mut whole = response();
    whole["output"][0]["encrypted_content"] = "secret".into();
    let mut streamed = response_events();
    let last = streamed.len() - 1;
    streamed[last]["response"] = whole.clone();
    let (answer, told) = (whole.clone(), streamed.clone());
    let upstream = Upstream::new(move |_, body| {
        let mut body: Value = serde_json::from_str(body).unwrap();
        let stream = body.as_object_mut().unwrap().remove("stream").is_some();
        assert_eq!(body, wanted);
        if stream { events(&told) } else { Say::Json(200, answer.to_string()) }
    })
    .await;
    let server = before(&[(&upstream, UpstreamApi::Responses)]).await;
    let (status, found) = server.post_json("/v1/responses", &asked).await;
    assert_eq!(status, 200, "{found}");
    let mut again = found.clone();
    again["id"] = whole["id"].clone();
    assert_eq!(again, whole);
    let id = found["id"].as_str().unwrap();
    assert_eq!(server.get_json(&format!("/v1/responses/{id}")).await.1, found);

    let mut body = asked.clone();
    body["stream"] = true.into();
    let reply = server.post("/v1/responses", &body.to_string()).await;
    let mut found = events_of(&reply.body);
    let id = found[0]["response"]["id"].as_str().unwrap().to_owned();
    for (place, (event, wanted)) in found.iter_mut().zip(&streamed).enumerate() {
        assert_eq!(event.as_object_mut().unwrap().remove("sequence_number"), Some(place.into()));
        if event["response"].is_object() {
            assert_eq!(event["response"]["id"], id);
            event["response"]["id"] = "resp_9".into();
        }
        assert_eq!(event, wanted);
    }
    assert_eq!(found.len(), streamed.len(), "{}", reply.body);
    let shown = server.get_json(&format!("/v1/responses/{id}")).await.1;
    assert_eq!((&shown["output"], &shown["id"]), (&whole["output"], &json!(id)));
    server.stop().await;
}

#[tokio::test]
async fn a_server_of_chats_that_also_has_an_api_serves_its_callers_in_their_own_words() {
    let chat =
        r#"{"id":"u","choices":[{"index":0,"message":{"role":"assistant","content":"chat"},"finish_reason":"stop"}]}"#;
    for (api, path, whole, streamed) in families() {
        let answer = whole.clone();
        let upstream = Upstream::new(move |asked, body| match () {
            () if asked == CHAT => Say::Json(200, chat.to_owned()),
            () if body.contains("\"stream\":true") => events(&streamed),
            () => Say::Json(200, answer.to_string()),
        })
        .await;
        let server = Server::open(Config::default()).await;
        let mut config = UpstreamConfig::new(&upstream.url);
        (config.also, config.models) = (vec![api], vec!["up-model".into()]);
        server.router.add_upstream(config).unwrap();
        let asked =
            json!({"model": "up-model", "max_tokens": 9, "messages": [{"role": "user", "content": "q"}], "input": "q"});
        let (status, mut found) = server.post_json(path, &asked).await;
        found["id"] = whole["id"].clone();
        assert_eq!((status, found), (200, whole));
        let mut body = asked.clone();
        body["stream"] = true.into();
        assert!(server.post(path, &body.to_string()).await.body.contains("from_the_future"));
        // Callers of the other APIs get what the chat says.
        for other in [CHAT, "/v1/messages", "/v1/responses"].into_iter().filter(|other| *other != path) {
            let reply = server.post(other, &asked.to_string()).await;
            assert!(reply.status == 200 && reply.body.contains("\"chat\""), "{other}: {}", reply.body);
        }
        server.stop().await;
    }
}

#[tokio::test]
async fn tokens_are_counted_by_the_server_where_it_can() {
    let asked =
        json!({"model": "up-model", "max_tokens": 9, "timeout": 3, "messages": [{"role": "user", "content": "a b"}]});
    for (api, path, answer) in [
        (UpstreamApi::Anthropic, "/v1/messages/count_tokens", r#"{"input_tokens":41}"#),
        (UpstreamApi::OpenAi, "/tokenize", r#"{"count":41,"tokens":[]}"#),
        (UpstreamApi::OpenAi, "/tokenize", "[1]"),
        (UpstreamApi::OpenAi, "", ""),
    ] {
        let upstream = Upstream::new(move |asked, body| {
            let body: Value = serde_json::from_str(body).unwrap();
            assert!(body.get("timeout").is_none() && body["messages"].is_array());
            if asked == path { Say::Json(200, answer.to_owned()) } else { Say::Json(404, "{}".to_owned()) }
        })
        .await;
        let server = before(&[(&upstream, api)]).await;
        server.miner(|miner| miner.active).await;
        for _ in 0..2 {
            let reply = server.post("/v1/messages/count_tokens", &asked.to_string()).await;
            let is_counted = answer.contains("41");
            assert_eq!(reply.header("x-cortensor-estimate"), (!is_counted).then_some("true"), "{path} {answer}");
            assert_eq!(reply.json()["input_tokens"] == 41, is_counted, "{}", reply.body);
        }
        // A server without such a route is asked once.
        assert_eq!(upstream.bodies().len(), if path.is_empty() { 1 } else { 2 });
        server.stop().await;
    }
}
