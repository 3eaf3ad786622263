//! Bad input and bad clients: each gets a clear error, and the router goes on serving.

use std::time::Duration;

use cortensor_router::config::ListenConfig;
use cortensor_router::miner::{Emit, Job};
use cortensor_router::model::MinerSpec;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

use super::{DEV, serve, with_words};

#[tokio::test]
async fn bad_input_gets_a_clear_error_and_the_router_serves_on() {
    let server = with_words().await;
    let cases = [
        ("/api/v1/completions", r#"{"prompt":"x"#, 400, "invalid_json"),
        ("/api/v1/completions", r#"{"prompt":5}"#, 400, "invalid_argument"),
        ("/api/v1/completions", r"[1]", 400, "invalid_argument"),
        ("/api/v1/completions", r"{}", 400, "invalid_argument"),
        ("/api/v1/completions", r#"{"prompt":"x","timeout":-5}"#, 400, "invalid_argument"),
        ("/api/v1/completions", r#"{"prompt":"x","max_tokens":0}"#, 400, "invalid_argument"),
        ("/api/v1/completions", r#"{"prompt":"x","session_id":"99"}"#, 404, "session_not_found"),
        ("/api/v1/completions", r#"{"prompt":"x","session_id":-1}"#, 400, "invalid_argument"),
        ("/api/v1/completions/99999999999999999999", r#"{"prompt":"x"}"#, 400, "invalid_argument"),
        ("/api/v1/completions/abc", r#"{"prompt":"x"}"#, 400, "invalid_argument"),
        ("/api/v1/completions", r#"{"prompt":"x","max_tokens":-1}"#, 400, "invalid_argument"),
        ("/api/v1/completions", r#"{"prompt":"x","n":99}"#, 400, "invalid_argument"),
        ("/api/v1/completions", r#"{"prompt":"x","async":"yes"}"#, 400, "invalid_argument"),
        ("/api/v1/completions", "", 400, "invalid_json"),
        ("/api/v1/completions", "null", 400, "invalid_argument"),
        ("/api/v1/create", r#"{"name":""}"#, 400, "invalid_argument"),
        ("/api/v1/nowhere", r"{}", 404, "route_not_found"),
    ];
    for (path, body, wanted, code) in cases {
        let (status, head, answer) = server.parts("POST", path, DEV, body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{e}: {head}"));
        assert_eq!((status, answer["code"].as_str().unwrap()), (wanted, code), "{path} {body}: {answer}");
        assert!(answer["error"].is_string() && answer["message"].is_string() && head.contains("application/json"));
    }
    let (status, head, _) = server.parts("GET", "/api/v1/completions", DEV, "").await;
    assert!(status == 405 && head.contains("allow: post"), "{head}");
    let huge = format!(r#"{{"prompt":"{}"}}"#, "x".repeat(20 << 20));
    assert_eq!(server.parts("POST", "/api/v1/completions", DEV, &huge).await.0, 413);
    let form = format!(
        "POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{DEV}Content-Type: multipart/form-data\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    assert!(server.raw(form.as_bytes()).await.starts_with("HTTP/1.1 415"));
    let mut invalid = b"POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer default-dev-token\r\nContent-Length: 14\r\n\r\n{\"prompt\":\"".to_vec();
    invalid.extend_from_slice(b"\xff\"}");
    assert!(server.raw(&invalid).await.starts_with("HTTP/1.1 400"));
    let many = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X-A: b\r\n".repeat(10_000));
    assert!(server.raw(many.as_bytes()).await.starts_with("HTTP/1.1 431"));
    assert_eq!(
        server.post_json("/api/v1/completions", &json!({"prompt": "still here", "session_id": "0"})).await.0,
        200
    );
}

#[tokio::test]
async fn a_head_that_dawdles_is_refused() {
    let server = serve(ListenConfig::default().header_timeout_ms(100)).await;
    for (head, shape) in
        [("GET /healthz HTTP/1.1\r\nHost:", r#"{"error":"the headers"#), ("GET /v1/models HTTP/1.1", r#"{"error":{"#)]
    {
        let answer = server.raw(head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("header_timeout"), "{answer}");
        assert!(answer.contains(shape), "{answer}");
    }
    // A connection without a request gets no answer.
    assert_eq!(server.raw(b"").await, "");
    // A connection that has had an answer gets no second one.
    let answer = server.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
}

#[tokio::test]
async fn a_body_that_dawdles_is_refused() {
    let server = serve(ListenConfig::default().body_timeout_ms(100)).await;
    let head = format!(
        "POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{DEV}Content-Length: 99\r\n\r\n{{"
    );
    let answer = server.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_timeout"), "{answer}");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off_and_the_miner_told() {
    let server = serve(ListenConfig::default().write_timeout_ms(300)).await;
    let (jobs, mut taken) = mpsc::unbounded_channel::<Job>();
    server.router.add_miner(MinerSpec::new("talker", 1), move |job: Job| jobs.send(job).unwrap()).unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    // A small buffer fills after little data.
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let body = r#"{"prompt":"x","stream":true,"timeout":600}"#;
    let request = format!(
        "POST /api/v1/completions HTTP/1.1\r\nHost: localhost\r\n{DEV}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let job = taken.recv().await.unwrap();
    let talk = async {
        let piece = "word ".repeat(1_000);
        loop {
            match job.emit(piece.as_str()) {
                Emit::Full => job.writable().await,
                Emit::Cancelled => return,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), talk).await.expect("the miner is told");
    drop(stream);
    assert_eq!(server.get_json("/healthz").await.0, 200);
}

#[tokio::test]
async fn a_closed_session_and_numbers_out_of_range_are_named() {
    let server = with_words().await;
    server.post_json("/api/v1/create", &json!({"name": "short"})).await;
    assert_eq!(server.parts("DELETE", "/api/v1/sessions/2", DEV, "").await.0, 200);
    for (path, status, code, param) in [
        ("/api/v1/completions/2", 409, "session_closed", "session_id"),
        ("/api/v1/completions/-1", 400, "invalid_argument", "session_id"),
        ("/api/v1/completions/9007199254740992", 400, "invalid_argument", "session_id"),
    ] {
        let (got, error) = server.post_json(path, &json!({"prompt": "x"})).await;
        assert_eq!((got, &error["code"], &error["param"]), (status, &json!(code), &json!(param)), "{path}");
    }
    for (path, status, param) in [
        ("/api/v1/tasks/0/-1", 400, "task_id"),
        ("/api/v1/tasks/0/99999999999999999999", 400, "task_id"),
        ("/api/v1/tasks/0/7", 404, "task_id"),
        ("/api/v1/tasks/7/1", 404, "session_id"),
    ] {
        let (got, error) = server.get_json(path).await;
        assert_eq!((got, &error["param"]), (status, &json!(param)), "{path}");
    }
}

#[tokio::test]
async fn a_word_that_is_none_of_its_list_is_named_and_the_list_is_told() {
    let server = with_words().await;
    let words = [
        ("match", "match must be exact, normalized, json, lexical, embedding or verdict"),
        ("validation_policy", "validation_policy must be first, quorum, medoid or all"),
        ("retention", "retention must be all, result or none"),
    ];
    for (field, list) in words {
        let body = json!({"name": "s", "prompt": "p", field: "x"});
        let mut answers = vec![server.post_json("/api/v1/sessions", &body).await];
        if field != "retention" {
            answers.push(server.post_json("/api/v1/completions", &body).await);
        }
        let (status, _, text) =
            server.parts("PATCH", "/api/v1/sessions/0", DEV, &json!({field: "x"}).to_string()).await;
        answers.push((status, serde_json::from_str(&text).unwrap()));
        for (status, error) in answers {
            assert_eq!((status, &error["param"], &error["error"]), (400, &json!(field), &json!(list)), "{error}");
        }
    }
    let (status, error) = server.post_json("/api/v1/sessions", &json!({"name": "s", "mode": 3})).await;
    assert_eq!((status, &error["param"]), (400, &json!("mode")), "{error}");
    // An empty word is the default.
    let empty = json!({"name": "s", "match": "", "validation_policy": "", "retention": ""});
    let (_, made) = server.post_json("/api/v1/sessions", &empty).await;
    assert_eq!(
        [&made["match"], &made["validation_policy"], &made["retention"]],
        [&json!("normalized"), &json!("quorum"), &json!("all")],
        "{made}"
    );
}

#[tokio::test]
async fn a_listener_that_is_full_still_stops() {
    let router = cortensor_router::Router::open(cortensor_router::Config::default()).await.unwrap();
    let config = ListenConfig::default().port(0).max_connections(1);
    let listener = cortensor_router::listener::Listener::bind(router, config).await.unwrap();
    let address = listener.local_addr();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(listener.run(async move { drop(stopped.await) }));
    let mut only = TcpStream::connect(address).await.unwrap();
    only.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(only.read(&mut [0; 64]).await.unwrap() > 0);
    stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(10), running).await.expect("it stops").unwrap().unwrap();
}

#[tokio::test]
async fn what_only_passes_may_be_nested_and_what_is_nested_without_end_is_refused() {
    let server = with_words().await;
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let objects = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    let body = |member: &str, value: &str| match member {
        "content" => format!(r#"{{"messages":[{{"role":"user","content":"a","extra":{value}}}]}}"#),
        "tools" => format!(
            r#"{{"messages":[{{"role":"user","content":"a"}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{value}}}}}]}}"#
        ),
        _ => format!(r#"{{"{member}":{value},"prompt":"a","messages":[{{"role":"user","content":"a"}}]}}"#),
    };
    for path in ["/api/v1/completions", "/v1/chat/completions"] {
        for member in ["x", "metadata", "response_format", "tools", "content"] {
            if path.starts_with("/api") && member == "metadata" {
                continue;
            }
            for value in [nested(300), objects(300)] {
                let (status, _, answer) = server.parts("POST", path, DEV, &body(member, &value)).await;
                assert_eq!(status, 200, "{path} {member}: {answer}");
            }
            for value in [nested(100_000), objects(100_000), "[".repeat(100_000)] {
                let (status, _, answer) = server.parts("POST", path, DEV, &body(member, &value)).await;
                assert!(status == 400 && answer.contains("limits.max_json_depth"), "{path} {member}: {answer}");
            }
        }
    }
    for (path, field) in [("/api/v1/create", "name"), ("/api/v1/keys", "scopes"), ("/api/v1/completions", "prompt")] {
        for levels in [65, 200, 100_000] {
            let body = format!(r#"{{"{field}":{}}}"#, nested(levels));
            assert_eq!(server.parts("POST", path, DEV, &body).await.0, 400, "{path} {levels}");
        }
    }
    assert_eq!(server.get_json("/healthz").await.0, 200);
}
