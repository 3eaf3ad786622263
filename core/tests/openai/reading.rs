//! The router reads the answers of upstreams leniently and judges them strictly, on every route.

use cortensor_router::Config;
use cortensor_router::config::DispatchConfig;
use serde_json::{Value, json};

use crate::rig::before;
use cortensor_router_testkit::server::Reply;
use cortensor_router_testkit::upstream::Say;
use cortensor_router_testkit::{Server, Upstream};

const CHAT: &str = r#"{"messages":[{"role":"user","content":"x"}]}"#;
const STREAM: &str =
    r#"{"messages":[{"role":"user","content":"x"}],"stream":true,"stream_options":{"include_usage":true}}"#;

fn said(text: &str) -> String {
    json!({"id":"u","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":text},"text":text,"finish_reason":null}]})
        .to_string()
}

fn end(reason: &str) -> String {
    json!({"id":"u","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"text":"","finish_reason":reason}]})
        .to_string()
}

/// The events as a stream of `data` lines, with `[DONE]` at its end.
fn events(events: &[&str]) -> Vec<u8> {
    events.iter().chain(&["[DONE]"]).map(|event| format!("data: {event}\n\n")).collect::<String>().into_bytes()
}

fn sse(body: impl Into<Vec<u8>>) -> Say {
    Say::Body("text/event-stream", body.into())
}

/// A router that tries once, in front of an upstream that gives that answer.
async fn asked_once(say: Say) -> (Upstream, Server) {
    let upstream = Upstream::new(move |_, _| say.clone()).await;
    let dispatch = DispatchConfig::default().max_attempts(1).breaker_failures(1_000);
    let server = Server::before(&upstream, Config::default().dispatch(dispatch)).await;
    (upstream, server)
}

/// Calls every route that makes a task, whole and streamed.
async fn by_every_route(server: &Server) -> Vec<(String, Reply)> {
    let mut out = Vec::new();
    for stream in [false, true] {
        for (path, body) in [
            ("/v1/chat/completions", r#""messages":[{"role":"user","content":"x"}]"#),
            ("/v1/completions", r#""prompt":"x""#),
            ("/api/v1/completions", r#""prompt":"x""#),
        ] {
            let reply = server.post(path, &format!(r#"{{{body},"stream":{stream}}}"#)).await;
            out.push((format!("{path} stream {stream}"), reply));
        }
    }
    out
}

const ERRORS: &[&str] = &[
    r#"data: {"error":{"message":"no","code":500}}"#,
    r#"data: {"error":"no","error_type":"generation"}"#,
    r#"data: {"object":"error","message":"no","type":"BadRequestError","param":null,"code":400}"#,
    r#"data: {"text":"**NETWORK ERROR**","error_code":50001}"#,
    r#"data: {"detail":"no"}"#,
    r#"data: {"message":"no","code":"InternalError"}"#,
    r#"data: {"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","error":{"code":502,"message":"no"}}]}"#,
    r#"data: [{"error":{"code":400,"message":"no"}}]"#,
    "event: error\ndata: {\"reason\":\"no\"}",
    "event: error\ndata: no",
    r#"error: {"code":500,"message":"no"}"#,
];

#[tokio::test]
async fn an_error_is_an_error_in_every_shape_place_and_route() {
    for error in ERRORS {
        for before in ["", "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"text\":\"a\"}]}\n\n"] {
            let body = format!("{before}{error}\n\ndata: [DONE]\n\n");
            let (_upstream, server) = asked_once(sse(body)).await;
            for (route, reply) in by_every_route(&server).await {
                let told = reply.body.contains("\"error\"");
                let streams = !before.is_empty() && route.ends_with("true");
                // A stream of `/api` may report the error as an event at any time.
                let is_api_stream = route.starts_with("/api") && route.ends_with("true");
                assert!(
                    told && (is_api_stream || (reply.status == 200) == streams),
                    "{route}: {before}{error}: {} {}",
                    reply.status,
                    reply.body
                );
                assert!(!reply.body.contains("\"stop\""), "{route}: {before}{error}: {}", reply.body);
            }
            let tasks = server.get("/api/v1/tasks/0").await;
            assert!(tasks.status == 200 && !tasks.body.contains("\"outcome\":\"ok\""), "{error}: {}", tasks.body);
        }
        // The error may also be the whole body of an answer with status 200.
        let Some(body) = error.strip_prefix("data: ") else { continue };
        let (_upstream, server) = asked_once(Say::Json(200, body.into())).await;
        for (route, reply) in by_every_route(&server).await {
            let is_api_stream = route.starts_with("/api") && route.ends_with("true");
            let is_right = is_api_stream || reply.status >= 400;
            assert!(is_right && reply.body.contains("\"error\""), "{route}: {error}: {}", reply.body);
        }
    }
}

#[tokio::test]
async fn a_status_within_an_error_is_the_callers() {
    for (error, status) in [
        (
            r#"{"object":"error","message":"This model's maximum context length is 16 tokens","type":"BadRequestError","code":400}"#,
            400,
        ),
        (r#"{"error":{"message":"slow down","code":429}}"#, 429),
        (r#"{"text":"no","error_code":40302}"#, 400),
    ] {
        for say in [sse(events(&[error])), Say::Json(200, error.into())] {
            let (_upstream, server) = asked_once(say).await;
            for body in [CHAT, STREAM] {
                assert_eq!(server.post("/v1/chat/completions", body).await.status, status, "{error}");
            }
        }
    }
}

#[tokio::test]
async fn an_end_without_a_proof_is_an_error() {
    let (a, stop, role) = (said("a"), end("stop"), said(""));
    let cut =
        |events: &[&str]| events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>().into_bytes();
    let empty = a.replace("\"finish_reason\":null", "\"finish_reason\":\"\"");
    for (body, status) in [
        (events(&[]), 502),
        (events(&[&role]), 200),
        (events(&["{}", r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":0}}"#]), 502),
        (cut(&[&a]), 200),
        (cut(&[&empty, &empty]), 200),
    ] {
        let (_upstream, server) = asked_once(sse(body.clone())).await;
        let unary = server.post("/v1/chat/completions", CHAT).await;
        assert_eq!(unary.status, 502, "{}", unary.body);
        let stream = server.post("/v1/chat/completions", STREAM).await;
        assert_eq!(stream.status, status, "{}", stream.body);
        assert!(stream.body.contains("\"error\"") && !stream.body.contains("\"stop\""), "{}", stream.body);
    }
    // A stream counts as complete if it says why it ends, or has content and `[DONE]`.
    for body in [events(&[&a]), cut(&[&a, &stop]), events(&[&empty, &stop])] {
        let (_upstream, server) = asked_once(sse(body)).await;
        assert_eq!(server.post("/v1/chat/completions", CHAT).await.json()["choices"][0]["message"]["content"], "a");
        let chunks = server.post("/v1/chat/completions", STREAM).await.chunks();
        assert!(chunks.iter().any(|chunk| chunk["choices"][0]["finish_reason"] == "stop"), "{chunks:?}");
    }
}

#[tokio::test]
async fn the_body_says_what_it_is_whatever_its_type_says() {
    let stream = events(&[&said("a"), &end("length")]);
    let marked = [&b"\xef\xbb\xbf: hi\r\n\r\n"[..], &stream].concat();
    let whole = r#"{"choices":[{"index":0,"message":{"content":"a"},"text":"a","finish_reason":"length"}]}"#;
    for kind in [
        "text/event-stream",
        "text/plain",
        "application/json",
        "application/octet-stream",
        "text/event-stream; charset=utf-8",
    ] {
        for body in [stream.clone(), marked.clone(), whole.into(), format!("\u{feff}\n {whole}").into_bytes()] {
            let (_upstream, server) = asked_once(Say::Body(kind, body.clone())).await;
            for (route, reply) in by_every_route(&server).await {
                let shown = String::from_utf8_lossy(&body);
                assert_eq!(reply.status, 200, "{route}: {kind}: {shown}: {}", reply.body);
                assert!(!reply.body.contains("\"error\":{"), "{route}: {kind}: {shown}: {}", reply.body);
                assert!(
                    reply.body.contains("\"a\"") && reply.body.contains("length"),
                    "{route}: {kind}: {shown}: {}",
                    reply.body
                );
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told_in_its_own_words() {
    for (kind, body) in [
        ("text/event-stream", "<html><body>Bad gateway</body></html>"),
        ("text/html", "<html><body>Bad gateway</body></html>"),
        ("application/json", "Bad gateway"),
        ("text/event-stream", r#"[{"error":{"message":"Bad gateway","code":500}}]"#),
        ("text/event-stream", "data: Bad gateway\n\n"),
        ("application/json", &format!("{}Bad gateway", " ".repeat(3_000))),
    ] {
        let (_upstream, server) = asked_once(Say::Body(kind, body.into())).await;
        for body in [CHAT, STREAM] {
            let reply = server.post("/v1/chat/completions", body).await;
            assert!(reply.status == 502 || reply.status == 500, "{kind}: {}", reply.body);
            assert!(reply.body.contains("Bad gateway") || kind == "application/json", "{kind}: {}", reply.body);
        }
    }
}

/// The choices of a stream's chunks, assembled by hand.
fn assembled(chunks: &[Value]) -> Vec<(String, Vec<String>, Value)> {
    let mut out: Vec<(String, Vec<String>, Value)> = Vec::new();
    for choice in chunks.iter().filter_map(|chunk| chunk["choices"].as_array()).flatten() {
        let at = choice["index"].as_u64().unwrap() as usize;
        out.resize(out.len().max(at + 1), Default::default());
        out[at].0.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            assert!(call["index"].is_u64(), "{call}");
            out[at].1.push(format!("{} {}", call["function"]["name"], call["function"]["arguments"]));
        }
        if !choice["finish_reason"].is_null() {
            out[at].2 = choice["finish_reason"].clone();
        }
    }
    out
}

#[tokio::test]
async fn a_whole_answer_to_a_stream_keeps_its_choices_calls_and_members() {
    let whole = json!({
        "id": "u", "object": "chat.completion", "created": 7, "model": "m", "own": {"x": 1},
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": null, "reasoning_content": "hm", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{\"a\":1}"}},
            ]}, "logprobs": {"content": [1]}, "finish_reason": "tool_calls"},
            {"index": 1, "message": {"role": "assistant", "content": "b", "audio": {"id": "x"}}, "finish_reason": "length"},
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "details": {"cached": 1}},
    });
    let upstream = Upstream::new({
        let whole = whole.to_string();
        move |_, _| Say::Json(200, whole.clone())
    })
    .await;
    let server = before(&upstream).await;
    let reply = server.post("/v1/chat/completions", STREAM).await;
    let chunks = reply.chunks();
    assert_eq!(
        assembled(&chunks),
        [
            (String::new(), vec![r#""f" "{}""#.to_owned(), r#""g" "{\"a\":1}""#.to_owned()], json!("tool_calls")),
            ("b".to_owned(), vec![], json!("length")),
        ]
    );
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == chunks[0]["id"]));
    assert_eq!(chunks[0]["choices"][0]["delta"]["reasoning_content"], "hm");
    assert_eq!((&chunks[0]["own"]["x"], &chunks[0]["choices"][0]["logprobs"]["content"]), (&json!(1), &json!([1])));
    assert_eq!(chunks[1]["choices"][0]["delta"]["audio"]["id"], "x");
    assert_eq!(chunks.last().unwrap()["usage"], whole["usage"]);
    // The other way round: a client wants a whole answer, and the upstream sends these chunks.
    let body: String = reply.body;
    let upstream = Upstream::new(move |_, _| sse(body.clone())).await;
    let server = before(&upstream).await;
    let mut back = server.post("/v1/chat/completions", CHAT).await.json();
    back["id"] = json!("u");
    assert_eq!(back, whole);
}

#[tokio::test]
async fn what_only_passes_fails_nothing() {
    let chunk = |delta: &str| format!(r#"{{"id":"u","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#);
    let nested = format!("{{\"content\":\"c\",\"x\":{}{}}}", "[".repeat(300), "]".repeat(300));
    let list = [
        chunk(r#"{"content":"\ud83d"}"#),
        chunk(r#"{"content":"\ude00"}"#),
        chunk(r#"{"content":5}"#),
        chunk(r#"{"reasoning_content":"x","reasoning_content":"x"}"#),
        chunk(&nested),
        chunk(r#"{"content":"d"}"#).replace("\"index\":0", "\"index\":true"),
        end("length"),
    ];
    let mut body = events(&list.iter().map(String::as_str).collect::<Vec<_>>());
    // Half a character, and a value that is not JSON.
    body.splice(
        0..0,
        b"data: {\"id\":\"u\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xe6\xad\"},\"logprobs\":NaN}]}\n\n"
            .to_vec(),
    );
    let (_upstream, server) = asked_once(sse(body)).await;
    let reply = server.post("/v1/chat/completions", STREAM).await;
    let passed: Vec<&str> = reply.body.split("\n\n").collect();
    // Every byte must be equal, except in the id.
    let id = serde_json::from_str::<Value>(&passed[0][6..]).unwrap()["id"].as_str().unwrap().to_owned();
    for (event, sent) in passed[1..].iter().zip(&list) {
        assert_eq!(event.replace(&id, "u"), format!("data: {sent}"));
    }
    assert!(passed[0].contains("\"content\":\"\u{fffd}\"") && passed[0].contains("\"logprobs\":null"), "{}", passed[0]);
    let reply = server.post("/api/v1/completions", r#"{"prompt":"x"}"#).await;
    assert!(reply.body.contains("\u{fffd}😀5cd"), "{}", reply.body);
}

#[tokio::test]
async fn calls_of_tools_in_a_stream_are_put_together() {
    let call = |piece: Value| json!({"choices":[{"index":0,"delta":{"tool_calls":[piece]}}]}).to_string();
    let full = |id: &str, name: &str, arguments: &str| json!({"index":0,"id":id,"type":"function","function":{"name":name,"arguments":arguments}});
    for (pieces, wanted) in [
        (
            vec![full("c1", "add", "{\"a\":1}"), full("c2", "sub", "{\"b\":2}")],
            vec![("add", "{\"a\":1}"), ("sub", "{\"b\":2}")],
        ),
        (vec![full("c1", "read_file", "{\"p\""), full("c1", "read_file", ":1}")], vec![("read_file", "{\"p\":1}")]),
    ] {
        let chunks: Vec<String> = pieces.into_iter().map(call).chain([end("tool_calls")]).collect();
        let (_upstream, server) = asked_once(sse(events(&chunks.iter().map(String::as_str).collect::<Vec<_>>()))).await;
        let whole = server.post("/v1/chat/completions", CHAT).await.json();
        let calls = whole["choices"][0]["message"]["tool_calls"].as_array().unwrap();
        let got: Vec<_> = calls
            .iter()
            .map(|call| (call["function"]["name"].as_str().unwrap(), call["function"]["arguments"].as_str().unwrap()))
            .collect();
        assert_eq!(got, wanted);
    }
}
