//! The listener over real sockets: Cortensor's routes, their exact layout, the callers that they accept, and bad input.

#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]

use std::time::Duration;

use cortensor_router::config::{CorsConfig, ListenConfig, TokenConfig};
use cortensor_router::listener::Listener;
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec};
use cortensor_router::{Config, ErrorKind, Router};
use cortensor_router_testkit::Server;
use cortensor_router_testkit::server::DEV;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

mod access;
mod audit;
mod console;
mod description;
mod doors;
mod heads;
mod input;
mod keys;
mod limits;
mod lists;
mod metrics;
mod native;
mod native_requests;
mod numbers;
mod ready;
mod reload;
mod resume;
mod upstreams;
mod usage;
mod webhooks;
mod wrong_types;

/// A router with that listener.
async fn serve(listen: ListenConfig) -> Server {
    serve_with(Config::default(), listen).await
}

async fn serve_with(config: Config, listen: ListenConfig) -> Server {
    Server::open(config.listen(listen)).await
}

async fn with_words() -> Server {
    let server = serve(ListenConfig::default()).await;
    server
        .router
        .add_miner(MinerSpec::new("words", 8).models(["tiny"]), |job: Job| {
            for word in job.prompt().split_inclusive(' ') {
                job.emit(word);
            }
            job.finish(Answer::default());
        })
        .unwrap();
    server
}

#[tokio::test]
async fn an_empty_router_answers_with_zeros() {
    let server = serve(ListenConfig::default()).await;
    let (status, info) = server.get_json("/api/v1/info").await;
    assert_eq!((status, &info["active_sessions"], &info["node_stats"]["total_count"]), (200, &json!(0), &json!(0)));
    assert_eq!(
        server.get_json("/api/v1/miners").await.1,
        json!({"nodes":{},"stats":{"dedicated_count":0,"ephemeral_count":0,"total_count":0},"miners":[],"count":0})
    );
    let (_, state) = server.get_json("/api/v1/status").await;
    assert_eq!(
        (&state["status"], &state["durability"], &state["block_height"]),
        (&json!("ok"), &json!("memory"), &json!(0))
    );
    assert_eq!(server.get_json("/api/v1/tasks/0").await.1, json!({"count":0,"tasks":[]}));
    let (status, error) = server.post_json("/api/v1/completions", &json!({"prompt": "hi"})).await;
    assert_eq!((status, &error["code"]), (503, &json!("no_miner")));
}

