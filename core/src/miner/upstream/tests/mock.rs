//! A server on loopback that does what a test tells it, to the byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

/// What the server does once it has read a request.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Waits for [`Mock::go_on`].
    Wait,
    /// Hangs up.
    Close,
    /// Waits until the other end hangs up, and says so to [`Mock::hung_up`].
    Hang,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) body: String,
}

type Script = Arc<dyn Fn(&Seen) -> Vec<Step> + Send + Sync>;

pub(super) struct Mock {
    pub(super) url: String,
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

impl Mock {
    /// A server that plays that script to every request.
    pub(super) async fn new(script: impl Fn(&Seen) -> Vec<Step> + Send + Sync + 'static) -> Self {
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

    /// One that sends each of these to every request.
    pub(super) async fn saying(pieces: &[&[u8]]) -> Self {
        let steps: Vec<Step> = pieces.iter().map(|piece| Step::Send(piece.to_vec())).collect();
        Self::new(move |_| steps.clone()).await
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Ends one `Wait`.
    pub(super) fn go_on(&self) {
        self.state.permits.add_permits(1);
    }

    /// Waits until a connection that hangs was closed by the other end.
    pub(super) async fn hung_up(&self) {
        crate::miner::recorder::within(async { self.hung_up.lock().await.recv().await }).await.unwrap();
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
        state.seen.lock().push(seen.clone());
        for step in (state.script)(&seen) {
            match step {
                Step::Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Step::Wait => state.permits.acquire().await.unwrap().forget(),
                Step::Close => return,
                Step::Hang => {
                    // Anything but data is the other end's hanging up: its end, or a reset.
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

/// A whole answer with that status and body.
pub(super) fn json(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// The head of a stream without a length: it ends with the connection or, in chunks, by itself.
pub(super) fn sse_head(chunked: bool) -> Vec<u8> {
    let coding = if chunked { "Transfer-Encoding: chunked\r\n" } else { "" };
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n{coding}\r\n").into_bytes()
}

/// A chunk of a chunked body.
pub(super) fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}
