//! An answer of the router as it comes over a connection that may break at any byte.

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;

use serde_json::Value;

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body.
    pub(crate) body: Value,
}

/// One event of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// The number, if it has one.
    pub(crate) id: Option<u64>,
    /// The data.
    pub(crate) data: String,
}

/// Reads the head of a request or of an answer. Gives `None` if it is not complete.
pub(crate) fn read_head(reader: &mut impl BufRead) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if reader.read_until(b'\n', &mut head).ok()? == 0 {
            return None;
        }
    }
    String::from_utf8(head).ok()
}

/// An answer whose head has come.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The bytes of the body; `None`: it comes in chunks.
    length: Option<usize>,
    reader: BufReader<TcpStream>,
    /// The part of a stream that is not read as events yet.
    text: String,
}

impl Answer {
    /// Reads the head. Gives `None` if it is not complete.
    pub(crate) fn read(stream: TcpStream) -> Option<Self> {
        let mut reader = BufReader::new(stream);
        let head = read_head(&mut reader)?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        Some(Self { status, length, reader, text: String::new() })
    }

    /// Reads the body. Gives `None` if it is not complete.
    pub(crate) fn whole(mut self) -> Option<Reply> {
        let mut body = vec![0; self.length?];
        self.reader.read_exact(&mut body).ok()?;
        Some(Reply { status: self.status, body: serde_json::from_slice(&body).ok()? })
    }

    /// Reads a body that is no JSON. Gives `None` if it is not complete.
    #[cfg(feature = "postgres")]
    pub(crate) fn text(mut self) -> Option<String> {
        let Some(length) = self.length else {
            while let Some(chunk) = self.chunk() {
                self.text.push_str(&chunk);
            }
            return Some(self.text);
        };
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body).ok()?;
        String::from_utf8(body).ok()
    }

    /// Reads the next event. Gives `None` at the end of the stream, or if the connection breaks. Comments are skipped.
    pub(crate) fn event(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let lines: String = self.text.drain(..end + 2).collect();
                let mut event = Event { id: None, data: String::new() };
                for line in lines.lines() {
                    if let Some(id) = line.strip_prefix("id: ") {
                        event.id = id.parse().ok();
                    } else if let Some(data) = line.strip_prefix("data: ") {
                        event.data.push_str(data);
                    }
                }
                if !event.data.is_empty() {
                    return Some(event);
                }
            }
            let chunk = self.chunk()?;
            self.text.push_str(&chunk);
        }
    }

    fn chunk(&mut self) -> Option<String> {
        let mut size = String::new();
        self.reader.read_line(&mut size).ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok().filter(|size| *size > 0)?;
        let mut chunk = vec![0; size + 2];
        self.reader.read_exact(&mut chunk).ok()?;
        chunk.truncate(size);
        // The words of an answer are ASCII, so no chunk ends inside a character.
        String::from_utf8(chunk).ok()
    }
}
