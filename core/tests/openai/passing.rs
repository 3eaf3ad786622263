//! Upstreams: their bytes pass unchanged, except for ids.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::rig::{before, before_on};
use cortensor_router_testkit::Upstream;
use cortensor_router_testkit::server::DEV;
use cortensor_router_testkit::upstream::Say;

const CHAT: &str =
    r#"{"model":"up-model","messages":[ {"role":"user","content":"x"} ],"tools":[{"type":"function"}],"n":2,"seed":7}"#;

#[tokio::test]
async fn an_answer_passes_to_the_byte_but_for_its_id() {
    let body = "{ \"choices\" : [{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"call_1\"}]},\"logprobs\":{\"x\":-0.10},\"finish_reason\":\"tool_calls\"}],\n  \"own\":1e2,\"id\":\"up-1\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3,\"details\":{}} }";
    let upstream = Upstream::new(move |_, _| Say::Json(200, body.into())).await;
    let server = before(&upstream).await;
    let reply = server.post("/v1/chat/completions", CHAT).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert!(id.starts_with("chatcmpl-"));
    assert_eq!(reply.body, body.replace("up-1", &id));
    let sent: Value = serde_json::from_str(&upstream.bodies()[0]).unwrap();
    assert_eq!((&sent["n"], &sent["seed"], &sent["tools"]), (&json!(2), &json!(7), &json!([{"type":"function"}])));
    let again = server.post("/v1/chat/completions", CHAT).await;
    assert_ne!(again.json()["id"], id);
}

