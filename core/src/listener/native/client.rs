//! The client's end of a connection: the bytes that came, the bytes that go out, and whether the client is there.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, ReadBuf};

use crate::listener::body::{Counted, Source, Stop};
use crate::listener::heads::{Head, TooMuch};
use crate::listener::presence::Presence;
use crate::listener::stall::StallGuard;
use crate::listener::wire::Socket;
use crate::router::Memory;

/// The size in bytes of a read between bodies. The buffer is on the stack, so a connection that waits has none.
const PIECE: usize = 8 << 10;

/// The size in bytes of the first room for a body that did not come with its head.
const BODY: usize = 64 << 10;

/// The greatest capacity in bytes of a buffer that a thread keeps.
const KEPT: usize = 256 << 10;

thread_local! {
    /// The buffer in which the connections of a thread write their answers, one after the other.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Takes the thread's buffer, which is empty.
pub(super) fn scratch() -> Vec<u8> {
    let mut buffer = SCRATCH.take();
    buffer.clear();
    buffer
}

/// Gives the thread's buffer back.
pub(super) fn keep(buffer: Vec<u8>) {
    if buffer.capacity() <= KEPT {
        SCRATCH.set(buffer);
    }
}

/// The reason why no further head comes.
#[derive(Debug)]
pub(super) enum NoHead {
    /// The client sends no more, or the connection is broken.
    Ended,
    TooMuch(TooMuch),
}

/// The client's end of a connection.
pub(super) struct Client<S> {
    stream: StallGuard<S>,
    /// Bytes that came. Those before `taken` were used.
    input: Vec<u8>,
    taken: usize,
    /// Whether the client sends no more.
    ended: bool,
    presence: Presence,
    /// The room of the next head among all heads.
    room: Head,
    /// Bytes of an answer that the socket did not take yet.
    unsent: Vec<u8>,
}

impl<S: Socket> Client<S> {
    /// `input` holds the bytes of the first head that were read already; `room` has counted them.
    pub(super) fn new(stream: StallGuard<S>, room: Head, input: Vec<u8>) -> Self {
        let presence = Presence::default();
        Self { stream, input, taken: 0, ended: false, presence, room, unsent: Vec::new() }
    }

    /// The connection as it is before the next head: its stream, the room of the head, and the bytes of the head that
    /// came.
    pub(super) fn into_parts(mut self) -> (StallGuard<S>, Head, Vec<u8>) {
        self.input.drain(..self.taken);
        (self.stream, self.room, self.input)
    }

    /// The bytes that came and were not used.
    pub(super) fn came(&self) -> &[u8] {
        &self.input[self.taken..]
    }

    /// Uses the first of the bytes that came.
    pub(super) fn take(&mut self, count: usize) {
        self.taken += count;
        if self.taken >= self.input.len() {
            // An idle connection or a slow answer holds no buffer.
            (self.input, self.taken) = (Vec::new(), 0);
        }
    }

    /// Notes that a head of that many bytes is complete.
    pub(super) fn asked(&mut self, head: usize) {
        self.take(head);
        self.room.clear();
        self.presence.clear();
    }

    /// Reads a piece. 0: the client sends no more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        let mut piece = [MaybeUninit::uninit(); PIECE];
        let mut piece = ReadBuf::uninit(&mut piece);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut piece))?;
        let piece = piece.filled();
        self.ended = piece.is_empty();
        if self.input.is_empty() {
            self.input = piece.to_vec();
        } else {
            self.input.drain(..self.taken);
            self.taken = 0;
            self.input.extend_from_slice(piece);
        }
        Poll::Ready(Ok(piece.len()))
    }

    /// Reads more of the next head. `unread` bytes before it belong to a body that nobody reads.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, unread: &mut u64) -> Poll<Result<(), NoHead>> {
        self.room.may_grow().map_err(NoHead::TooMuch)?;
        match ready!(self.poll_read(cx)) {
            Ok(0) | Err(_) => Poll::Ready(Err(NoHead::Ended)),
            Ok(read) => {
                *unread = self.skip(*unread);
                Poll::Ready(self.room.grow(read.min(self.came().len())).map_err(NoHead::TooMuch))
            }
        }
    }

    /// Ready when the client has gone. `answering`: an answer has begun, so an end of the stream is a hang-up.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>, answering: bool) -> Poll<io::Error> {
        while !self.ended {
            // The beginning of the next request came. It is read no further before this one is answered.
            if !self.came().is_empty() {
                return Poll::Pending;
            }
            if let Err(error) = ready!(self.poll_read(cx)) {
                return Poll::Ready(error);
            }
        }
        if answering {
            return Poll::Ready(io::ErrorKind::UnexpectedEof.into());
        }
        self.presence.poll_gone(&mut self.stream, cx)
    }

    /// Writes the bytes from `at` on. Ready when the socket has taken all of them.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8], at: &mut usize) -> Poll<io::Result<()>> {
        while *at < bytes.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[*at..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => *at += written,
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Writes bytes, and keeps those that the socket does not take until [`poll_sent`](Self::poll_sent).
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) fn send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> io::Result<()> {
        let mut at = 0;
        match self.poll_write(cx, bytes, &mut at) {
            Poll::Ready(sent) => sent,
            Poll::Pending => {
                self.unsent.extend_from_slice(&bytes[at..]);
                Ok(())
            }
        }
    }

    /// Ready when the socket has taken all bytes that were sent.
    pub(super) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut at = 0;
        let unsent = std::mem::take(&mut self.unsent);
        let sent = self.poll_write(cx, &unsent, &mut at);
        if sent.is_pending() {
            self.unsent = unsent;
            self.unsent.drain(..at);
        }
        sent
    }

    /// Uses the part of a body that came. Gives the length of the rest.
    pub(super) fn skip(&mut self, left: u64) -> u64 {
        let count = self.came().len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.take(count);
        left - count as u64
    }

    /// Ends the connection: the client reads an end of the stream.
    pub(super) async fn shut_down(&mut self) {
        // A connection that is broken has ended, too.
        let _ = poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await;
    }
}

