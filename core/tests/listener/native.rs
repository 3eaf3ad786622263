//! The busy routes are served by two ways, with hyper and without. Here every request goes both ways, to two listeners
//! of one router, and both must answer alike.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use cortensor_router::config::ListenConfig;
use cortensor_router::listener::Listener;
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, FinishReason, MinerSpec, Usage};
use cortensor_router::{Config, Router};
use cortensor_router_testkit::Server;
use cortensor_router_testkit::random::Random;
use cortensor_router_testkit::server::DEV;
use cortensor_router_testkit::within;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::native_requests::{BUSY, Script, scripts};

/// The number of generated requests.
const REQUESTS: usize = 10_000;

/// The number of connections at a time, of each way.
const AT_A_TIME: usize = 24;

/// The size in bytes of requests that come in one read.
const AT_ONCE: usize = 4 << 10;

/// The two ways to one router.
pub(crate) struct Ways {
    pub(crate) server: Server,
    general: SocketAddr,
}

impl Ways {
    async fn open(listen: ListenConfig) -> Self {
        let server = Server::open(Config::default().listen(listen.clone())).await;
        let listener = Listener::bind(server.router.clone(), listen.port(0)).await.unwrap().without_native_path();
        let general = listener.local_addr();
        tokio::spawn(listener.run(std::future::pending()));
        add_miners(&server.router);
        Self { server, general }
    }

    /// The answers by both ways.
    async fn answers(&self, script: &Script) -> [Vec<String>; 2] {
        let (native, general) = tokio::join!(play(self.server.address, script), play(self.general, script));
        [told(&native), told(&general)]
    }

    async fn compare(&self, script: &Script) {
        let [mut native, mut general] = self.answers(script).await;
        // hyper ends a connection whose refused body has not come yet.
        let fewer = native.len().min(general.len());
        let last = general.get(fewer.wrapping_sub(1));
        let comes_at_once = script.pieces.is_empty() && script.bytes.len() < AT_ONCE;
        if !comes_at_once && last.is_some_and(|answer| answer.starts_with("HTTP/1.1 4")) {
            native.truncate(fewer);
            general.truncate(fewer);
        }
        let sent = String::from_utf8_lossy(&script.bytes).replace("xxxxxxxx", "");
        assert_eq!(native, general, "{sent:?} in pieces of {:?}, ended: {}", script.pieces, script.ends);
    }
}

fn add_miners(router: &Router) {
    let say = |job: Job| {
        for word in job.prompt().split_inclusive(' ') {
            job.emit(word);
        }
        job.finish(Answer::default().usage(Usage::new(3, 2)).finish_reason(FinishReason::Length));
    };
    router.add_miner(MinerSpec::new("words", 64).models(["tiny"]), say).unwrap();
    let vectors = |job: Job| {
        job.emit("[[0.5,1]]");
        job.finish(Answer::default());
    };
    router.add_miner(MinerSpec::new("vectors", 64).models(["vectors"]).embeddings(true), vectors).unwrap();
}

/// Sends the bytes of a script in its pieces, and reads until the connection ends.
async fn play(address: SocketAddr, script: &Script) -> Vec<u8> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let writing = async {
        let mut rest = &script.bytes[..];
        for piece in &script.pieces {
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            // A listener that refuses early may close the connection while the test still sends.
            if writer.write_all(now).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
            rest = later;
        }
        let _ = writer.write_all(rest).await;
        if script.ends {
            let _ = writer.shutdown().await;
        }
    };
    let mut out = Vec::new();
    let reading = async {
        let _ = within(reader.read_to_end(&mut out)).await;
    };
    tokio::join!(writing, reading);
    out
}

/// The answers on a connection, without what differs between any two requests: ids, dates and numbers of tasks.
fn told(bytes: &[u8]) -> Vec<String> {
    let mut rest = std::str::from_utf8(bytes).expect("answers are text");
    let mut answers = Vec::new();
    while let Some((head, after)) = rest.split_once("\r\n\r\n") {
        if head == "HTTP/1.1 100 Continue" {
            rest = after;
            continue;
        }
        let mut lines: Vec<String> = head.lines().skip(1).map(str::to_ascii_lowercase).collect();
        let value =
            |name: &str| lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned);
        let (body, left) = if value("transfer-encoding").as_deref() == Some("chunked") {
            unchunked(after)
        } else {
            let length = value("content-length").map_or(after.len(), |length| length.parse().unwrap());
            let (body, left) = after.split_at(length.min(after.len()));
            (body.to_owned(), left)
        };
        lines.retain(|line| !line.starts_with("date: ") && !line.starts_with("content-length: "));
        lines.sort();
        let status = head.lines().next().unwrap_or_default();
        answers.push(masked(&format!("{status}\n{}\n\n{body}", lines.join("\n"))));
        rest = left;
    }
    if !rest.is_empty() {
        answers.push(masked(rest));
    }
    answers
}

/// The data of a body in chunks, and the bytes behind it. Chunks that broke off stay as they are.
fn unchunked(body: &str) -> (String, &str) {
    let (mut out, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("a chunk has a size");
        assert!(size.to_string().len() < 9 && after.len() >= size + 2, "a chunk broke off: {rest:?}");
        assert_eq!(&after[size..size + 2], "\r\n", "a chunk ends with a line break");
        out.push_str(&after[..size]);
        rest = &after[size + 2..];
        if size == 0 {
            return (out, rest);
        }
    }
    (format!("{out}<broken>"), "")
}

