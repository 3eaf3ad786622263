//! A miner by hand: sends what a test says, reads what comes.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::server::{DEV, within};

pub(crate) struct Hand {
    socket: WebSocketStream<TcpStream>,
    pub(crate) challenge: Value,
}

impl Hand {
    /// Connects and reads the challenge.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &[]).await
    }

    /// Connects with these head lines besides.
    pub(crate) async fn connect_with(address: SocketAddr, lines: &[(&'static str, &'static str)]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut request = format!("ws://{address}/miner/v1").into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "cortensor-miner.v1".parse().unwrap());
        for (name, value) in lines {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, response) = client_async(request, stream).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "cortensor-miner.v1");
        let mut hand = Self { socket, challenge: Value::Null };
        hand.challenge = hand.expect("challenge").await;
        hand
    }

    /// Connects and is welcomed, with credits.
    pub(crate) async fn welcomed(address: SocketAddr, hello: Value) -> (Self, Value) {
        let mut hand = Self::connect(address).await;
        hand.send(hello).await;
        let welcome = hand.expect("welcome").await;
        hand.send(json!({"type": "credit", "gen": 1, "free": {"*": 2}, "seen": 0})).await;
        (hand, welcome)
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub(crate) async fn send_text(&mut self, text: String) -> bool {
        self.socket.send(Message::text(text)).await.is_ok()
    }

    /// The next frame; `None` at the end of the connection.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            match within(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// The next frame that is neither ping, pong nor ack, which must be of that type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("the connection ended, {kind} was due"));
            match frame["type"].as_str().unwrap() {
                found if found == kind => return frame,
                "ping" | "pong" | "ack" => {}
                _ => panic!("{kind} was due, but {frame} came"),
            }
        }
    }

    /// Reads an offer and takes it.
    pub(crate) async fn take(&mut self) -> (u64, u64, Value) {
        let task = self.expect("task").await;
        let (attempt, fence) = (task["attempt"].as_u64().unwrap(), task["fence"].as_u64().unwrap());
        self.send(json!({"type": "accept", "attempt": attempt, "fence": fence})).await;
        (attempt, fence, task)
    }

    /// Reads until the connection ends, and gives the last error.
    pub(crate) async fn refused(&mut self) -> Value {
        let mut error = Value::Null;
        while let Some(frame) = self.next().await {
            if frame["type"] == "error" {
                error = frame;
            }
        }
        error
    }
}

pub(crate) fn hello() -> Value {
    json!({
        "type": "hello", "v": 1, "miner_id": "hand", "auth": {"token": DEV}, "epoch": 1, "agent": "by hand",
        "features": ["raw"], "kind": "ephemeral", "max_concurrency": 2,
        "models": [{"id": "tiny", "context": 2048, "warm": true, "quant": "Q4_1"}],
        "hw": {"gpu": "none", "vram": 0, "cpu": "small"},
    })
}

pub(crate) fn tokens(attempt: u64, fence: u64, seq: u64, off: u64, data: &str) -> Value {
    json!({"type": "tokens", "attempt": attempt, "fence": fence, "seq": seq, "off": off, "ch": "content", "data": data})
}

pub(crate) fn done(attempt: u64, fence: u64, seq: u64, text: &str) -> Value {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(text.as_bytes());
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "type": "done", "attempt": attempt, "fence": fence, "seq": seq, "sha256": hash, "finish_reason": "stop",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    })
}