#[tokio::test]
async fn a_completion_has_exactly_the_published_fields() {
    let server = with_words().await;
    let (status, answer) =
        server.post_json("/api/v1/completions/0", &json!({"prompt": "one two", "model": "any-name"})).await;
    assert_eq!(status, 200);
    assert_eq!(
        answer["choices"][0],
        json!({"finish_reason":"stop","index":0,"logprobs":null,"text":"one two","message":{"role":"assistant","content":"one two"}})
    );
    assert_eq!(
        (&answer["object"], &answer["session_id"], &answer["task_id"], &answer["model"]),
        (&json!("text_completion"), &json!(0), &json!(1), &json!("any-name"))
    );
    for alias in ["text", "output", "result", "response", "content"] {
        assert_eq!(answer[alias], "one two");
    }
    assert_eq!(answer["success"], true);
    assert!(answer.get("error").is_none());
    let (_, task) = server.get_json("/api/v1/tasks/0/1").await;
    assert_eq!((&task["status"], &task["state"], &task["outcome"]), (&json!(4), &json!("ended"), &json!("ok")));
    assert_eq!(task["results"]["data"], json!(["one two"]));
    assert_eq!(task["results"]["miners"], task["assigned_miners"]);
    let (_, list) = server.get_json("/api/v1/tasks/0").await;
    assert_eq!((&list["count"], &list["tasks"][0]["results"]), (&json!(1), &json!(["one two"])));
    assert_eq!(server.get_json("/api/v1/tasks/0?format=array").await.1.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_stream_has_the_layout_that_published_parsers_read() {
    let server = with_words().await;
    let (status, head, body) =
        server.parts("POST", "/api/v1/completions", DEV, r#"{"prompt":"one two","stream":true}"#).await;
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: text/event-stream; charset=utf-8") && head.contains("x-accel-buffering: no"),
        "{head}"
    );
    let events: Vec<&str> = body.split("\n\n").collect();
    assert_eq!(events.len(), 5, "{body}");
    assert_eq!((events[3], events[4]), ("data: [DONE]", ""));
    let data = |event: &str, id: &str| -> Value {
        let (first, second) = event.split_once('\n').unwrap();
        assert_eq!(first, id);
        assert!(!event.contains("delta") && !event.contains("\":\u{20}"), "{event}");
        serde_json::from_str(second.strip_prefix("data: ").unwrap()).unwrap()
    };
    let (one, two, end) = (data(events[0], "id: 1"), data(events[1], "id: 2"), data(events[2], "id: 3"));
    assert_eq!((&one["choices"][0]["text"], &one["choices"][0]["finish_reason"]), (&json!("one "), &Value::Null));
    assert_eq!(two["choices"][0]["text"], "two");
    assert_eq!(
        (&end["choices"][0]["text"], &end["choices"][0]["finish_reason"], &end["text"]),
        (&json!(""), &json!("stop"), &json!("one two"))
    );
    assert!(end["usage"]["total_tokens"].as_u64().unwrap() > 0);
    assert!(one["id"] == two["id"] && two["id"] == end["id"]);
    let seen_all = format!("{DEV}Last-Event-ID: 2\r\n");
    let (_, _, body) = server.parts("GET", "/api/v1/tasks/0/1/stream", &seen_all, "").await;
    assert!(body.starts_with("id: 3\n") && body.contains("\"finish_reason\":\"stop\""), "{body}");
    let resume = format!("{DEV}Last-Event-ID: 1\r\n");
    let (_, _, body) = server.parts("GET", "/api/v1/tasks/0/1/stream", &resume, "").await;
    assert!(
        body.starts_with("id: 2\n") && body.contains("\"text\":\"two\"") && !body.contains("\"text\":\"one \""),
        "{body}"
    );
}

#[tokio::test]
async fn a_reader_of_a_task_whose_tokens_are_not_kept_any_more_starts_over() {
    let mut config = Config::default();
    config.limits.recent_tasks = 0;
    let server = serve_with(config, ListenConfig::default()).await;
    server
        .router
        .add_miner(MinerSpec::new("words", 8), |job: Job| {
            job.prompt().split_inclusive(' ').for_each(|word| {
                job.emit(word);
            });
            job.finish(Answer::default());
        })
        .unwrap();
    server.parts("POST", "/api/v1/completions", DEV, r#"{"prompt":"one two three","stream":true}"#).await;
    let resume = format!("{DEV}Last-Event-ID: 2\r\n");
    let (_, _, body) = server.parts("GET", "/api/v1/tasks/0/1/stream", &resume, "").await;
    let events: Vec<&str> = body.split("\n\n").collect();
    assert!(events[0].starts_with("id: 0\n") && events[0].ends_with("\"restart\":true}"), "{body}");
    assert!(events[0].contains("\"text\":\"\""), "a client that knows nothing of it reads on: {body}");
    assert!(events[1].starts_with("id: 1\n") && events[1].contains("\"text\":\"one two three\""), "{body}");
    assert!(events[2].starts_with("id: 2\n") && events[3] == "data: [DONE]", "{body}");
}

#[tokio::test]
async fn sessions_are_created_listed_changed_and_closed() {
    let server = with_words().await;
    let (status, made) = server
        .post_json("/api/v1/create", &json!({"name": "s", "minNumOfNodes": 0, "maxNumOfNodes": 0, "redundant": 0}))
        .await;
    assert_eq!((status, &made["session_id"], &made["status"]), (200, &json!(2), &json!("created")));
    let hash = made["tx_hash"].as_str().unwrap();
    assert_eq!(hash.len(), 66);
    assert_eq!(server.get_json(&format!("/api/v1/sessions/{hash}")).await.1["id"], 2);
    let (_, changed) = {
        let (status, _, body) = server.parts("PATCH", "/api/v1/sessions/2", DEV, r#"{"weight":5}"#).await;
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    assert_eq!(changed["weight"], 5);
    assert_eq!(server.parts("DELETE", "/api/v1/sessions/2", DEV, "").await.0, 200);
    let (status, error) = server.post_json("/api/v1/completions/2", &json!({"prompt": "x"})).await;
    assert_eq!((status, &error["code"]), (409, &json!("session_closed")));
    let (_, open) = server.get_json("/api/v1/sessions?state=open").await;
    assert_eq!((&open["count"], &open["sessions"]), (&json!(0), &json!([])), "nobody has used session 0 or 1");
}

#[tokio::test]
async fn who_may_call_is_checked_before_anything_else() {
    let server = serve(ListenConfig::default()).await;
    for (headers, message) in [
        ("", "Invalid Authorization header format"),
        ("Authorization: Basic eDp5\r\n", "Invalid Authorization header format"),
        ("Authorization: Bearer wrong\r\n", "Unauthorized"),
        ("X-API-Key: ctr_aaaaaaaa_bbbb\r\n", "Unauthorized"),
    ] {
        let (status, head, body) = server.parts("GET", "/api/v1/tasks/not-a-number", headers, "").await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["error"]), (401, &json!(message)), "{headers}");
        assert!(head.contains("www-authenticate: bearer"));
    }
    for path in ["/healthz", "/readyz", "/health", "/api/v1/about", "/api/v1/ping"] {
        assert_eq!(server.parts("GET", path, "", "").await.0, 200, "{path}");
    }
    assert_eq!(
        server.parts("GET", "/api/v1/info", "authorization:  bearer   default-dev-token  \r\n", "").await.0,
        200
    );
    let (status, _, body) =
        server.parts("POST", "/api/v1/keys", DEV, r#"{"name":"k","scopes":["read"],"sessions":[0]}"#).await;
    let key: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 201, "{body}");
    let header = format!("X-API-Key: {}\r\n", key["token"].as_str().unwrap());
    assert_eq!(server.parts("GET", "/api/v1/sessions/0", &header, "").await.0, 200);
    assert_eq!(server.parts("POST", "/api/v1/completions", &header, r#"{"prompt":"x"}"#).await.0, 403);
    server.post_json("/api/v1/create", &json!({"name": "other"})).await;
    assert_eq!(server.parts("GET", "/api/v1/sessions/2", &header, "").await.0, 404);
    assert_eq!(server.parts("DELETE", &format!("/api/v1/keys/{}", key["id"].as_str().unwrap()), DEV, "").await.0, 200);
    assert_eq!(server.parts("GET", "/api/v1/sessions/0", &header, "").await.0, 401);
}

#[tokio::test]
async fn a_listener_that_others_reach_wants_a_token() {
    let router = Router::open(Config::default()).await.unwrap();
    let open = ListenConfig::default().host([0, 0, 0, 0].into()).port(0);
    let error = Listener::bind(router.clone(), open.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.message().contains("token"), "{error}");
    let token = TokenConfig::default().name(Some("t".into())).value(Some("s3cret".into()));
    Listener::bind(router, open.tokens(vec![token])).await.unwrap();
}

/// Sends a request to a miner that never ends, hangs up, and waits until the miner is notified.
async fn hang_up(body: &str, first_token: bool) {
    let server = serve(ListenConfig::default()).await;
    let (jobs, mut taken) = mpsc::unbounded_channel::<Job>();
    server.router.add_miner(MinerSpec::new("slow", 1), move |job: Job| jobs.send(job).unwrap()).unwrap();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\n{DEV}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let job = taken.recv().await.unwrap();
    if first_token {
        job.emit("token ");
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("token ") {
            assert!(stream.read_buf(&mut seen).await.unwrap() > 0);
        }
    }
    drop(stream);
    tokio::time::timeout(Duration::from_secs(5), job.cancelled()).await.expect("the miner is told");
}

#[tokio::test]
async fn hanging_up_stops_the_miner_on_every_kind_of_request() {
    hang_up(r#"{"prompt":"x"}"#, false).await;
    hang_up(r#"{"prompt":"x","stream":true}"#, false).await;
    hang_up(r#"{"prompt":"x","stream":true}"#, true).await;
}

#[tokio::test]
async fn a_time_out_names_the_task_and_async_answers_at_once() {
    let server = serve(ListenConfig::default()).await;
    let (jobs, mut taken) = mpsc::unbounded_channel::<Job>();
    server.router.add_miner(MinerSpec::new("slow", 2), move |job: Job| jobs.send(job).unwrap()).unwrap();
    let (status, error) = server.post_json("/api/v1/completions", &json!({"prompt": "x", "timeout": 0.05})).await;
    assert_eq!((status, &error["session_id"], &error["task_id"]), (504, &json!(0), &json!(1)));
    drop(taken.recv().await);
    let (status, ids) = server.post_json("/api/v1/completions", &json!({"prompt": "later", "async": true})).await;
    assert_eq!((status, &ids["task_id"]), (202, &json!(2)));
    let job = taken.recv().await.unwrap();
    job.emit("so far");
    let (_, task) = server.get_json("/api/v1/tasks/0/2").await;
    assert_eq!((&task["status"], &task["results"]), (&json!(1), &json!({"data": ["so far"]})));
    let (status, _, body) = server.parts("DELETE", "/api/v1/tasks/0/2", DEV, "").await;
    let cancelled: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &cancelled["outcome"]), (200, &json!("cancelled")));
    assert!(job.is_cancelled());
}

#[tokio::test]
async fn an_idempotency_key_makes_one_task() {
    let server = with_words().await;
    let headers = format!("{DEV}Idempotency-Key: abc\r\n");
    let first = server.parts("POST", "/api/v1/completions", &headers, r#"{"prompt":"a b"}"#).await;
    let again = server.parts("POST", "/api/v1/completions", &headers, r#"{"prompt":"a b"}"#).await;
    assert_eq!((first.0, again.0), (200, 200));
    assert_eq!(first.2, again.2);
    let other = server.parts("POST", "/api/v1/completions", &headers, r#"{"prompt":"c"}"#).await;
    assert_eq!(other.0, 422);
    assert_eq!(server.get_json("/api/v1/tasks/0").await.1["count"], 1);
    // Neither request used a task number, or counted against the session's greatest number of tasks.
    assert_eq!(server.get_json("/api/v1/sessions/0").await.1["total_tasks"], 1);
    assert_eq!(server.post_json("/api/v1/completions", &json!({"prompt": "d"})).await.1["task_id"], 2);
}

#[tokio::test]
async fn a_client_reference_is_the_idempotency_key_where_that_is_asked_for() {
    let server = with_words().await;
    let body = json!({"prompt": "a b", "client_reference": "order-1", "idempotent": true});
    let first = server.post_json("/api/v1/completions", &body).await;
    assert_eq!((first.0, &first.1["task_id"]), (200, &json!(1)));
    assert_eq!(server.post_json("/api/v1/completions", &body).await, first);
    let other = json!({"prompt": "c", "client_reference": "order-1", "idempotent": true});
    assert_eq!(server.post_json("/api/v1/completions", &other).await.0, 422);
    // Without deduplication it is only a reference.
    let plain = json!({"prompt": "a b", "client_reference": "order-1"});
    assert_eq!(server.post_json("/api/v1/completions", &plain).await.1["task_id"], 2);
    let (status, error) = server.post_json("/api/v1/completions", &json!({"prompt": "x", "idempotent": true})).await;
    assert_eq!((status, &error["param"]), (400, &json!("client_reference")));
}

#[tokio::test]
async fn cross_origin_requests_need_an_origin_that_is_allowed() {
    let listen = ListenConfig::default().cors(CorsConfig::default().origins(vec!["https://app.example".into()]));
    let server = serve(listen).await;
    let preflight = "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n";
    let (status, head, _) = server.parts("OPTIONS", "/api/v1/completions", preflight, "").await;
    assert!(status == 200 && head.contains("access-control-allow-origin: https://app.example"), "{head}");
    let (_, head, _) = server.parts("GET", "/healthz", "Origin: https://evil.example\r\n", "").await;
    assert!(!head.contains("access-control-allow-origin: https://evil"), "{head}");
}
