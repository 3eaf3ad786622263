//! A router with its listener, and requests to it over a socket.

use std::net::SocketAddr;
use std::time::Duration;

use cortensor_router::config::{ListenConfig, UpstreamConfig};
use cortensor_router::listener::Listener;
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, FinishReason, MinerSpec, Usage};
use cortensor_router::{Config, Router};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::upstream::Upstream;

pub(crate) const DEV: &str = "Authorization: Bearer default-dev-token\r\n";

pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) address: SocketAddr,
}

/// An answer as it came.
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The chunks of a stream that ends as it should.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        assert_eq!(
            (self.status, self.header("content-type")),
            (200, Some("text/event-stream; charset=utf-8")),
            "{}",
            self.body
        );
        let events = self.body.strip_suffix("data: [DONE]\n\n").expect("the stream ends with [DONE]");
        events
            .split_terminator("\n\n")
            .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
            .collect()
    }

    /// The error of a refusal.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", self.body);
        (self.status, error["type"].as_str().unwrap().to_owned(), error["code"].as_str().unwrap().to_owned())
    }
}

pub(crate) async fn serve(config: Config) -> Server {
    let listen = ListenConfig { port: 0, ..config.listen.clone() };
    let router = Router::open(config).await.unwrap();
    let listener = Listener::bind(router.clone(), listen).await.unwrap();
    let address = listener.local_addr();
    tokio::spawn(listener.run(std::future::pending()));
    Server { router, address }
}

/// A router whose one miner, of the model `tiny`, says the prompt's words.
pub(crate) async fn with_words() -> Server {
    let server = serve(Config::default()).await;
    server.router.add_miner(MinerSpec::new("words", 8).models(["tiny"]), say_words).unwrap();
    server
}

fn say_words(job: Job) {
    for word in job.prompt().split_inclusive(' ') {
        job.emit(word);
    }
    job.finish(Answer { usage: Usage::new(3, 2), finish_reason: FinishReason::Length, ..Answer::default() });
}

/// A router in front of that upstream.
pub(crate) async fn before(upstream: &Upstream) -> Server {
    before_on(upstream, 0).await
}

/// The same, served on so many threads of the listener's own.
pub(crate) async fn before_on(upstream: &Upstream, threads: usize) -> Server {
    before_with(upstream, Config { listen: ListenConfig { threads, ..ListenConfig::default() }, ..Config::default() })
        .await
}

/// A router with that configuration in front of that upstream.
pub(crate) async fn before_with(upstream: &Upstream, config: Config) -> Server {
    let server = serve(config).await;
    let config =
        UpstreamConfig { name: "up".into(), models: vec!["up-model".into()], ..UpstreamConfig::new(&upstream.url) };
    server.router.add_upstream(config).unwrap();
    server
}

impl Server {
    /// Sends a request and leaves its connection open.
    pub(crate) async fn open(&self, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        let mut stream = self.open(method, path, headers, body).await;
        let mut out = String::new();
        tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut out)).await.unwrap().unwrap();
        let (head, body) = out.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {out:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
        let body = if is_chunked { unchunked(body) } else { body.to_owned() };
        Reply { status, head: head.to_owned(), body }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, DEV, "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, DEV, body).await
    }
}

fn unchunked(body: &str) -> String {
    let (mut out, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        out.push_str(&after[..size]);
        rest = &after[size + 2..];
        if size == 0 {
            break;
        }
    }
    out
}