#[tokio::test]
async fn several_prompts_pass_to_an_upstream() {
    let answer = r#"{"id":"u","object":"text_completion","choices":[{"index":0,"text":"A","finish_reason":"stop"},{"index":1,"text":"B","finish_reason":"stop"}]}"#;
    let upstream = Upstream::new(move |_, _| Say::Json(200, answer.into())).await;
    let server = before(&upstream).await;
    for prompt in [r#"["a", "b"]"#, "[1,2]", "[[1],[2]]"] {
        let reply = server.post("/v1/completions", &format!(r#"{{"prompt":{prompt}}}"#)).await;
        assert_eq!(reply.json()["choices"][1]["text"], "B");
    }
    let sent = upstream.bodies();
    let prompts: Vec<_> =
        sent.iter().map(|body| serde_json::from_str::<Value>(body).unwrap()["prompt"].clone()).collect();
    assert_eq!(prompts, [json!(["a", "b"]), json!([1, 2]), json!([[1], [2]])]);
}

const ANSWER: &str =
    r#"{"id":"u","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}"#;

fn events() -> Vec<String> {
    [
        r#"{"id":"u","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"x":1.0}"#,
        r#"{"id":"u","choices":[{"index":0,"delta":{"content":"é\u00e9"},"finish_reason":null}]}"#,
        r#"{"id":"u","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]},"finish_reason":null}]}"#,
        r#"{"id":"u","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
        r#"{"id":"u","choices":[],"usage":{"prompt_tokens":4,"completion_tokens":5,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":3}}}"#,
    ]
    .map(str::to_owned)
    .to_vec()
}

#[tokio::test]
async fn chunks_pass_to_the_byte_with_one_id() {
    let upstream = Upstream::new(|_, _| Say::Events(events())).await;
    let server = before(&upstream).await;
    for usage in [false, true] {
        let body =
            format!(r#"{{"messages":[{{"role":"user"}}],"stream":true,"stream_options":{{"include_usage":{usage}}}}}"#);
        let reply = server.post("/v1/chat/completions", &body).await;
        let id = reply.chunks()[0]["id"].as_str().unwrap().to_owned();
        let shown = if usage { 5 } else { 4 };
        let wanted: String = events()[..shown]
            .iter()
            .map(|event| format!("data: {}\n\n", event.replace("\"u\"", &format!("\"{id}\""))))
            .collect();
        assert_eq!(reply.body, format!("{wanted}data: [DONE]\n\n"));
    }
}

#[tokio::test]
async fn an_upstreams_refusal_keeps_its_words_and_is_the_callers_fault() {
    let refusal = r#"{"error":{"message":"temperature must be positive","type":"invalid_request_error"}}"#;
    let upstream = Upstream::new(move |_, _| Say::Json(400, refusal.into())).await;
    let server = before(&upstream).await;
    for stream in [false, true] {
        let body = format!(r#"{{"messages":[{{"role":"user"}}],"stream":{stream}}}"#);
        let reply = server.post("/v1/chat/completions", &body).await;
        assert_eq!(reply.error(), (400, "invalid_request_error".into(), "invalid_argument".into()));
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("temperature must be positive"), "{message}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

/// Compares the errors of servers with the errors that clients see: on `/v1` all members, under `/api` the code and the
/// param.
#[tokio::test]
async fn an_upstreams_error_keeps_its_own_members() {
    let table = [
        // OpenAI
        (
            400,
            json!({"error":{"message":"Unsupported value: 'temperature'","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}),
            json!(["Unsupported value: 'temperature'", "invalid_request_error", "temperature", "unsupported_value"]),
        ),
        // Azure
        (
            400,
            json!({"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","innererror":{"code":"x"}}}),
            json!(["The response was filtered", "invalid_request_error", "prompt", "content_filter"]),
        ),
        // vLLM, before and after its errors were nested
        (
            400,
            json!({"object":"error","message":"n must be 1","type":"BadRequestError","param":null,"code":400}),
            json!(["n must be 1", "BadRequestError", null, 400]),
        ),
        (
            400,
            json!({"error":{"message":"n must be 1","type":"BadRequestError","param":"n","code":400}}),
            json!(["n must be 1", "BadRequestError", "n", 400]),
        ),
        // llama.cpp: the router's code says more than the number
        (
            400,
            json!({"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}),
            json!([
                "the request exceeds the available context size",
                "exceed_context_size_error",
                null,
                "context_length_exceeded"
            ]),
        ),
        (
            404,
            json!({"error":{"message":"no model x","type":"NotFoundError","param":"model","code":404}}),
            json!(["no model x", "NotFoundError", "model", "model_not_found"]),
        ),
        (
            429,
            json!({"error":{"message":"You exceeded your quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}),
            json!(["You exceeded your quota", "insufficient_quota", null, "insufficient_quota"]),
        ),
    ];
    for (status, body, wanted) in table {
        let said = body.to_string();
        let upstream = Upstream::new(move |_, _| Say::Json(status, said.clone())).await;
        let server = before(&upstream).await;
        for stream in [false, true] {
            let request = format!(r#"{{"messages":[{{"role":"user","content":"x"}}],"stream":{stream}}}"#);
            let reply = server.post("/v1/chat/completions", &request).await;
            let error = reply.json()["error"].clone();
            assert_eq!(json!([error["message"], error["type"], error["param"], error["code"]]), wanted, "{body}");
            assert_eq!(reply.status, status, "{body}");
            let reply = server.post("/api/v1/completions", &format!(r#"{{"prompt":"x","stream":{stream}}}"#)).await;
            assert_eq!((reply.status, &reply.json()["param"]), (status, &wanted[2]), "{}", reply.body);
            let code = if wanted[3].is_string() { wanted[3].clone() } else { json!("invalid_argument") };
            assert_eq!(reply.json()["code"], code, "{}", reply.body);
        }
    }
}

/// Texts about the router's own credentials must not reach its clients.
#[tokio::test]
async fn an_upstreams_words_on_the_routers_key_stay_inside() {
    for status in [401, 402, 407] {
        let upstream = Upstream::new(move |_, _| {
            Say::Json(status, r#"{"error":{"message":"Incorrect API key sk-abc","code":"invalid_api_key"}}"#.into())
        })
        .await;
        let server = before(&upstream).await;
        for path in ["/v1/chat/completions", "/api/v1/chat/completions"] {
            let reply = server.post(path, r#"{"messages":[{"role":"user","content":"x"}]}"#).await;
            assert!(reply.status >= 500 && !reply.body.contains("invalid_api_key"), "{status} {}", reply.body);
        }
    }
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_an_error_in_the_stream() {
    let upstream = Upstream::new(|_, _| {
        Say::Events(vec![events().swap_remove(1), r#"{"error":{"message":"out of memory","code":500}}"#.into()])
    })
    .await;
    let server = before(&upstream).await;
    let reply = server.post("/v1/chat/completions", r#"{"messages":[{"role":"user"}],"stream":true}"#).await;
    let chunks = reply.chunks();
    let error = &chunks.last().unwrap()["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("upstream_error"), &json!("miner_failed")), "{}", reply.body);
    assert!(error["message"].as_str().unwrap().contains("out of memory"));
    assert_eq!((&error["session_id"], &error["task_id"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn hanging_up_hangs_up_on_the_upstream() {
    for threads in [0, 2] {
        let upstream = Upstream::new(|_, body| {
            Say::Forever(if body.contains("\"stream\":true") { vec![events().swap_remove(1)] } else { Vec::new() })
        })
        .await;
        let server = before_on(&upstream, threads).await;
        let requests = [
            (r#"{"messages":[{"role":"user"}],"stream":true}"#, true),
            (r#"{"messages":[{"role":"user"}],"stream":true,"x":1}"#, false),
            (r#"{"messages":[{"role":"user"}]}"#, false),
        ];
        for (index, (body, reads)) in requests.into_iter().enumerate() {
            let mut connection = server.ask("POST", "/v1/chat/completions", DEV, body).await;
            let mut seen = Vec::new();
            while reads && !String::from_utf8_lossy(&seen).contains("delta") {
                assert_ne!(connection.read_buf(&mut seen).await.unwrap(), 0);
            }
            while upstream.bodies().len() <= index {
                tokio::task::yield_now().await;
            }
            drop(connection);
            upstream.hung_up().await;
        }
    }
}

#[tokio::test]
async fn threads_of_its_own_answer_many_callers_at_a_time() {
    let upstream = Upstream::new(|_, body| {
        if body.contains("\"stream\":true") { Say::Events(events()) } else { Say::Json(200, ANSWER.into()) }
    })
    .await;
    let server = std::sync::Arc::new(before_on(&upstream, 2).await);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..16 {
        let server = std::sync::Arc::clone(&server);
        callers.spawn(async move {
            for turn in 0..4 {
                if (caller + turn) % 2 == 0 {
                    let reply = server.post("/v1/chat/completions", r#"{"messages":[{"role":"user"}]}"#).await;
                    assert_eq!(reply.json()["choices"][0]["message"]["content"], "x", "{}", reply.body);
                } else {
                    let body = r#"{"messages":[{"role":"user"}],"stream":true}"#;
                    assert!(!server.post("/v1/chat/completions", body).await.chunks().is_empty());
                }
            }
        });
    }
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    assert_eq!(upstream.bodies().len(), 64);
}
