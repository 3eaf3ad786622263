//! Receives the answers of one connection out of its bytes, wherever the bytes are cut. It needs no socket.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr_iter;

use super::body::{Body, Broken};
use super::head::{Garbage, Head};

/// The first bytes of a head, which are parsed whenever more of them come: bytes of another protocol are known by them.
const FIRST: usize = 16;

/// The bounds of what is read besides data.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The lines of a head.
    pub(super) lines: usize,
    /// The bytes of a head with those that announce it, of the extensions of one chunk, and of the trailers.
    pub(super) bytes: usize,
}

/// The place in the answers of a connection, and the bytes of them that were read and not taken.
#[derive(Debug)]
pub(super) struct Receiver {
    bounds: Bounds,
    unread: Bytes,
    /// A head that has come in part.
    partial: BytesMut,
    /// The bytes of `partial` in which no end of the head was found.
    seen: usize,
    /// The bytes of the heads that only announced the next one.
    announced: usize,
    body: Body,
    /// Whether another answer may come over the connection.
    keeps: bool,
}

impl Receiver {
    /// The receiver of a new connection.
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            unread: Bytes::new(),
            partial: BytesMut::new(),
            seen: 0,
            announced: 0,
            body: Body::Ended,
            keeps: true,
        }
    }

    /// Takes the next bytes of the connection.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.unread = if self.unread.is_empty() { bytes } else { [&self.unread[..], &bytes[..]].concat().into() };
    }

    /// The head of the next answer; `None`: more bytes are needed. Heads that only announce another one are skipped, and
    /// count with it against the bound.
    pub(super) fn head(&mut self) -> Result<Option<Head>, Garbage> {
        loop {
            let is_partial = !self.partial.is_empty();
            if is_partial {
                self.partial.extend_from_slice(&std::mem::take(&mut self.unread));
                skip_blank_lines(&mut self.partial);
            } else {
                skip_blank_lines(&mut self.unread);
            }
            let bytes = if is_partial { &self.partial[..] } else { &self.unread[..] };
            // A long head that comes byte by byte is not parsed for each byte.
            let is_hopeless = self.seen > FIRST && !has_blank_line(&bytes[self.seen.min(bytes.len())..]);
            let read = if bytes.is_empty() || is_hopeless { None } else { Head::read(bytes, self.bounds.lines)? };
            let length = read.as_ref().map_or(bytes.len(), |(length, _)| *length);
            if length.saturating_add(self.announced) > self.bounds.bytes {
                let most = self.bounds.bytes;
                return Err(Garbage(format!("its head has more than max_answer_head_bytes = {most} bytes").into()));
            }
            // The end of a head is at most three bytes long, and the last two may have come without the first.
            self.seen = bytes.len().saturating_sub(2);
            let Some((length, head)) = read else {
                if !is_partial {
                    self.partial.extend_from_slice(&std::mem::take(&mut self.unread));
                }
                return Ok(None);
            };
            self.seen = 0;
            if is_partial {
                self.unread = std::mem::take(&mut self.partial).freeze();
            }
            self.unread.advance(length);
            match head {
                Some(head) => {
                    (self.body, self.keeps, self.announced) = (head.body, head.keeps, 0);
                    return Ok(Some(head));
                }
                None => self.announced += length,
            }
        }
    }

    /// The next data of the body; `None`: the body [is over](Self::is_over), or more bytes are needed.
    pub(super) fn data(&mut self) -> Result<Option<Bytes>, Broken> {
        let data = self.body.take(&mut self.unread, self.bounds.bytes);
        if data.is_err() {
            (self.body, self.keeps) = (Body::Ended, false);
        }
        data
    }

    /// The number of bytes of the body that must come next, if it is known and none of them was read; else 0.
    pub(super) fn expected(&self) -> u64 {
        match self.body {
            Body::Length(left) if self.unread.is_empty() => left,
            _ => 0,
        }
    }

    /// Takes notice that so many of the [expected](Self::expected) bytes were read by another way.
    pub(super) fn passed(&mut self, count: usize) {
        self.body.passed(count as u64);
    }

    /// Takes notice of the end of the connection. It ends a body that has no other end.
    pub(super) fn close(&mut self) -> Result<(), Broken> {
        self.keeps = false;
        self.body.close()
    }

    /// Whether the body has ended.
    pub(super) fn is_over(&self) -> bool {
        self.body == Body::Ended
    }

    /// Whether the connection may be used again: the answer has ended, and nothing came after it.
    pub(super) fn is_done(&self) -> bool {
        self.keeps && self.is_over() && self.left() == 0
    }

    /// The number of bytes that were not taken.
    pub(super) fn left(&self) -> usize {
        self.unread.len() + self.partial.len()
    }

    /// Copies the bytes that were not taken, so that they keep no more memory than their own.
    pub(super) fn own(&mut self) {
        if !self.unread.is_empty() {
            self.unread = Bytes::copy_from_slice(&self.unread);
        }
    }
}

/// Skips the empty lines before a head, which robust clients do (RFC 9112, section 2.2).
fn skip_blank_lines(bytes: &mut impl Buf) {
    loop {
        let line = match bytes.chunk() {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return,
        };
        bytes.advance(line);
    }
}

/// Whether an empty line, which ends a head, is among the bytes.
fn has_blank_line(bytes: &[u8]) -> bool {
    memchr_iter(b'\n', bytes).any(|at| matches!(&bytes[at + 1..], [b'\n', ..] | [b'\r', b'\n', ..]))
}
