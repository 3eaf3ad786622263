//! The line of each request: written once, when the answer has ended or its caller has gone.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cortensor_router::listener::{Body, Handler};
use cortensor_router::miner::{FailClass, Failure};
use cortensor_router::model::MinerSpec;
use cortensor_router::{Config, Router};
use cortensor_router_testkit::server::DEV;
use cortensor_router_testkit::{Hand, Log, Server, miners};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

const CHAT: &str = "/v1/chat/completions";

fn body(prompt: &str, stream: bool) -> String {
    json!({"model": "tiny", "stream": stream, "messages": [{"role": "user", "content": prompt}]}).to_string()
}

/// A router with the miner `words`, which gives the prompt back word by word.
async fn words(config: Config) -> Server {
    let server = Server::open(config).await;
    server.router.add_miner(MinerSpec::new("words", 8).models(["tiny"]), miners::words).unwrap();
    server
}

fn named(id: &str) -> String {
    format!("{DEV}X-Request-Id: {id}\r\n")
}

fn of(id: &'static str) -> impl Fn(&Value) -> bool {
    move |line| line["request_id"] == id
}

/// The only line of the request with that id. A second one would come within the wait.
async fn only(log: &Log, id: &'static str) -> Value {
    let line = log.line(of(id)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(log.lines(of(id)).len(), 1, "{}", log.text());
    assert_eq!((&line["target"], &line["message"]), (&json!("cortensor_router::access"), &json!("request")));
    line
}

#[tokio::test]
async fn a_whole_answer_and_a_stream_have_one_line_with_the_facts_of_their_task() {
    let log = Log::of_process();
    let server = words(Config::default()).await;
    for (id, stream) in [("whole", false), ("stream", true)] {
        assert_eq!(server.send("POST", CHAT, &named(id), &body("one two", stream)).await.status, 200);
        let mut line = only(&log, id).await;
        assert!(line["ms"].is_u64() && line["first_token_ms"].is_u64() && line["timestamp"].is_string(), "{line}");
        let task = line["task"].as_u64().unwrap();
        let (tokens_in, tokens_out) = (line["tokens_in"].as_u64().unwrap(), line["tokens_out"].as_u64().unwrap());
        assert!(tokens_in > 0 && tokens_out > 0, "{line}");
        for varies in ["ms", "first_token_ms", "timestamp", "tokens_in", "tokens_out", "task"] {
            line.as_object_mut().unwrap().remove(varies);
        }
        let wanted = json!({
            "level": "INFO", "target": "cortensor_router::access", "message": "request", "method": "POST",
            "route": CHAT, "status": 200, "outcome": "ok", "key": "dev", "session": 0, "model": "tiny",
            "miner": "words", "attempts": 1, "request_id": id, "peer": "127.0.0.1"
        });
        assert_eq!(line, wanted);
        let (_, record) = server.get_json(&format!("/api/v1/tasks/0/{task}")).await;
        assert_eq!(record["outcome"], "ok");
    }
}

#[tokio::test]
async fn a_request_that_was_refused_or_that_failed_names_the_code_of_its_error() {
    let log = Log::of_process();
    let server = words(Config::default()).await;
    let mut hand = Hand::join(&server.router, MinerSpec::new("hand", 1).models(["own"]));
    let wrong = "Authorization: Bearer wrong\r\nX-Request-Id: stranger\r\n";
    assert_eq!(server.send("GET", "/api/v1/tasks/7", wrong, "").await.status, 401);
    let line = only(&log, "stranger").await;
    assert_eq!(
        (&line["status"], &line["outcome"], &line["code"]),
        (&json!(401), &json!("refused"), &json!("unauthorized"))
    );
    assert!(line.get("key").is_none() && line.get("task").is_none(), "{line}");
    server.send("GET", "/api/v1/tasks/a-secret-name", &named("template"), "").await;
    let line = only(&log, "template").await;
    assert_eq!((&line["route"], &line["outcome"]), (&json!("/api/v1/tasks/{session_id}"), &json!("refused")), "{line}");
    server.send("GET", "/no/such/route", &named("nowhere"), "").await;
    let line = only(&log, "nowhere").await;
    assert_eq!((&line["route"], &line["code"]), (&json!("unknown"), &json!("route_not_found")), "{line}");
    let own = json!({"model": "own", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let broken = named("broken");
    let (reply, ()) = tokio::join!(server.send("POST", CHAT, &broken, &own), async {
        hand.take().await.fail(Failure::new(FailClass::Invalid, "the request is wrong"));
    });
    assert_eq!(reply.status, 400);
    let line = only(&log, "broken").await;
    assert_eq!((&line["outcome"], &line["code"]), (&json!("failed"), &json!("invalid_argument")), "{line}");
    assert_eq!((&line["miner"], &line["attempts"]), (&json!("hand"), &json!(1)));
    let later = json!({"prompt": "x", "async": true}).to_string();
    assert_eq!(server.send("POST", "/api/v1/completions", &named("later"), &later).await.status, 202);
    let line = only(&log, "later").await;
    assert!(["accepted", "ok"].contains(&line["outcome"].as_str().unwrap()), "{line}");
}

#[tokio::test]
async fn a_head_that_is_refused_has_its_line_too() {
    let log = Log::of_process();
    let server = Server::open(Config::default()).await;
    let padded = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX-Pad: {}\r\n\r\n", "a".repeat(100_000));
    assert!(server.raw(padded.as_bytes()).await.starts_with("HTTP/1.1 431"));
    assert!(server.raw(b"no request at all\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    assert!(server.raw(b"GET /healthz HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    for (code, status) in [("head_too_large", 431), ("bad_request", 400), ("bad_host", 400)] {
        let line = log.line(|line| line["code"] == code).await;
        let told = (&line["status"], &line["outcome"], &line["route"]);
        assert_eq!(told, (&json!(status), &json!("refused"), &json!("unknown")), "{line}");
        assert_eq!(log.lines(|line| line["code"] == code).len(), 1);
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_has_hung_up() {
    let log = Log::of_process();
    let server = Server::open(Config::default()).await;
    let mut hand = Hand::join(&server.router, MinerSpec::new("slow", 4).models(["tiny"]));
    for (id, stream, begins) in [("left-whole", false, false), ("left-early", true, false), ("left-late", true, true)] {
        let mut caller = server.ask("POST", CHAT, &named(id), &body("hello", stream)).await;
        let job = hand.take().await;
        if begins {
            job.emit("token ");
            let mut seen = Vec::new();
            while !String::from_utf8_lossy(&seen).contains("token ") {
                assert!(caller.read_buf(&mut seen).await.unwrap() > 0);
            }
        }
        drop(caller);
        let line = only(&log, id).await;
        assert_eq!(
            (&line["outcome"], &line["miner"], &line["session"]),
            (&json!("hung_up"), &json!("slow"), &json!(0))
        );
        assert_eq!(line.get("status").is_some(), begins, "{line}");
        assert_eq!(line.get("first_token_ms").is_some(), begins, "{line}");
    }
}

#[tokio::test]
async fn questions_of_machines_are_at_debug() {
    let log = Log::of_process();
    let server = Server::open(Config::default()).await;
    for (id, path, level) in [
        ("alive", "/healthz", "DEBUG"),
        ("ready", "/readyz", "DEBUG"),
        ("figures", "/metrics", "DEBUG"),
        ("status", "/api/v1/status", "INFO"),
    ] {
        assert_eq!(server.send("GET", path, &named(id), "").await.status, 200);
        assert_eq!(only(&log, id).await["level"], level, "{path}");
    }
}

#[tokio::test]
async fn the_log_has_the_words_of_a_request_only_if_a_setting_says_so() {
    let log = Log::of_process();
    let server = words(Config::default()).await;
    assert_eq!(server.send("POST", CHAT, &named("private"), &body("unheard-of words", true)).await.status, 200);
    let line = only(&log, "private").await;
    assert!(
        line.get("prompt").is_none() && line.get("answer").is_none() && !log.text().contains("unheard-of"),
        "{line}"
    );
    let mut config = Config::default();
    (config.log.prompts, config.log.prompt_bytes) = (true, 8);
    let server = words(config).await;
    assert_eq!(server.send("POST", CHAT, &named("open"), &body("overheard words", false)).await.status, 200);
    let line = only(&log, "open").await;
    assert!(line["prompt"].as_str().is_some_and(|prompt| prompt.len() <= 8), "{line}");
    assert_eq!(line["answer"], "overhear");
}

/// A body that a host program hands on and whose first read panics.
struct Panics;

impl http_body::Body for Panics {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        panic!("the host's body panics")
    }
}

#[tokio::test]
async fn a_request_that_panics_is_not_lost() {
    let log = Log::of_process();
    let router = Router::open(Config::default()).await.unwrap();
    let handler = Handler::new(router.clone(), router.config().listen.clone()).unwrap();
    let request = http::Request::post(CHAT)
        .header("host", "localhost")
        .header("authorization", "Bearer default-dev-token")
        .header("x-request-id", "panic")
        .body(Body::new(Panics))
        .unwrap();
    let asked = tokio::spawn(async move { handler.handle(request, "127.0.0.1:1".parse().unwrap()).await });
    assert!(asked.await.unwrap_err().is_panic());
    let line = only(&log, "panic").await;
    assert_eq!((&line["outcome"], &line["route"], line.get("status")), (&json!("panicked"), &json!(CHAT), None));
    router.close().await;
}
