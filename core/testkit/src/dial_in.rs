//! Miners that dial in.

use std::net::SocketAddr;

use cortensor_router::internals::hex;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::time::within;

/// The token that these miners send.
pub const TOKEN: &str = "default-dev-token";

/// A miner that a test plays by hand: it sends frames that the test gives it, and reads the router's frames.
#[derive(Debug)]
pub struct Hand {
    socket: WebSocketStream<TcpStream>,
    /// The router's first frame.
    pub challenge: Value,
}

impl Hand {
    /// Connects and reads the challenge.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::connect_with(address, &[]).await
    }

    /// Connects with further lines in the head of the request.
    pub async fn connect_with(address: SocketAddr, lines: &[(&'static str, &'static str)]) -> Self {
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

    /// Connects, says hello, and reads the welcome. Gives credits and returns the welcome.
    pub async fn welcomed(address: SocketAddr, hello: Value) -> (Self, Value) {
        let mut hand = Self::connect(address).await;
        hand.send(hello).await;
        let welcome = hand.expect("welcome").await;
        hand.send(json!({"type": "credit", "gen": 1, "free": {"*": 2}, "seen": 0})).await;
        (hand, welcome)
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: Value) {
        self.socket.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// Sends a text that may not be a frame. Gives whether the connection took it.
    pub async fn send_text(&mut self, text: String) -> bool {
        self.socket.send(Message::text(text)).await.is_ok()
    }

    /// Reads the next frame; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            match within(self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Reads the next frame that is not a ping, pong or ack. It must have that type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await.unwrap_or_else(|| panic!("the connection ended, {kind} was due"));
            match frame["type"].as_str().unwrap() {
                found if found == kind => return frame,
                "ping" | "pong" | "ack" => {}
                _ => panic!("{kind} was due, but {frame} came"),
            }
        }
    }

    /// Reads an offer and accepts it.
    pub async fn take(&mut self) -> (u64, u64, Value) {
        let task = self.expect("task").await;
        let (attempt, fence) = (task["attempt"].as_u64().unwrap(), task["fence"].as_u64().unwrap());
        self.send(json!({"type": "accept", "attempt": attempt, "fence": fence})).await;
        (attempt, fence, task)
    }

    /// Reads until the connection ends. Gives the last error frame.
    pub async fn refused(&mut self) -> Value {
        let mut error = Value::Null;
        while let Some(frame) = self.next().await {
            if frame["type"] == "error" {
                error = frame;
            }
        }
        error
    }
}

/// The first frame of a miner named `hand`.
pub fn hello() -> Value {
    json!({
        "type": "hello", "v": 1, "miner_id": "hand", "auth": {"token": TOKEN}, "epoch": 1, "agent": "by hand",
        "features": ["raw"], "kind": "ephemeral", "max_concurrency": 2,
        "models": [{"id": "tiny", "context": 2048, "warm": true, "quant": "Q4_1"}],
        "hw": {"gpu": "none", "vram": 0, "cpu": "small"},
    })
}

/// A frame with a piece of an answer.
pub fn tokens(attempt: u64, fence: u64, seq: u64, off: u64, data: &str) -> Value {
    json!({"type": "tokens", "attempt": attempt, "fence": fence, "seq": seq, "off": off, "ch": "content", "data": data})
}

/// A frame that ends an answer.
pub fn done(attempt: u64, fence: u64, seq: u64, text: &str) -> Value {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(text.as_bytes());
    json!({
        "type": "done", "attempt": attempt, "fence": fence, "seq": seq, "sha256": hex(&digest), "finish_reason": "stop",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    })
}
