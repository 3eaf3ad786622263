//! The small part of HTTP/1.1 that a client and a server of known messages need.

use std::net::SocketAddr;

use bytes::Bytes;

/// The position at which `needle` begins.
pub(crate) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + hay[from..].iter().position(|byte| *byte == first)?;
        if hay[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The position at which the body begins, and its length by the head; `None` for a chunked body.
fn head(message: &[u8]) -> Option<(usize, Option<usize>)> {
    let end = find(message, b"\r\n\r\n")?;
    let length = message[..end].split(|byte| *byte == b'\n').find_map(|line| {
        let value = line.get(..15).filter(|name| name.eq_ignore_ascii_case(b"content-length:")).map(|_| &line[15..])?;
        std::str::from_utf8(value).ok()?.trim().parse().ok()
    });
    Some((end + 4, length))
}

/// The length of the first request, once it is complete. A request without a length has no body.
pub(crate) fn request_length(message: &[u8]) -> Option<usize> {
    let (body, length) = head(message)?;
    let whole = body + length.unwrap_or(0);
    (message.len() >= whole).then_some(whole)
}

/// Whether the bytes are one complete answer. A chunked answer ends with the empty chunk.
pub(crate) fn is_whole(message: &[u8]) -> bool {
    match head(message) {
        None => false,
        Some((body, Some(length))) => message.len() >= body + length,
        Some((body, None)) => &message[body..] == b"0\r\n\r\n" || message.ends_with(b"\r\n0\r\n\r\n"),
    }
}

/// Whether the status is 200.
pub(crate) fn is_ok(message: &[u8]) -> bool {
    message.get(9..12) == Some(b"200")
}

/// The number of times that `needle` occurs.
pub(crate) fn count(mut hay: &[u8], needle: &[u8]) -> usize {
    let mut found = 0;
    while let Some(at) = find(hay, needle) {
        found += 1;
        hay = &hay[at + needle.len()..];
    }
    found
}

/// Extracts the data of a chunked body that arrives in pieces of any size.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// Whether the head of the answer has been read.
    begun: bool,
    /// The bytes of the present chunk that are still to come, including its line end.
    left: usize,
    /// A head or a size line that is not complete yet.
    line: Vec<u8>,
}

impl Chunks {
    /// Appends the data of the next bytes to `out`.
    pub(crate) fn take(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let data = bytes.len().min(self.left);
                out.extend_from_slice(&bytes[..data.min(self.left.saturating_sub(2))]);
                self.left -= data;
                bytes = &bytes[data..];
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
            self.line.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end..];
            if !self.begun {
                self.begun = self.line.ends_with(b"\r\n\r\n");
                if self.begun {
                    self.line.clear();
                }
            } else if self.line.ends_with(b"\n") {
                let size = std::str::from_utf8(&self.line).unwrap_or_default().trim();
                self.left = usize::from_str_radix(size, 16).map_or(0, |size| if size == 0 { 0 } else { size + 2 });
                self.line.clear();
            }
        }
    }
}

/// The data of one complete chunked answer.
pub(crate) fn body(answer: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(answer.len());
    Chunks::default().take(answer, &mut out);
    out
}

/// The path of chats.
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// A request for a chat, with the token that a router requires.
pub(crate) fn post(address: SocketAddr, body: &str) -> Bytes {
    post_to(address, CHAT, body)
}

/// A request that posts JSON, with the token that a router requires.
pub(crate) fn post_to(address: SocketAddr, path: &str, body: &str) -> Bytes {
    Bytes::from(format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nuser-agent: figures\r\naccept: */*\r\nauthorization: Bearer default-dev-token\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}
