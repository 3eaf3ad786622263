//! Other spellings of routes, the ids of requests, and errors in the shape of the called API.

use std::net::SocketAddr;

use cortensor_router::config::ListenConfig;
use cortensor_router::listener::{Body, Handler};
use serde_json::{Value, json};

use super::{DEV, serve, with_words};

const CHAT: &str = r#"{"model":"tiny","messages":[{"role":"user","content":"hi"}]}"#;
const PROMPT: &str = r#"{"prompt":"hi"}"#;

fn request_id(head: &str) -> &str {
    let mut lines = head.lines().filter_map(|line| line.strip_prefix("x-request-id: "));
    let id = lines.next().unwrap_or_else(|| panic!("no x-request-id in {head}"));
    assert_eq!(lines.next(), None, "one id: {head}");
    id
}

#[tokio::test]
async fn a_route_answers_under_every_base_url_that_clients_use() {
    let server = with_words().await;
    for (method, path, body, object) in [
        ("POST", "/chat/completions", CHAT, "chat.completion"),
        ("POST", "/chat/completions/", CHAT, "chat.completion"),
        ("POST", "/completions", PROMPT, "text_completion"),
        ("GET", "/models", "", "list"),
        ("GET", "/models/tiny", "", "model"),
        ("POST", "/api/v2/chat/completions", CHAT, "chat.completion"),
        ("POST", "/api/v3/chat/completions/1", CHAT, "chat.completion"),
        ("POST", "/api/v2/chat", CHAT, "chat.completion"),
        ("POST", "/api/v2/completions", PROMPT, "text_completion"),
        ("POST", "/api/v3/completions/1", PROMPT, "text_completion"),
        ("POST", "/v1/%63hat/completions", CHAT, "chat.completion"),
        ("POST", "/%76%31/completions", PROMPT, "text_completion"),
        ("GET", "/v1/models/t%69ny", "", "model"),
    ] {
        let (status, _, answer) = server.parts(method, path, DEV, body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!((status, &answer["object"]), (200, &json!(object)), "{path}: {answer}");
    }
    for path in ["/info", "/status", "/sessions", "/tasks/0?limit=1", "/miners", "/keys", "/sessions/0"] {
        let (_, of_first) = server.get_json(&format!("/api/v1{path}")).await;
        for version in ["/api/v2", "/api/v3"] {
            let (status, answer) = server.get_json(&format!("{version}{path}")).await;
            let (Value::Object(answer), Value::Object(first)) = (answer, &of_first) else { panic!("{path}") };
            assert!(status == 200 && answer.keys().eq(first.keys()), "{version}{path}");
        }
    }
    let (status, error) = server.get_json("/api/v2/nothing").await;
    assert_eq!((status, &error["error"]), (404, &json!("there is no route /api/v2/nothing")));
}

#[tokio::test]
async fn an_encoded_path_has_the_rights_of_the_path_that_it_means() {
    let server = with_words().await;
    assert_eq!(server.parts("GET", "/%68ealthz", "", "").await.0, 200);
    assert_eq!(server.parts("GET", "/%61pi/v1/sessions", "", "").await.0, 401);
    for path in ["/v1%2Fmodels", "/v1/models%00", "/v1/%256Dodels", "/healthz%2F..%2Fv1%2Fmodels"] {
        let (status, error) = server.get_json(path).await;
        assert_eq!(status, 404, "{path}: {error}");
    }
}

#[tokio::test]
async fn the_root_says_that_a_router_is_here() {
    let server = serve(ListenConfig::default()).await;
    let (status, head, body) = server.parts("GET", "/", "", "").await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["name"], &body["status"]), (200, &json!("cortensor-router"), &json!("ok")));
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(server.parts("HEAD", "/", "", "").await.0, 200);
    assert_eq!(server.parts("POST", "/", DEV, "").await.0, 405);
}

