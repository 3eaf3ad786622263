//! A model server that outlives the router. It takes some time for each answer and never repeats one, so that a task
//! which is worked on twice shows in its result. Every answer names its prompt. It streams if it is asked to.

use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::answer::read_head;
use cortensor_router_testkit::random::Random;

/// The greatest number of milliseconds for an answer of a quick server.
pub(crate) const QUICK: u64 = 40;

/// The server. Its threads end with the test's process.
pub(crate) struct Upstream {
    port: u16,
}

impl Upstream {
    /// Starts the server on a free port. `slowest`: the greatest number of milliseconds for an answer, and for two words
    /// of one that streams.
    pub(crate) fn start(seed: u64, slowest: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let answers = Arc::new(AtomicU64::new(0));
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (Ok(stream), answers) = (stream, Arc::clone(&answers)) else { continue };
                let chance = Random::new(seed ^ connection as u64);
                // A router that was killed leaves broken connections behind, whose threads end by themselves.
                thread::spawn(move || serve(&stream, &answers, chance, slowest));
            }
        });
        Self { port }
    }

    /// The port on which the server listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

fn serve(stream: &TcpStream, answers: &AtomicU64, mut chance: Random, slowest: u64) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let head = read_head(&mut reader)?.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        let answer = if head.starts_with("get ") {
            json!({"object": "list", "data": [{"id": "mock", "object": "model"}]})
        } else {
            let request: Value = serde_json::from_slice(&body).ok()?;
            let number = answers.fetch_add(1, Ordering::SeqCst);
            if request["stream"] == true {
                write_pieces(stream, &request, number, (&mut chance, slowest))?;
                continue;
            }
            thread::sleep(Duration::from_millis(chance.below(slowest)));
            complete(&request, number)
        };
        let body = answer.to_string();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut writer = stream;
        writer.write_all(format!("{head}{body}").as_bytes()).ok()?;
    }
}

/// Writes an answer as a stream, one word for each event, with some time before each.
fn write_pieces(
    mut stream: &TcpStream,
    request: &Value,
    number: u64,
    (chance, slowest): (&mut Random, u64),
) -> Option<()> {
    let is_chat = request.get("messages").is_some();
    let event = |text: &str, finish_reason: Value| {
        let mut choice = json!({"index": 0, "finish_reason": finish_reason});
        if is_chat {
            choice["delta"] = json!({"content": text});
        } else {
            choice["text"] = json!(text);
        }
        let object = if is_chat { "chat.completion.chunk" } else { "text_completion" };
        format!(
            "data: {}\n\n",
            json!({"id": "x", "object": object, "created": 1, "model": "mock", "choices": [choice]})
        )
    };
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        .ok()?;
    let mut write = |text: &str| stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).ok();
    let answer = text_of(request, number);
    for word in answer.split_inclusive(' ') {
        thread::sleep(Duration::from_millis(chance.below(slowest / 2)));
        write(&event(word, Value::Null))?;
    }
    write(&event("", json!("stop")))?;
    write("data: [DONE]\n\n")?;
    stream.write_all(b"0\r\n\r\n").ok()
}

fn text_of(request: &Value, number: u64) -> String {
    let prompt = match request["messages"].as_array().and_then(|messages| messages.last()) {
        Some(message) => &message["content"],
        None => &request["prompt"],
    };
    format!("answer {number} to {}", prompt.as_str().unwrap_or_default())
}

fn complete(request: &Value, number: u64) -> Value {
    let chat = request.get("messages").is_some();
    let text = text_of(request, number);
    let mut choice = json!({"index": 0, "finish_reason": "stop"});
    if chat {
        choice["message"] = json!({"role": "assistant", "content": text});
    } else {
        choice["text"] = json!(text);
    }
    json!({
        "id": "x", "object": if chat { "chat.completion" } else { "text_completion" }, "created": 1, "model": "mock",
        "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    })
}
