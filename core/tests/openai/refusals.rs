//! Refused requests, and the errors that OpenAI's clients see.

use cortensor_router::Config;
use cortensor_router::config::DispatchConfig;
use cortensor_router::miner::{FailClass, Failure, Job};
use cortensor_router::model::MinerSpec;

use crate::rig::with_words;
use cortensor_router_testkit::Server;
use cortensor_router_testkit::server::DEV;

#[tokio::test]
async fn who_may_call_is_told_in_openais_words() {
    let server = with_words().await;
    for (headers, code) in [
        ("", "invalid_authorization"),
        ("Authorization: Bearer no\r\n", "unauthorized"),
        ("X-API-Key: no\r\n", "unauthorized"),
    ] {
        for (method, path) in [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/v1/none")] {
            let reply = server.send(method, path, headers, "").await;
            assert_eq!(reply.error(), (401, "authentication_error".into(), code.into()), "{path}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
        }
    }
}

#[tokio::test]
async fn a_bad_body_names_the_field() {
    let server = with_words().await;
    for (path, body, param) in [
        ("/v1/chat/completions", "{}", "messages"),
        ("/v1/chat/completions", r#"{"messages":"hi"}"#, "messages"),
        ("/v1/chat/completions", r#"{"messages":[{"role":"user"}],"max_tokens":"many"}"#, "max_tokens"),
        ("/v1/chat/completions", r#"{"messages":[{"role":"user"}],"stream":"yes"}"#, "stream"),
        ("/v1/chat/completions", r#"{"messages":[{"role":"user"}],"timeout":-1}"#, "timeout"),
        ("/v1/chat/completions", r#"{"messages":[{"role":"user"}],"n":2}"#, "n"),
        ("/v1/chat/completions", r#"{"messages":[{"role":"user"}],"model":7}"#, "model"),
        ("/v1/completions", "{}", "prompt"),
        ("/v1/completions", r#"{"prompt":7}"#, "prompt"),
        ("/v1/completions", r#"{"prompt":["a","b"]}"#, "prompt"),
        ("/v1/embeddings", r#"{"input":[]}"#, "input"),
        ("/v1/completions", "{", "body"),
        ("/v1/completions", "[]", "body"),
        ("/v1/completions", "", "body"),
    ] {
        let reply = server.post(path, body).await;
        assert_eq!((reply.error().0, reply.error().1.as_str()), (400, "invalid_request_error"), "{path} {body}");
        assert_eq!(reply.json()["error"]["param"], param, "{path} {body} {}", reply.body);
    }
    assert_eq!(
        server.post("/v1/chat/completions", r#"{"messages":[{"role":"user","content":"on"}]}"#).await.status,
        200
    );
}

#[tokio::test]
async fn a_model_that_nobody_serves_is_not_found_and_no_miner_at_all_is_unavailable() {
    let server = with_words().await;
    for (path, body) in [
        ("/v1/chat/completions", r#"{"model":"huge","messages":[{"role":"user"}]}"#),
        ("/v1/completions", r#"{"model":"huge","prompt":"x","stream":true}"#),
        ("/v1/embeddings", r#"{"model":"tiny","input":"x"}"#),
    ] {
        assert_eq!(
            server.post(path, body).await.error(),
            (404, "not_found_error".into(), "model_not_found".into()),
            "{path}"
        );
    }
    let dispatch = DispatchConfig::default().no_miner_grace_ms(20);
    let empty = Server::open(Config::default().dispatch(dispatch)).await;
    for stream in [false, true] {
        let reply =
            empty.post("/v1/completions", &format!(r#"{{"model":"huge","prompt":"x","stream":{stream}}}"#)).await;
        assert_eq!(reply.error(), (503, "service_unavailable_error".into(), "no_miner".into()));
        assert!(reply.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    }
}

#[tokio::test]
async fn a_task_that_fails_at_once_has_a_status_of_its_own_also_when_streamed() {
    let server = Server::open(Config::default()).await;
    server
        .router
        .add_miner(MinerSpec::new("moody", 1), |job: Job| {
            let class = if job.prompt().contains("long") { FailClass::Context } else { FailClass::Invalid };
            job.fail(Failure::new(class, "not like this"));
        })
        .unwrap();
    for stream in [false, true] {
        let body = |prompt: &str| format!(r#"{{"prompt":"{prompt}","stream":{stream}}}"#);
        let reply = server.post("/v1/completions", &body("short")).await;
        assert_eq!(reply.error(), (400, "invalid_request_error".into(), "invalid_argument".into()));
        assert!(reply.json()["error"]["task_id"].is_u64());
        let reply = server.post("/v1/completions", &body("long")).await;
        assert_eq!(reply.error(), (400, "invalid_request_error".into(), "context_length_exceeded".into()));
    }
}

#[tokio::test]
async fn a_time_out_names_the_task() {
    let server = Server::open(Config::default()).await;
    let (keep, mut kept) = tokio::sync::mpsc::unbounded_channel();
    server.router.add_miner(MinerSpec::new("silent", 8), move |job: Job| drop(keep.send(job))).unwrap();
    for stream in [false, true] {
        let body = format!(r#"{{"prompt":"x","timeout":0.2,"stream":{stream}}}"#);
        let reply = server.post("/v1/completions", &body).await;
        assert_eq!(reply.error(), (504, "timeout_error".into(), "timeout".into()));
        assert!(reply.json()["error"]["task_id"].is_u64());
        drop(kept.recv().await);
    }
}

#[tokio::test]
async fn routes_and_methods_that_are_not_there() {
    let server = with_words().await;
    assert_eq!(server.get("/v1/nothing").await.error(), (404, "not_found_error".into(), "route_not_found".into()));
    let reply = server.get("/v1/chat/completions").await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
    assert_eq!(server.send("DELETE", "/v1/models", DEV, "").await.status, 405);
}