#[tokio::test]
async fn an_error_has_the_shape_of_the_api_that_was_asked() {
    let server = serve(ListenConfig::default()).await;
    for (method, path, headers, status, kind) in [
        ("POST", "/v1/messages", "", 401, "authentication_error"),
        ("POST", "/v1/messages", DEV, 400, "invalid_request_error"),
        ("POST", "/v1/messages/batches", DEV, 404, "not_found_error"),
        ("GET", "/v1/messages/batches", "", 401, "authentication_error"),
    ] {
        let (got, _, body) = server.parts(method, path, headers, "{}").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((got, &body["type"], &body["error"]["type"]), (status, &json!("error"), &json!(kind)), "{path}");
        assert!(body["error"]["message"].as_str().is_some_and(|words| !words.is_empty()), "{body}");
    }
    for path in ["/v1/messagesx", "/v1/nothing", "/v1"] {
        let (_, _, body) = server.parts("GET", path, DEV, "").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"]["code"], "route_not_found", "{path}: {body}");
    }
    let (status, _, body) = server.parts("POST", "/chat/completions", "", CHAT).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["error"]["type"]), (401, &json!("authentication_error")), "as OpenAI's");
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    let server = with_words().await;
    let stream = r#"{"prompt":"one two","stream":true}"#;
    let late = r#"{"prompt":"one two","async":true}"#;
    let mut seen = std::collections::HashSet::new();
    for (method, path, headers, body, status) in [
        ("GET", "/", "", "", 200),
        ("GET", "/healthz", "", "", 200),
        ("GET", "/api/v1/info", DEV, "", 200),
        ("GET", "/api/v1/info", "", "", 401),
        ("GET", "/nothing", DEV, "", 404),
        ("GET", "/v1/completions", DEV, "", 405),
        ("POST", "/v1/messages", DEV, "{}", 400),
        ("POST", "/v1/chat/completions", DEV, CHAT, 200),
        ("POST", "/v1/chat/completions", DEV, "{}", 400),
        ("POST", "/v1/completions", DEV, stream, 200),
        ("POST", "/api/v1/completions", DEV, PROMPT, 200),
        ("POST", "/api/v1/completions", DEV, stream, 200),
        ("POST", "/api/v1/completions", DEV, late, 202),
        ("POST", "/api/v1/chat", DEV, CHAT, 200),
        ("POST", "/api/v1/completions", DEV, "{", 400),
        ("GET", "/openapi.json", DEV, "", 200),
        ("GET", "/metrics", DEV, "", 200),
    ] {
        let (got, head, text) = server.parts(method, path, headers, body).await;
        assert_eq!(got, status, "{method} {path} {body}: {text}");
        assert!(seen.insert(request_id(&head).to_owned()), "made anew: {head}");
        let own = format!("{headers}X-Request-ID: my-id/7.a\r\n");
        let (_, head, _) = server.parts(method, path, &own, body).await;
        assert_eq!(request_id(&head), "my-id/7.a", "{method} {path}");
    }
    for bad in ["", "a b", "caf\u{e9}", &"x".repeat(129), "a\tb"] {
        let (_, head, _) = server.parts("GET", "/healthz", &format!("x-request-id: {bad}\r\n"), "").await;
        assert!(request_id(&head).starts_with("req-"), "{bad:?}: {head}");
    }
    let (_, head, _) = server.parts("GET", "/healthz", &format!("x-request-id: {}\r\n", "x".repeat(128)), "").await;
    assert_eq!(request_id(&head).len(), 128);
}

#[tokio::test]
async fn the_id_of_a_request_leads_to_its_task() {
    let server = with_words().await;
    let (_, head, body) = server.parts("POST", "/api/v1/completions", DEV, PROMPT).await;
    let whole: Value = serde_json::from_str(&body).unwrap();
    let digits = whole["id"].as_str().unwrap().strip_prefix("cmpl-").unwrap();
    assert_eq!(request_id(&head), format!("req-{digits}"));
    let (_, again, _) = server.parts("GET", "/api/v1/tasks/0/1/stream", DEV, "").await;
    assert_eq!(request_id(&again), request_id(&head), "who joins the task sees the same id");
    let (jobs, mut taken) = tokio::sync::mpsc::unbounded_channel();
    let slow = cortensor_router::model::MinerSpec::new("slow", 1).models(["slow"]);
    server.router.add_miner(slow, move |job: cortensor_router::miner::Job| jobs.send(job).unwrap()).unwrap();
    let late = r#"{"model":"slow","messages":[{"role":"user","content":"x"}],"timeout":0.05}"#;
    let (status, head, body) = server.parts("POST", "/v1/chat/completions", DEV, late).await;
    assert!(taken.recv().await.is_some());
    let body: Value = serde_json::from_str(&body).unwrap();
    let task = body["error"]["task_id"].as_u64().unwrap();
    let gid = server.get_json(&format!("/api/v1/tasks/0/{task}")).await.1["gid"].as_u64().unwrap();
    assert!(status == 504 && request_id(&head).ends_with(&format!("{gid:016x}")), "{head}");
}

#[tokio::test]
async fn a_handler_without_a_socket_names_its_requests_too() {
    let server = with_words().await;
    let handler = Handler::new(server.router.clone(), ListenConfig::default()).unwrap();
    let ask = |id: Option<&str>| {
        let mut request = http::Request::get("/nothing");
        if let Some(id) = id {
            request = request.header("x-request-id", id);
        }
        handler.handle(request.body(Body::empty()).unwrap(), server.address)
    };
    assert_eq!(ask(Some("mine")).await.headers()["x-request-id"], "mine");
    assert!(ask(None).await.headers()["x-request-id"].to_str().unwrap().starts_with("req-"));
}

#[tokio::test]
async fn a_program_nests_the_routes_under_a_path_of_its_own() {
    let server = with_words().await;
    let handler = Handler::new(server.router.clone(), ListenConfig::default()).unwrap();
    let app: axum::Router = axum::Router::new().nest_service("/ai", handler);
    let ask = |peer: Option<SocketAddr>| {
        let mut request = http::Request::post("/ai/api/v1/completions")
            .header("host", "localhost")
            .header("authorization", "Bearer default-dev-token");
        if let Some(peer) = peer {
            request = request.extension(axum::extract::ConnectInfo(peer));
        }
        let request = request.body(Body::from(r#"{"prompt":"one two"}"#)).unwrap();
        let app = app.clone();
        async move { tower::ServiceExt::oneshot(app, request).await.unwrap() }
    };
    let answer = ask(Some(server.address)).await;
    assert_eq!(answer.status(), 200);
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["choices"][0]["text"], "one two", "{body}");
    assert_eq!(ask(None).await.status(), 401, "a peer that nobody named is not on this machine");
}
