//! Reads server-sent events: the data of each event, whatever the division of the bytes into packets.

use std::fmt::Display;

use bytes::{Buf as _, Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;

use crate::exit::{Done, Exit};

/// The greatest length of a line in bytes, equal to that of an answer.
pub(crate) const MAX_LINE: usize = 64 << 20;

/// The data lines of an event stream.
pub(crate) struct Events<B> {
    body: B,
    lines: Lines,
}

impl<B: Body<Data = Bytes, Error: Display> + Unpin> Events<B> {
    pub(crate) fn new(body: B) -> Self {
        Self { body, lines: Lines::default() }
    }

    /// Reads the next event's data; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Done<Option<Bytes>> {
        loop {
            if let Some(data) = self.lines.next_data() {
                return Ok(Some(data));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.lines.push(&bytes)?;
                    }
                }
                Some(Err(e)) => {
                    return Err(Exit::new(6, format!("the connection broke in the middle of the answer: {e}")));
                }
            }
        }
    }
}

/// A buffer that divides bytes into lines.
#[derive(Debug, Default)]
struct Lines {
    buffer: BytesMut,
    /// The part of the buffer that is known to hold no line end.
    searched: usize,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Done {
        if self.buffer.len() + bytes.len() > MAX_LINE {
            return Err(Exit::failed("the router sent a line that is too long"));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn next_data(&mut self) -> Option<Bytes> {
        loop {
            let Some(end) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') else {
                self.searched = self.buffer.len();
                return None;
            };
            let mut line = self.buffer.split_to(self.searched + end + 1).freeze();
            self.searched = 0;
            while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                line.truncate(line.len() - 1);
            }
            if line.starts_with(b"data:") {
                line.advance(if line.get(5) == Some(&b' ') { 6 } else { 5 });
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_whole_however_the_bytes_are_split() {
        let text = ": ping\r\n\r\nid: 1\ndata: {\"a\":\"ü\"}\n\ndata:[DONE]\r\n\r\n";
        for size in 1..text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for piece in text.as_bytes().chunks(size) {
                lines.push(piece).unwrap();
                while let Some(data) = lines.next_data() {
                    found.push(String::from_utf8(data.to_vec()).unwrap());
                }
            }
            assert_eq!(found, ["{\"a\":\"ü\"}", "[DONE]"], "{size}");
        }
    }
}
