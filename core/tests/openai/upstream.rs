//! An OpenAI-compatible server on loopback that answers what a test tells it, to the byte.

use std::sync::Arc;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What it answers to one request for work.
#[derive(Clone)]
pub(crate) enum Say {
    /// A status and a body of JSON.
    Json(u16, String),
    /// A body of that type, to the byte.
    Body(&'static str, Vec<u8>),
    /// A stream of these events, each a packet of its own.
    Events(Vec<String>),
    /// The events, then silence until the client hangs up.
    Forever(Vec<String>),
    /// A stream of these bytes, each so many milliseconds after the one before.
    Slowly(Vec<(u64, String)>),
    /// It hangs up without a word.
    HangUp,
}

type Script = Arc<dyn Fn(&str, &str) -> Say + Send + Sync>;

pub(crate) struct Upstream {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<String>>>,
    hung_up: tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Upstream {
    /// Serves the model `up-model`; `script` is asked with the path and the body of each request for work.
    pub(crate) async fn new(script: impl Fn(&str, &str) -> Say + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (script, seen): (Script, _) = (Arc::new(script), Arc::new(Mutex::new(Vec::new())));
        let (tell, hung_up) = mpsc::unbounded_channel();
        let bodies = seen.clone();
        let server = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                tokio::spawn(serve(stream, script.clone(), bodies.clone(), tell.clone()));
            }
        });
        Self { url, seen, hung_up: tokio::sync::Mutex::new(hung_up), server }
    }

    /// The bodies of the requests for work.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until the router hangs up on an answer that never ends.
    pub(crate) async fn hung_up(&self) {
        let gone = async { self.hung_up.lock().await.recv().await };
        tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.unwrap().unwrap();
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Script,
    seen: Arc<Mutex<Vec<String>>>,
    hung_up: mpsc::UnboundedSender<()>,
) {
    let mut bytes = Vec::new();
    while let Some((path, body)) = request(&mut stream, &mut bytes).await {
        let say = if path.ends_with("/models") {
            Say::Json(200, r#"{"object":"list","data":[{"id":"up-model","object":"model"}]}"#.into())
        } else {
            let say = script(&path, &body);
            seen.lock().unwrap().push(body);
            say
        };
        let say = match say {
            Say::Json(status, body) => Ok((status, "application/json", body.into_bytes())),
            Say::Body(kind, body) => Ok((200, kind, body)),
            other => Err(other),
        };
        let (events, ends) = match say {
            Ok((status, kind, body)) => {
                let head =
                    format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
                if stream.write_all(&[head.into_bytes(), body].concat()).await.is_err() {
                    return;
                }
                continue;
            }
            Err(Say::HangUp) => return,
            Err(Say::Slowly(packets)) => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";
                for (wait, packet) in std::iter::once((0, head.to_owned())).chain(packets) {
                    tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
                    if stream.write_all(packet.as_bytes()).await.is_err() {
                        return;
                    }
                }
                return;
            }
            Err(Say::Forever(events)) => (events, false),
            Err(Say::Events(events)) => (events, true),
            Err(Say::Json(..) | Say::Body(..)) => continue,
        };
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
        let packets = std::iter::once(head.to_owned()).chain(
            events
                .iter()
                .map(|event| format!("data: {event}\n\n"))
                .map(|data| format!("{:x}\r\n{data}\r\n", data.len())),
        );
        for packet in packets {
            if stream.write_all(packet.as_bytes()).await.is_err() {
                return;
            }
        }
        if ends {
            if stream.write_all(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n").await.is_err() {
                return;
            }
        } else {
            while matches!(stream.read(&mut [0; 64]).await, Ok(1..)) {}
            let _ = hung_up.send(());
            return;
        }
    }
}

/// The path and the body of the next request; `None` when the other end is gone.
async fn request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok())
                .unwrap_or(0);
            if bytes.len() >= at + 4 + length {
                let body = String::from_utf8(bytes[at + 4..at + 4 + length].to_vec()).unwrap();
                bytes.drain(..at + 4 + length);
                return Some((head.split(' ').nth(1).unwrap().to_owned(), body));
            }
        }
        let mut buffer = [0; 4_096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}