/// The body of a request, of which a part has not come yet.
pub(super) struct Incoming<'a, S> {
    pub(super) client: &'a mut Client<S>,
    /// The length of the part that was not used.
    pub(super) left: &'a mut u64,
}

impl<S: Socket> Incoming<'_, S> {
    /// The number of bytes of the body that came.
    fn came(&self) -> usize {
        self.client.came().len().min(usize::try_from(*self.left).unwrap_or(usize::MAX))
    }

    fn take(&mut self, count: usize) {
        self.client.take(count);
        *self.left -= count as u64;
    }
}

impl<S: Socket> Source for Incoming<'_, S> {
    fn announced(&self) -> u64 {
        *self.left
    }

    async fn gather(&mut self, limit: u64, memory: &Arc<Memory>) -> Result<Bytes, Stop> {
        if *self.left > limit {
            return Err(Stop::TooLarge);
        }
        let came = self.came();
        if !memory.has_room(came as u64) {
            return Err(Stop::NoMemory);
        }
        let room = BODY.min(usize::try_from(*self.left).unwrap_or(BODY));
        let mut body = Counted::new(&self.client.came()[..came], room, memory);
        self.take(came);
        while *self.left > 0 {
            let left = usize::try_from(*self.left).unwrap_or(usize::MAX);
            let buffer = body.buffer();
            if buffer.capacity() == buffer.len() {
                // The room doubles, so that a client that announces much and sends nothing takes little.
                buffer.reserve(buffer.len().max(BODY).min(left));
                body.count();
            }
            let read = match self.client.stream.read_buf(&mut body.buffer().limit(left)).await {
                Ok(0) | Err(_) => {
                    self.client.ended = true;
                    return Err(Stop::Broken("error reading a body from connection".to_owned()));
                }
                Ok(read) => read,
            };
            *self.left -= read as u64;
            if !memory.has_room(read as u64) {
                return Err(Stop::NoMemory);
            }
        }
        Ok(body.into())
    }

    async fn discard(&mut self, most: u64) {
        let mut most = most;
        loop {
            let came = self.came();
            self.take(came);
            most = most.saturating_sub(came as u64);
            if most == 0 || *self.left == 0 {
                return;
            }
            if !matches!(poll_fn(|cx| self.client.poll_read(cx)).await, Ok(1..)) {
                return;
            }
        }
    }
}
