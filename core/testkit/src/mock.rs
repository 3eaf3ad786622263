//! A server that plays a script byte by byte.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// One step of the script after the server has read a request.
#[derive(Debug, Clone)]
pub enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Waits for [`Mock::go_on`].
    Wait,
    /// Waits for that number of milliseconds.
    Pause(u64),
    /// Closes the connection.
    Close,
    /// Waits until the other end hangs up, and reports that to [`Mock::hung_up`].
    Hang,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The request line and the head lines.
    pub head: String,
    /// The body, as text.
    pub body: String,
}

impl Seen {
    /// The path of the request.
    pub fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

type Script = Arc<dyn Fn(&Seen) -> Vec<Step> + Send + Sync>;

/// A server that plays a script.
pub struct Mock {
    /// The base URL, which ends with `/v1`.
    pub url: String,
    state: Arc<State>,
    server: tokio::task::JoinHandle<()>,
    hung_up: tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
}

struct State {
    script: Script,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    permits: Semaphore,
    hung_up: mpsc::UnboundedSender<()>,
}

impl std::fmt::Debug for Mock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mock").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Mock {
    /// Starts a server that plays that script for every request.
    pub async fn new(script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (told, hung_up) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            script: Arc::new(script),
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            permits: Semaphore::new(0),
            hung_up: told,
        });
        let serving = Arc::clone(&state);
        let server = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                serving.connections.fetch_add(1, Ordering::SeqCst);
                connections.spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { url, state, server, hung_up: tokio::sync::Mutex::new(hung_up) }
    }

    /// Starts a server that sends these pieces for every request.
    pub async fn saying(pieces: &[&[u8]]) -> Self {
        let steps: Vec<Step> = pieces.iter().map(|piece| Step::Send(piece.to_vec())).collect();
        Self::new(move |_| steps.clone()).await
    }

    /// The requests so far, oldest first.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The number of connections so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Ends one [`Step::Wait`].
    pub fn go_on(&self) {
        self.state.permits.add_permits(1);
    }

    /// Waits until the other end has closed a connection in [`Step::Hang`].
    pub async fn hung_up(&self) {
        crate::time::within(async { self.hung_up.lock().await.recv().await }).await.unwrap();
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    let mut bytes = Vec::new();
    while let Some(seen) = read_request(&mut stream, &mut bytes).await {
        state.seen.lock().unwrap().push(seen.clone());
        for step in (state.script)(&seen) {
            match step {
                Step::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::Wait => state.permits.acquire().await.unwrap().forget(),
                Step::Pause(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
                Step::Close => return,
                Step::Hang => {
                    // The other end has hung up when a read gives no data: at its end, or at a reset.
                    while matches!(stream.read(&mut [0; 64]).await, Ok(1..)) {}
                    let _ = state.hung_up.send(());
                    return;
                }
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<Seen> {
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
                return Some(Seen { head, body });
            }
        }
        let mut buffer = [0; 4_096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A complete answer with that status and a JSON body.
pub fn json(status: &str, body: &str) -> Vec<u8> {
    whole(status, "application/json", body.as_bytes())
}

/// A complete answer with that status, type and body.
pub fn whole(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// The head of a stream without a length. The stream ends with the connection or, if it is chunked, with its last
/// chunk.
pub fn sse_head(chunked: bool) -> Vec<u8> {
    let coding = if chunked { "Transfer-Encoding: chunked\r\n" } else { "" };
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n{coding}\r\n").into_bytes()
}

/// One chunk of a chunked body.
pub fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}
