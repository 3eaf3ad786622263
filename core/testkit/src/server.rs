//! A router with its listener, and requests to it over a socket.

use std::net::SocketAddr;
use std::time::Duration;

use cortensor_router::config::UpstreamConfig;
use cortensor_router::listener::Listener;
use cortensor_router::model::{MinerInfo, SessionId, TaskRequest};
use cortensor_router::{Config, Router, Submission, SubmitOptions};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::time::within;
use crate::upstream::Upstream;

/// The head line with the development token.
pub const DEV: &str = "Authorization: Bearer default-dev-token\r\n";

/// A router that listens on a port of loopback.
#[derive(Debug)]
pub struct Server {
    /// The router itself.
    pub router: Router,
    /// The address on which the router listens.
    pub address: SocketAddr,
    /// Dropping the sender stops the listener.
    stop: Option<oneshot::Sender<()>>,
}

/// An answer as it arrived.
#[derive(Debug)]
pub struct Reply {
    /// The status in the head.
    pub status: u16,
    head: String,
    /// The body, with chunked encoding removed.
    pub body: String,
}

impl Server {
    /// Starts a router on a free port.
    pub async fn open(config: Config) -> Self {
        Self::open_at(config, 0).await
    }

    /// Starts a router on that port.
    pub async fn open_at(config: Config, port: u16) -> Self {
        Self::of_at(Router::open(config).await.unwrap(), port).await
    }

    /// Lets that router listen on a free port.
    pub async fn of(router: Router) -> Self {
        Self::of_at(router, 0).await
    }

    async fn of_at(router: Router, port: u16) -> Self {
        let listen = router.config().listen.clone().port(port);
        let listener = Listener::bind(router.clone(), listen).await.unwrap();
        let address = listener.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(listener.run(async {
            let _ = stopped.await;
        }));
        Self { router, address, stop: Some(stop) }
    }

    /// Starts a router in front of that upstream, which serves the model `up-model`.
    pub async fn before(upstream: &Upstream, config: Config) -> Self {
        let server = Self::open(config).await;
        let config = UpstreamConfig::new(&upstream.url).name(Some("up".into())).models(vec!["up-model".into()]);
        server.router.add_upstream(config).unwrap();
        server
    }

    /// Stops the listener and closes the router.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        self.router.close().await;
    }

    /// The URL at which miners dial in.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Submits a completion directly to the router, without the listener.
    pub async fn submit(&self, prompt: &str, stream: bool) -> Submission {
        let request = TaskRequest::completion(prompt).stream(stream).timeout(30.0);
        self.router.submit(SessionId(0), request, SubmitOptions::default()).await.unwrap()
    }

    /// Waits until the only miner meets the condition. Gives its record.
    pub async fn miner(&self, wanted: impl Fn(&MinerInfo) -> bool) -> MinerInfo {
        let mut last = None;
        for _ in 0..1_000 {
            last = self.router.miners().into_iter().next();
            if let Some(miner) = last.as_ref().filter(|miner| wanted(miner)) {
                return miner.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the miner is not as wanted: {last:?}");
    }

    /// Waits until there is no miner.
    pub async fn no_miner(&self) {
        for _ in 0..1_000 {
            if self.router.miners().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still there: {:?}", self.router.miners());
    }

    /// Sends bytes, and reads until the connection ends.
    pub async fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // A server that refuses early may close the connection while the test still sends.
        let _ = stream.write_all(request).await;
        ended(stream).await
    }

    /// Sends a request and leaves its connection open.
    pub async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{headers}\r\n{body}",
            body.len()
        );
        let _ = stream.write_all(request.as_bytes()).await;
        stream
    }

    /// Sends a request with these head lines, each with its line end. Gives the answer.
    pub async fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Reply {
        Reply::of(&ended(self.ask(method, path, headers, body).await).await)
    }

    /// Sends such a request. Gives the status, the head in lower case, and the body of the answer.
    pub async fn parts(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, String) {
        let reply = self.send(method, path, headers, body).await;
        (reply.status, reply.head.to_ascii_lowercase(), reply.body)
    }

    /// Sends a GET with the development token. Gives the answer.
    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, DEV, "").await
    }

    /// Sends a POST with the development token. Gives the answer.
    pub async fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, DEV, body).await
    }

    /// Sends a GET with the development token. Gives the status and the JSON body.
    pub async fn get_json(&self, path: &str) -> (u16, Value) {
        let reply = self.get(path).await;
        (reply.status, reply.json())
    }

    /// Sends a POST with the development token. Gives the status and the JSON body.
    pub async fn post_json(&self, path: &str, body: &Value) -> (u16, Value) {
        let reply = self.post(path, &body.to_string()).await;
        (reply.status, reply.json())
    }
}

impl Reply {
    /// Parses a complete answer.
    pub fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if is_chunked { unchunked(body) } else { body.to_owned() };
        Self { status, head: head.to_owned(), body }
    }

    /// The value of a head line.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// The chunks of a stream, which must end with `[DONE]`.
    pub fn chunks(&self) -> Vec<Value> {
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

    /// The status of a refusal in OpenAI's shape, with the type and the code of its error.
    pub fn error(&self) -> (u16, String, String) {
        let error = &self.json()["error"];
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{}", self.body);
        (self.status, error["type"].as_str().unwrap().to_owned(), error["code"].as_str().unwrap().to_owned())
    }
}

/// Reads until the connection ends; a reset counts as an end.
async fn ended(mut stream: TcpStream) -> String {
    let mut out = Vec::new();
    let _ = within(stream.read_to_end(&mut out)).await;
    String::from_utf8_lossy(&out).into_owned()
}

fn unchunked(body: &str) -> String {
    let (mut out, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        out.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    out
}
