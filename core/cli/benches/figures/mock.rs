//! A cheap upstream, so that a figure shows the cost of the router in front of it. It has one thread for each
//! processor, raw sockets, and answers that are written beforehand.
//!
//! The `user` of a request chooses the form of the answer, see [`Mode`]: a router passes this field on, and only looks
//! at the model. For a router that does not, the model chooses it, too.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Outcome;
use crate::wire;

/// The number of events in a stream, including `[DONE]`.
pub(crate) const FRAMES: usize = 23;
/// The milliseconds between two frames of a paced stream.
pub(crate) const PACE_MS: u64 = 5;
/// The milliseconds between two frames of a stream whose frames carry the time.
pub(crate) const STAMP_MS: u64 = 20;
/// The number of frames in a stream that comes as fast as it is read.
pub(crate) const FLOOD_FRAMES: usize = 2_000;
/// The number of frames of the flood in one write.
const FLOOD_WRITE: usize = 20;
/// The bytes at either end of a request in which the mock looks for its fields.
const LOOK: usize = 2_048;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// An answer at once: whole, or as a stream in one write.
    Mock,
    /// One frame in each [`PACE_MS`].
    Paced,
    /// One frame, and then silence until the caller hangs up.
    Held,
    /// Silence until the caller hangs up.
    Silent,
    /// Frames without end that carry the time at which they were written.
    Stamped,
    /// [`FLOOD_FRAMES`] frames as fast as they are read.
    Flood,
    /// A whole answer whose text has that many bytes.
    Sized(usize),
    /// A frame, and another one each time that so many milliseconds have passed, without end.
    Every(u64),
}

impl Mode {
    /// The forms without a number.
    const PLAIN: [(Self, &'static str); 6] = [
        (Self::Mock, "mock"),
        (Self::Paced, "paced"),
        (Self::Held, "held"),
        (Self::Silent, "silent"),
        (Self::Stamped, "stamped"),
        (Self::Flood, "flood"),
    ];

    /// The `user` that requests this form.
    pub(crate) fn user(self) -> String {
        match self {
            Self::Sized(bytes) => format!("sized-{bytes}"),
            Self::Every(millis) => format!("every-{millis}"),
            plain => Self::PLAIN.iter().find(|(mode, _)| *mode == plain).map_or("mock", |(_, user)| user).to_owned(),
        }
    }

    fn of(request: &[u8]) -> Self {
        let field = |name: &[u8]| wire::find(request, name).map(|at| &request[at + name.len()..]);
        let user = field(b"\"user\":\"").or_else(|| field(b"\"model\":\"")).unwrap_or_default();
        let user = user.split(|byte| *byte == b'"').next().and_then(|user| std::str::from_utf8(user).ok());
        let user = user.unwrap_or_default();
        let number = |name: &str| user.strip_prefix(name).and_then(|digits| digits.parse().ok());
        if let Some(bytes) = number("sized-") {
            return Self::Sized(bytes);
        }
        if let Some(millis) = number("every-") {
            return Self::Every(millis as u64);
        }
        Self::PLAIN.into_iter().find(|(_, word)| user == *word).map_or(Self::Mock, |(mode, _)| mode)
    }
}

/// The usual prompt.
pub(crate) const PROMPT: &str = "Name the three largest rivers of Africa, one a line, and nothing else.";

/// The body of a chat request that is answered in this form.
pub(crate) fn chat(mode: Mode, stream: bool) -> String {
    chat_of("mock", mode, stream, PROMPT)
}

/// The body of a chat request with this model and this prompt, which must need no escapes. The fields that the mock
/// looks for come before the prompt.
pub(crate) fn chat_of(model: &str, mode: Mode, stream: bool, prompt: &str) -> String {
    let user = mode.user();
    format!(
        r#"{{"model":"{model}","user":"{user}","stream":{stream},"temperature":0.2,"max_tokens":64,"messages":[{{"role":"system","content":"You are terse."}},{{"role":"user","content":"{prompt}"}}]}}"#
    )
}

/// Nanoseconds since the first call. Writers and readers of frames share this clock.
pub(crate) fn clock() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// The upstream, which runs until the process ends.
pub(crate) struct Mock {
    pub(crate) address: SocketAddr,
    /// The time of each hang-up of a caller on an unfinished answer.
    pub(crate) hang_ups: Receiver<Instant>,
    /// The arrival of each request with a mode other than [`Mode::Mock`].
    pub(crate) arrivals: Receiver<Instant>,
}

/// The answers that all connections share.
struct Answers {
    unary: Bytes,
    head: Bytes,
    burst: Bytes,
    frames: Vec<Bytes>,
    flood: Bytes,
    models: Bytes,
    health: Bytes,
    /// The answers of each size that was asked for.
    sized: Mutex<BTreeMap<usize, Bytes>>,
    hang_ups: Sender<Instant>,
    arrivals: Sender<Instant>,
}

impl Mock {
    /// Starts the upstream with that number of threads on one port.
    pub(crate) fn start(threads: usize) -> Outcome<Self> {
        let (hang_ups, hung_up) = channel();
        let (arrivals, arrived) = channel();
        let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        for _ in 0..threads {
            let listener = listen(address).map_err(|error| format!("the mock upstream cannot listen: {error}"))?;
            address = listener.local_addr().map_err(|error| error.to_string())?;
            let answers: &'static Answers = Box::leak(Box::new(Answers::new(hang_ups.clone(), arrivals.clone())));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let Ok(runtime) = runtime else { return };
                runtime.block_on(async move {
                    let Ok(listener) = TcpListener::from_std(listener) else { return };
                    while let Ok((socket, _)) = listener.accept().await {
                        tokio::spawn(answers.serve(socket));
                    }
                });
            });
        }
        Ok(Self { address, hang_ups: hung_up, arrivals: arrived })
    }

    /// Forgets the recorded arrivals and hang-ups.
    pub(crate) fn forget(&self) {
        while self.hang_ups.try_recv().is_ok() || self.arrivals.try_recv().is_ok() {}
    }
}

fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(8_192)?;
    Ok(socket.into())
}

fn completion(content: &str) -> String {
    format!(
        "{{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"mock\",\"choices\":[{{\"index\":0,\"message\":{{\"role\":\"assistant\",\"content\":\"{content}\"}},\"logprobs\":null,\"finish_reason\":\"stop\"}}],\"usage\":{{\"prompt_tokens\":31,\"completion_tokens\":9,\"total_tokens\":40}}}}"
    )
}

/// A whole answer whose text has that many bytes: words, with a line break now and then, as answers have.
fn sized(bytes: usize) -> Bytes {
    let words = "a river of words that goes on, and on;\\n";
    let text = words.repeat(bytes / words.len() + 1);
    let end = bytes.min(text.len());
    // A cut must not leave half of an escape.
    whole("200 OK", &completion(text[..end].trim_end_matches('\\')))
}

fn chunk(content: &str, finish: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-mock\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"mock\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

/// One chunk of HTTP's chunked encoding.
fn framed(data: &str) -> Bytes {
    Bytes::from(format!("{:x}\r\n{data}\r\n", data.len()))
}

fn whole(status: &str, body: &str) -> Bytes {
    Bytes::from(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

impl Answers {
    fn new(hang_ups: Sender<Instant>, arrivals: Sender<Instant>) -> Self {
        let mut frames: Vec<Bytes> =
            (0..FRAMES - 2).map(|index| framed(&chunk(&format!(" word{index}"), "null"))).collect();
        frames.push(framed(&chunk("", "\"stop\"")));
        frames.push(framed("data: [DONE]\n\n"));
        let head = Bytes::from_static(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n",
        );
        let mut burst = head.to_vec();
        for frame in &frames {
            burst.extend_from_slice(frame);
        }
        burst.extend_from_slice(b"0\r\n\r\n");
        Self {
            unary: whole("200 OK", &completion("Nile\\nCongo\\nNiger")),
            flood: framed(&chunk(" flood", "null")).repeat(FLOOD_WRITE).into(),
            sized: Mutex::default(),
            models: whole("200 OK", r#"{"object":"list","data":[{"id":"mock","object":"model"}]}"#),
            health: whole("200 OK", "{}"),
            head,
            burst: burst.into(),
            frames,
            hang_ups,
            arrivals,
        }
    }

    async fn serve(&self, mut socket: TcpStream) {
        if socket.set_nodelay(true).is_err() {
            return;
        }
        let mut buffer = Vec::with_capacity(16 << 10);
        loop {
            let length = loop {
                if let Some(length) = wire::request_length(&buffer) {
                    break length;
                }
                match socket.read_buf(&mut buffer).await {
                    Ok(read) if read > 0 => {}
                    _ => return,
                }
            };
            let request = &buffer[..length];
            let done = if request.starts_with(b"POST ") {
                // A router may write its own fields last. A long prompt between is not searched.
                let ends = [&request[..length.min(LOOK)], &request[length.saturating_sub(LOOK)..]];
                let stream = ends.iter().any(|end| wire::find(end, b"\"stream\":true").is_some());
                let mode = ends.iter().map(|end| Mode::of(end)).find(|mode| *mode != Mode::Mock);
                self.answer(&mut socket, mode.unwrap_or(Mode::Mock), stream).await
            } else if wire::find(request, b"/models ").is_some() {
                socket.write_all(&self.models).await
            } else if wire::find(request, b"/health ").is_some() {
                socket.write_all(&self.health).await
            } else {
                socket.write_all(&whole("404 Not Found", "{}")).await
            };
            if done.is_err() {
                return;
            }
            buffer.drain(..length);
        }
    }

    async fn answer(&self, socket: &mut TcpStream, mode: Mode, stream: bool) -> io::Result<()> {
        if !matches!(mode, Mode::Mock | Mode::Sized(_)) {
            // The receiver may be gone, because its figure is over.
            let _ = self.arrivals.send(Instant::now());
        }
        match mode {
            Mode::Mock if stream => socket.write_all(&self.burst).await,
            Mode::Mock => socket.write_all(&self.unary).await,
            Mode::Paced => {
                socket.write_all(&self.head).await?;
                for frame in &self.frames {
                    socket.write_all(frame).await?;
                    tokio::time::sleep(Duration::from_millis(PACE_MS)).await;
                }
                socket.write_all(b"0\r\n\r\n").await
            }
            Mode::Held => {
                socket.write_all(&self.head).await?;
                socket.write_all(&self.frames[0]).await?;
                self.until_hang_up(socket).await
            }
            Mode::Silent => self.until_hang_up(socket).await,
            Mode::Stamped => {
                socket.write_all(&self.head).await?;
                let mut ticks = tokio::time::interval(Duration::from_millis(STAMP_MS));
                loop {
                    ticks.tick().await;
                    socket.write_all(&framed(&chunk(&format!("@{}@", clock()), "null"))).await?;
                }
            }
            Mode::Sized(bytes) => {
                let answer = self.sized.lock().entry(bytes).or_insert_with(|| sized(bytes)).clone();
                socket.write_all(&answer).await
            }
            Mode::Every(millis) => {
                socket.write_all(&self.head).await?;
                let mut ticks = tokio::time::interval(Duration::from_millis(millis));
                loop {
                    ticks.tick().await;
                    socket.write_all(&self.frames[0]).await?;
                }
            }
            Mode::Flood => {
                socket.write_all(&self.head).await?;
                for _ in 0..FLOOD_FRAMES / FLOOD_WRITE {
                    socket.write_all(&self.flood).await?;
                }
                socket.write_all(&self.frames[FRAMES - 2]).await?;
                socket.write_all(&self.frames[FRAMES - 1]).await?;
                socket.write_all(b"0\r\n\r\n").await
            }
        }
    }

    async fn until_hang_up(&self, socket: &mut TcpStream) -> io::Result<()> {
        let mut rest = [0; 256];
        while matches!(socket.read(&mut rest).await, Ok(read) if read > 0) {}
        let _ = self.hang_ups.send(Instant::now());
        Err(io::ErrorKind::ConnectionReset.into())
    }
}