/// The text without its ids and the numbers of tasks.
fn masked(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        let word = line.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let is_digits = |part: &str| part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_id = word.split('_').any(is_digits);
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        let follows = |name: &str| out.ends_with(name);
        if is_id || is_number && (follows("x-cortensor-task: ") || follows("\"task_id\":")) || follows("req-#-") {
            out.push('#');
            out.push_str(&line[word.len()..]);
        } else {
            out.push_str(line);
        }
    }
    out
}

fn post(path: &str, headers: &str, body: &str) -> Script {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    Script::whole(request.into_bytes())
}

#[tokio::test]
async fn both_ways_answer_the_known_requests_alike() {
    let ways = Ways::open(ListenConfig::default()).await;
    let chat = r#"{"model":"tiny","messages":[{"role":"user","content":"one two three"}]}"#;
    let stream = chat.replace("\"model\"", "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"model\"");
    let large = chat.replace("one", &"x".repeat(300_000));
    let bodies = [
        chat,
        &stream,
        &large,
        r#"{"model":"tiny","prompt":"one two","echo":true}"#,
        r#"{"model":"tiny","prompt":"one two","stream":true}"#,
        r#"{"model":"vectors","input":"one"}"#,
        r#"{"model":"tiny","max_tokens":9,"messages":[{"role":"user","content":"one two three"}]}"#,
        r#"{"model":"tiny","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"one two"}]}"#,
        r#"{"model":"tiny","input":"one two"}"#,
        r#"{"model":"tiny","input":"one two","stream":true}"#,
        r#"{"model":"tiny","input":"one two","background":true,"store":false}"#,
        r#"{"model":"tiny","input":"one","previous_response_id":"resp_0"}"#,
        r#"{"model":"tiny","input":"one","tools":[{"type":"web_search"},{"type":"function","name":"f"}]}"#,
        r#"{"model":"absent","messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":"session-7","messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":"tiny","stream":"yes","messages":[{"role":"user","content":"x"}]}"#,
        r#"{"model":"tiny","stream":true,"stream_options":1,"messages":[{"role":"user","content":"x"}]}"#,
        "{}",
        "{",
        "",
        "[]",
        "null",
    ];
    let heads = [
        DEV.to_owned(),
        String::new(),
        "Authorization: Bearer wrong\r\n".to_owned(),
        "Authorization: Basic eDp5\r\n".to_owned(),
        "X-API-Key: default-dev-token\r\n".to_owned(),
        format!("{DEV}Content-Type: text/html\r\n"),
        format!("{DEV}Content-Type: application/json; charset=utf-8\r\nContent-Encoding: gzip\r\n"),
        format!("{DEV}X-Request-Id: own-id_1\r\nX-Cortensor-Session: 0\r\n"),
        format!("{DEV}X-Request-Id: two words\r\nX-Cortensor-Session: 99\r\n"),
        format!("{DEV}X-Stainless-Timeout: 9\r\nX-Forwarded-For: 1.2.3.4\r\n"),
        format!("{DEV}Origin: http://evil.example\r\n"),
        format!("{DEV}traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"),
    ];
    for path in BUSY.into_iter().chain(["/v1/chat/completions/", "/v1/messages/count_tokens", "/v1/nothing"]) {
        for headers in &heads {
            for body in bodies {
                ways.compare(&post(path, headers, body)).await;
            }
        }
    }
}

#[tokio::test]
async fn both_ways_answer_the_requests_of_the_scenarios_alike() {
    let ways = Ways::open(ListenConfig::default()).await;
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut count = 0;
    for entry in std::fs::read_dir(scenarios).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let scenarios: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let steps = scenarios.as_array().unwrap().iter().flat_map(|scenario| scenario["steps"].as_array().unwrap());
        for request in steps.map(|step| &step["request"]).filter(|request| request.is_object()) {
            for path in BUSY {
                for stream in [false, true] {
                    let mut body = request.clone();
                    body["model"] = json!("tiny");
                    if path == "/v1/responses" && body["messages"].is_array() {
                        body["input"] = body["messages"].take();
                    }
                    if path == "/v1/messages" && body["max_tokens"].is_null() {
                        body["max_tokens"] = json!(9);
                    }
                    body["stream"] = json!(stream);
                    ways.compare(&post(path, DEV, &body.to_string())).await;
                    count += 1;
                }
            }
        }
    }
    assert!(count > 300, "{count}");
}

#[tokio::test]
async fn both_ways_answer_generated_requests_alike() {
    let ways = Arc::new(Ways::open(ListenConfig::default().max_headers(40)).await);
    let seed = cortensor_router_testkit::setting("NATIVE_SEED").unwrap_or(1);
    let mut playing = JoinSet::new();
    for script in scripts(&mut Random::new(seed), REQUESTS) {
        if playing.len() >= AT_A_TIME {
            playing.join_next().await.unwrap().unwrap();
        }
        let ways = Arc::clone(&ways);
        playing.spawn(async move { ways.compare(&script).await });
    }
    while let Some(played) = playing.join_next().await {
        played.unwrap();
    }
}
