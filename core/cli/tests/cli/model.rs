//! A model server that sends one word at once, and the rest when the test tells it to.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::command::PATIENCE;
use crate::request::Request;

pub(crate) struct Model {
    port: u16,
    requests: Receiver<()>,
    hang_ups: Receiver<()>,
    rest: Sender<String>,
}

struct Ends {
    request: Sender<()>,
    hang_up: Sender<()>,
    rest: Mutex<Receiver<String>>,
}

impl Model {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ((request, requests), (hang_up, hang_ups), (rest, texts)) = (channel(), channel(), channel());
        let ends = Arc::new(Ends { request, hang_up, rest: Mutex::new(texts) });
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let ends = Arc::clone(&ends);
                thread::spawn(move || answer(stream, &ends));
            }
        });
        Self { port, requests, hang_ups, rest }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Waits until the server has a request for a completion and has sent its first word.
    pub(crate) fn wait_for_request(&self) {
        self.requests.recv_timeout(PATIENCE).expect("no request came");
    }

    /// Waits until a caller goes away before its answer is complete.
    pub(crate) fn wait_for_hang_up(&self) {
        self.hang_ups.recv_timeout(PATIENCE).expect("nobody hung up");
    }

    /// Sends the rest of the answer, and its end.
    pub(crate) fn answer(&self, rest: &str) {
        self.rest.send(rest.to_owned()).unwrap();
    }
}

fn answer(stream: TcpStream, ends: &Ends) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let request = Request::read(&mut reader)?;
        if request.head.starts_with("get ") {
            let list = r#"{"object":"list","data":[{"id":"mock-model","object":"model"}]}"#;
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{list}",
                list.len()
            )
            .ok()?;
            continue;
        }
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n").ok()?;
        piece(&mut stream, "first", "null")?;
        ends.request.send(()).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(10))).ok()?;
        loop {
            if let Ok(rest) = ends.rest.lock().ok()?.try_recv() {
                piece(&mut stream, &rest, "\"stop\"")?;
                stream.write_all(b"data: [DONE]\n\n").ok()?;
                return Some(());
            }
            match stream.read(&mut [0; 64]) {
                Ok(0) => return ends.hang_up.send(()).ok(),
                Err(e) if !matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                    return ends.hang_up.send(()).ok();
                }
                _ => {}
            }
        }
    }
}

/// Writes a chunk that suits chats and plain completions, because each reads its own field.
fn piece(stream: &mut TcpStream, text: &str, finish: &str) -> Option<()> {
    let chunk = format!(
        r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"mock-model","choices":[{{"index":0,"text":"{text}","delta":{{"content":"{text}"}},"finish_reason":{finish}}}]}}"#
    );
    write!(stream, "data: {chunk}\n\n").ok()
}
