//! Requests over raw sockets, and the answers to them. No library stands between, because a library would refuse to send
//! most of what an attacker sends.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Outcome;

/// The time within which an answer must be complete.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: String,
    target: String,
    host: Option<String>,
    lines: String,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

/// Everything that came back on one connection.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The bytes.
    pub(crate) bytes: Vec<u8>,
    /// Whether the router closed the connection.
    pub(crate) closed: bool,
}

impl Ask {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            host: Some("localhost".to_owned()),
            lines: String::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn post(target: &str, body: &Value) -> Self {
        Self::new("POST", target).json(body)
    }

    /// Sets a JSON body.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.line("Content-Type", "application/json").body(body.to_string().into_bytes())
    }

    /// Sets the body.
    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }

    /// Adds a line to the head.
    pub(crate) fn line(mut self, name: &str, value: &str) -> Self {
        self.lines.extend([name, ": ", value, "\r\n"]);
        self
    }

    /// Sends that token.
    pub(crate) fn token(self, token: &str) -> Self {
        self.line("Authorization", &format!("Bearer {token}"))
    }

    /// Sends that `Host`; `None`: none.
    pub(crate) fn host(mut self, host: Option<&str>) -> Self {
        self.host = host.map(str::to_owned);
        self
    }

    /// The method and the target, for people.
    pub(crate) fn shown(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// The bytes of the request. `close`: whether the connection ends after it.
    pub(crate) fn bytes(&self, close: bool) -> Vec<u8> {
        let host = self.host.as_ref().map(|host| format!("Host: {host}\r\n")).unwrap_or_default();
        let end = if close { "Connection: close\r\n" } else { "" };
        let length = if self.body.is_empty() && self.method == "GET" {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", self.body.len())
        };
        let mut bytes =
            format!("{} {} HTTP/1.1\r\n{host}{end}{}{length}\r\n", self.method, self.target, self.lines).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// Sends the request on a connection of its own. Gives everything that comes back.
    ///
    /// # Errors
    /// When the router does not accept the connection.
    pub(crate) fn exchange(&self, address: SocketAddr) -> Outcome<Exchange> {
        exchange(address, &self.bytes(true), PATIENCE)
    }

    /// Sends the request on a connection of its own. Gives the answer.
    ///
    /// # Errors
    /// When no complete answer comes in time.
    pub(crate) fn send(&self, address: SocketAddr) -> Outcome<Answer> {
        let exchange = self.exchange(address)?;
        answers(&exchange.bytes).into_iter().next().ok_or_else(|| {
            let text = String::from_utf8_lossy(&exchange.bytes[..exchange.bytes.len().min(200)]).into_owned();
            format!("{}: no complete answer within {PATIENCE:?}, but {text:?}", self.shown())
        })
    }
}

impl Exchange {
    /// The statuses of the complete answers.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        answers(&self.bytes).iter().map(|answer| answer.status).collect()
    }

    /// The bytes as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

impl Answer {
    /// Whether the request was done.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the request was refused because of its sender.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.status, 401 | 403 | 404)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The head and the body, for a search.
    pub(crate) fn whole(&self) -> String {
        format!("{}\r\n\r\n{}", self.head, self.text())
    }

    /// The status and the beginning of the body, for people.
    pub(crate) fn told(&self) -> String {
        format!("{} {}", self.status, self.text().chars().take(160).collect::<String>())
    }
}

/// Opens a connection with limits for each read and write.
///
/// # Errors
/// When the router does not accept it.
pub(crate) fn connect(address: SocketAddr) -> Outcome<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(|error| format!("cannot connect: {error}"))?;
    let limits = stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| stream.set_nodelay(true));
    limits.map_err(|error| error.to_string())?;
    Ok(stream)
}

/// Sends bytes, and reads until the router closes the connection or nothing has come for `quiet`.
///
/// # Errors
/// When the router does not accept the connection.
pub(crate) fn exchange(address: SocketAddr, bytes: &[u8], quiet: Duration) -> Outcome<Exchange> {
    let mut stream = connect(address)?;
    let reader = stream.try_clone().map_err(|error| error.to_string())?;
    // The router may refuse while bytes are still on their way, so both directions run at once.
    Ok(std::thread::scope(|scope| {
        let reading = scope.spawn(move || read(reader, quiet));
        let _ = stream.write_all(bytes);
        reading.join().unwrap_or(Exchange { bytes: Vec::new(), closed: false })
    }))
}

/// Reads until the router closes the connection or nothing has come for `quiet`, and then closes it.
pub(crate) fn read(mut stream: TcpStream, quiet: Duration) -> Exchange {
    let started = Instant::now();
    let mut bytes = Vec::new();
    let mut buffer = [0; 16_384];
    let _ = stream.set_read_timeout(Some(quiet));
    let closed = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break true,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) => break error.kind() == std::io::ErrorKind::ConnectionReset,
        }
        if started.elapsed() > 2 * PATIENCE {
            break false;
        }
    };
    // A writer that is still at work must not wait for its own time limit.
    let _ = stream.shutdown(Shutdown::Both);
    Exchange { bytes, closed }
}

/// All complete answers in these bytes, without interim ones.
pub(crate) fn answers(mut bytes: &[u8]) -> Vec<Answer> {
    let mut all = Vec::new();
    while let Some((answer, rest)) = answer(bytes) {
        bytes = rest;
        if answer.status >= 200 {
            all.push(answer);
        }
    }
    all
}

fn answer(bytes: &[u8]) -> Option<(Answer, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let rest = &bytes[end + 4..];
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let value = |name: &str| {
        head.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    let (body, rest) = if value("transfer-encoding").is_some() {
        unchunked(rest)?
    } else {
        let length = value("content-length").map_or(Some(0), |(_, length)| length.trim().parse().ok())?;
        (rest.get(..length)?.to_vec(), &rest[length..])
    };
    Some((Answer { status, head, body }, rest))
}

fn unchunked(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        rest = &rest[line + 2..];
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
        if size == 0 {
            return Some((body, rest));
        }
    }
}
