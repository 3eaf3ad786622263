//! A miner that an attack plays by hand.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use cortensor_router_protocol::frame::Challenge;
use cortensor_router_protocol::identity::{MinerKeyPair, encode};
use cortensor_router_testkit::dial_in;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::Outcome;
use crate::http::connect;

/// The time for which a frame is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The connection of such a miner.
pub(crate) struct Hand {
    socket: WebSocket<TcpStream>,
    /// The router's challenge.
    pub(crate) challenge: Value,
}

/// An attempt that was offered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) attempt: u64,
    pub(crate) fence: u64,
}

impl Hand {
    /// Connects and reads the challenge. `lines` are lines of the head, each with its line end; they include `Host`.
    ///
    /// # Errors
    /// When the router refuses the connection; the text is its answer.
    pub(crate) fn connect(address: SocketAddr, lines: &str) -> Outcome<Self> {
        let mut stream = connect(address)?;
        let head = format!(
            "GET /miner/v1 HTTP/1.1\r\n{lines}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: cortensor-miner.v1\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).map_err(|error| error.to_string())?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
            answer.push(byte[0]);
        }
        if !answer.starts_with(b"HTTP/1.1 101") {
            return Err(String::from_utf8_lossy(&answer).into_owned());
        }
        stream.set_read_timeout(Some(PATIENCE)).map_err(|error| error.to_string())?;
        let mut hand = Self { socket: WebSocket::from_raw_socket(stream, Role::Client, None), challenge: Value::Null };
        hand.challenge = hand.expect("challenge")?;
        Ok(hand)
    }

    /// Connects as an honest miner does.
    ///
    /// # Errors
    /// When the router refuses the connection.
    pub(crate) fn local(address: SocketAddr) -> Outcome<Self> {
        Self::connect(address, "Host: localhost\r\n")
    }

    /// Connects and says hello. Gives the hand with its welcome.
    ///
    /// # Errors
    /// When the router does not welcome the miner.
    pub(crate) fn welcomed(address: SocketAddr, hello: &Value) -> Outcome<(Self, Value)> {
        let mut hand = Self::local(address)?;
        hand.send(hello);
        let welcome = hand.expect("welcome")?;
        hand.send(&json!({"type": "credit", "gen": 1, "free": {"*": 4}, "seen": 0}));
        Ok((hand, welcome))
    }

    /// Sends a frame. A connection that has ended takes none.
    pub(crate) fn send(&mut self, frame: &Value) {
        self.send_text(frame.to_string());
    }

    /// Sends a text that may not be a frame.
    pub(crate) fn send_text(&mut self, text: String) {
        let _ = self.socket.send(Message::text(text));
    }

    /// Sends bytes as a binary message, which the protocol does not have.
    pub(crate) fn send_bytes(&mut self, bytes: Vec<u8>) {
        let _ = self.socket.send(Message::binary(bytes));
    }

    /// Reads the next frame within that time; `None`: none came, or the connection has ended.
    pub(crate) fn next(&mut self, limit: Duration) -> Option<Value> {
        let _ = self.socket.get_ref().set_read_timeout(Some(limit));
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Reads until a frame of that type comes.
    ///
    /// # Errors
    /// When none comes in time, or the router ends the connection.
    pub(crate) fn expect(&mut self, kind: &str) -> Outcome<Value> {
        loop {
            match self.next(PATIENCE) {
                Some(frame) if frame["type"] == kind => return Ok(frame),
                Some(frame) if frame["type"] == "error" => return Err(format!("{kind} was due, but {frame} came")),
                Some(_) => {}
                None => return Err(format!("{kind} was due, but nothing came")),
            }
        }
    }

    /// Whether the router ends the connection within that time. Frames until then are read away.
    pub(crate) fn is_cut(&mut self, limit: Duration) -> bool {
        let _ = self.socket.get_ref().set_read_timeout(Some(limit));
        loop {
            match self.socket.read() {
                Ok(Message::Close(_)) => return true,
                Ok(_) => {}
                Err(Error::Io(error)) => {
                    return !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
                }
                Err(_) => return true,
            }
        }
    }

    /// Reads an offer and accepts it.
    ///
    /// # Errors
    /// When none comes.
    pub(crate) fn take(&mut self) -> Outcome<Offer> {
        let task = self.expect("task")?;
        let number = |name: &str| task[name].as_u64().ok_or_else(|| format!("a task without {name}: {task}"));
        let offer = Offer { attempt: number("attempt")?, fence: number("fence")? };
        self.send(&json!({"type": "accept", "attempt": offer.attempt, "fence": offer.fence}));
        Ok(offer)
    }

    /// The hello of a miner with that key, which signs this connection's challenge.
    ///
    /// # Errors
    /// When the challenge is none.
    pub(crate) fn keyed(&self, key: &MinerKeyPair, model: &str, token: Option<&str>) -> Outcome<Value> {
        let challenge: Challenge =
            serde_json::from_value(self.challenge.clone()).map_err(|error| format!("{}: {error}", self.challenge))?;
        let mut greeting = hello(&key.id(), "", model);
        greeting["auth"] =
            json!({"public_key": encode(key.public_key()), "signature": encode(&key.sign(&challenge, None))});
        if let Some(token) = token {
            greeting["auth"]["token"] = token.into();
        }
        Ok(greeting)
    }
}

impl Offer {
    /// A frame with a piece of the answer.
    pub(crate) fn tokens(self, seq: u64, off: u64, data: &str) -> Value {
        dial_in::tokens(self.attempt, self.fence, seq, off, data)
    }

    /// The frame that ends the answer.
    pub(crate) fn done(self, seq: u64, text: &str) -> Value {
        dial_in::done(self.attempt, self.fence, seq, text)
    }
}

/// A new key of a miner, as PEM and as a pair.
///
/// # Errors
/// When the system has no randomness.
pub(crate) fn key_pair() -> Outcome<(String, MinerKeyPair)> {
    let pem = MinerKeyPair::generate().map_err(|error| error.to_string())?;
    let pair = MinerKeyPair::from_pem(&pem).map_err(|error| error.to_string())?;
    Ok((pem, pair))
}

/// The hello of a miner with a token.
pub(crate) fn hello(id: &str, token: &str, model: &str) -> Value {
    json!({
        "type": "hello", "v": 1, "miner_id": id, "auth": {"token": token}, "epoch": 7, "agent": "attack",
        "features": ["raw"], "kind": "ephemeral", "max_concurrency": 4, "models": [{"id": model}],
    })
}
