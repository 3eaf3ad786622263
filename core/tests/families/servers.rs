//! Upstreams that speak one family alone: whole answers, streams, odd streams, errors, and jobs that they cannot serve.

use cortensor_router::Config;
use cortensor_router::config::{UpstreamApi, UpstreamConfig};
use cortensor_router::model::Breaker;
use cortensor_router_testkit::upstream::Say;
use cortensor_router_testkit::{Server, Upstream};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

/// A router in front of upstreams of that API, each with a script of its own.
async fn before(upstreams: &[(&Upstream, UpstreamApi)]) -> Server {
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

fn events(list: &[Value]) -> Say {
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

fn response_events() -> Vec<Value> {
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
fn families() -> [(UpstreamApi, &'static str, Value, Vec<Value>); 2] {
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
