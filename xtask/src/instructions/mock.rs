//! An upstream that always gives the same answer. It runs beside valgrind, so that only the router is counted.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

/// Starts the upstream on a free port. It ends with the process.
pub(super) fn start() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away ends its connection; nothing depends on the others.
            std::thread::spawn(move || drop(serve(&stream)));
        }
    });
    Ok(address)
}

fn serve(stream: &TcpStream) -> std::io::Result<()> {
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
        let answer = if first.starts_with("GET") {
            whole(r#"{"object":"list","data":[{"id":"m","object":"model"}]}"#)
        } else if body.contains("\"stream\":true") {
            stream_of(pieces_in(&body))
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

/// A stream: the role, so many pieces, the end. Each event is a chunk of the body, and all of them come at once.
fn stream_of(pieces: usize) -> String {
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
    let mut out = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    for event in events {
        // Writing to a string cannot fail.
        let _ = write!(out, "{:x}\r\n{event}\r\n", event.len());
    }
    out + "0\r\n\r\n"
}
