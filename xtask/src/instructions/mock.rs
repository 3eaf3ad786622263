//! An upstream that always gives the same answer. It runs beside valgrind, so that only the router is counted.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The longest time for which a piece waits for the one before it. A router may join two pieces.
const PATIENCE: Duration = Duration::from_millis(50);

/// Starts the upstream on a free port. It ends with the process. Where a request wants pieces one by one, each waits for
/// a message.
pub(super) fn start() -> std::io::Result<(SocketAddr, Sender<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (sender, next) = channel();
    let next = Arc::new(Mutex::new(next));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let next = Arc::clone(&next);
            // A client that goes away ends its connection; nothing depends on the others.
            std::thread::spawn(move || drop(serve(&stream, &next)));
        }
    });
    Ok((address, sender))
}

fn serve(stream: &TcpStream, next: &Mutex<Receiver<()>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    loop {
        let (mut first, mut line, mut length) = (String::new(), String::new(), 0);
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line)?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = String::new();
        reader.by_ref().take(length).read_to_string(&mut body)?;
        if body.contains("\"user\":\"paced\"") {
            let (head, pieces) = stream_of(pieces_in(&body));
            writer.write_all(head.as_bytes())?;
            let next = next.lock().map_err(|_| std::io::Error::other("a thread panicked"))?;
            while next.try_recv().is_ok() {}
            for piece in &pieces {
                writer.write_all(piece.as_bytes())?;
                // Without a message in time, the piece was joined with another one.
                let _ = next.recv_timeout(PATIENCE);
            }
            continue;
        }
        let answer = if first.starts_with("GET") {
            whole(r#"{"object":"list","data":[{"id":"m","object":"model"}]}"#)
        } else if body.contains("\"stream\":true") {
            let (head, pieces) = stream_of(pieces_in(&body));
            head + &pieces.concat()
        } else {
            whole(&format!(
                r#"{{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":3,"completion_tokens":16,"total_tokens":19}}}}"#,
                "hello there ".repeat(8)
            ))
        };
        writer.write_all(answer.as_bytes())?;
    }
}

/// The number of pieces that a request asks for: its `max_tokens`.
fn pieces_in(body: &str) -> usize {
    let digits = body.split_once("\"max_tokens\":").map_or("", |(_, rest)| rest);
    digits.split(|letter: char| !letter.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn whole(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A stream, as its head and its chunks: the role, so many pieces, the end.
fn stream_of(pieces: usize) -> (String, Vec<String>) {
    let event = |delta: &str, reason: &str| {
        format!(
            "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":\
             [{{\"index\":0,\"delta\":{delta},\"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    let words = (0..pieces).map(|piece| event(&format!("{{\"content\":\"word{piece} \"}}"), "null"));
    let events = std::iter::once(event("{\"role\":\"assistant\"}", "null"))
        .chain(words)
        .chain([event("{}", "\"stop\""), "data: [DONE]\n\n".to_owned()]);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunks = events.map(|event| format!("{:x}\r\n{event}\r\n", event.len()));
    (head.to_owned(), chunks.chain(["0\r\n\r\n".to_owned()]).collect())
}
