//! One connection to an upstream. The job that uses it drives it: it has no task of its own.
//!
//! This saves two task switches for every read. It also makes cancellation simple: dropping a job drops its connection,
//! so that the upstream sees the end at once, before or after the head of its answer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Instant;
use tokio_util::io::poll_read_buf;

use super::block;
use super::body::Broken;
use super::dial::Stream;
use super::head::{Garbage, Head};
use super::receiver::{Bounds, Receiver};
use super::request::Outgoing;
use crate::miner::home;

/// One connection.
pub(super) struct Link {
    stream: Stream,
    receiver: Receiver,
    /// The request that is being sent.
    outgoing: Outgoing,
    /// Whether bytes of it were not sent, or may still wait in the connection.
    is_sending: bool,
    /// The error with which the upstream took no more bytes.
    refusal: Option<io::Error>,
    /// The number of the home that made the connection. Only that home's runtime can drive it.
    pub(super) home: usize,
    pub(super) idle_since: Instant,
}

/// The reason why no head came.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// The upstream hung up.
    HungUp(io::Error),
    /// The bytes that came are no answer.
    Garbage(Garbage),
}

/// The next part of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Data,
    /// There is no more.
    End,
    /// There is more than may be kept.
    TooLong,
}

/// The reason why a body broke off.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error(transparent)]
    Broken(#[from] Broken),
}

impl Link {
    pub(super) fn new(stream: Stream, bounds: Bounds) -> Self {
        Self {
            stream,
            receiver: Receiver::new(bounds),
            outgoing: Outgoing::default(),
            is_sending: false,
            refusal: None,
            home: home::number(),
            idle_since: Instant::now(),
        }
    }

    /// Sends a request and waits for the head of its answer. The rest of a request whose answer comes early is sent
    /// while the body is read.
    pub(super) async fn ask(&mut self, request: Outgoing) -> Result<Head, NoAnswer> {
        self.outgoing = request;
        self.is_sending = true;
        poll_fn(|cx| self.poll_head(cx)).await
    }

    /// Gives the request of an answer that did not come back, and says whether the upstream may have read any of it.
    pub(super) fn into_request(self) -> (Outgoing, bool) {
        let may_be_read = self.outgoing.has_begun();
        (self.outgoing.again(), may_be_read)
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, NoAnswer>> {
        // An upstream may answer and hang up before it has read the whole request. Its answer counts.
        self.poll_send(cx);
        if let Some(why) = self.refusal.take_if(|_| !self.outgoing.has_begun()) {
            return Poll::Ready(Err(NoAnswer::HungUp(why)));
        }
        loop {
            if let Some(head) = self.receiver.head().map_err(NoAnswer::Garbage)? {
                self.forget_sent();
                return Poll::Ready(Ok(head));
            }
            match ready!(block::poll_read(&mut self.stream, cx)) {
                Ok(bytes) if !bytes.is_empty() => self.receiver.push(bytes),
                ended => {
                    let why = self.refusal.take().or(ended.err());
                    let end = || io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended");
                    return Poll::Ready(Err(NoAnswer::HungUp(why.unwrap_or_else(end))));
                }
            }
        }
    }

    /// Sends as much of the request as the connection takes.
    fn poll_send(&mut self, cx: &mut Context<'_>) {
        if self.is_sending
            && let Poll::Ready(sent) = self.poll_write(cx)
        {
            self.is_sending = false;
            self.refusal = sent.err();
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.rest().is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, self.outgoing.rest()))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.outgoing.advance(count),
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// The next data of the body; `None`: it is over.
    pub(super) async fn data(&mut self) -> Option<Result<Bytes, BodyError>> {
        poll_fn(|cx| self.poll_data(cx)).await
    }

    fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        loop {
            match self.receiver.data() {
                Ok(Some(data)) => return Poll::Ready(Some(Ok(data))),
                Ok(None) if self.receiver.is_over() => return Poll::Ready(None),
                Ok(None) => {}
                Err(broken) => return Poll::Ready(Some(Err(broken.into()))),
            }
            self.keep_sending(cx);
            let bytes = ready!(block::poll_read(&mut self.stream, cx));
            if let Err(error) = self.took(bytes) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn took(&mut self, bytes: io::Result<Bytes>) -> Result<(), BodyError> {
        match bytes {
            Ok(bytes) if !bytes.is_empty() => self.receiver.push(bytes),
            Ok(_) => self.receiver.close()?,
            Err(error) => {
                // The next call then finds a body that is over.
                let _ = self.receiver.close();
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Adds the next data of the body to `bytes`, which may have `most` bytes.
    pub(super) async fn append(&mut self, bytes: &mut Vec<u8>, most: usize) -> Result<Part, BodyError> {
        poll_fn(|cx| self.poll_append(cx, bytes, most)).await
    }

    fn poll_append(&mut self, cx: &mut Context<'_>, bytes: &mut Vec<u8>, most: usize) -> Poll<Result<Part, BodyError>> {
        let room = most.saturating_sub(bytes.len());
        loop {
            if let Some(data) = self.receiver.data()? {
                bytes.extend_from_slice(&data[..data.len().min(room)]);
                return Poll::Ready(Ok(if data.len() > room { Part::TooLong } else { Part::Data }));
            }
            if self.receiver.is_over() {
                return Poll::Ready(Ok(Part::End));
            }
            self.keep_sending(cx);
            // The data of a long answer goes to its place at once.
            let direct = room.min(usize::try_from(self.receiver.expected()).unwrap_or(usize::MAX));
            if direct == 0 {
                let read = ready!(block::poll_read(&mut self.stream, cx));
                self.took(read)?;
                continue;
            }
            match ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut (&mut *bytes).limit(direct))) {
                Ok(count) if count > 0 => {
                    self.receiver.passed(count);
                    return Poll::Ready(Ok(Part::Data));
                }
                ended => self.took(ended.map(|_| Bytes::new()))?,
            }
        }
    }

    /// Sends the rest of a request whose answer came early. If the upstream does not take it, its answer still counts.
    fn keep_sending(&mut self, cx: &mut Context<'_>) {
        if self.is_sending {
            self.poll_send(cx);
            self.forget_sent();
        }
    }

    /// Frees the memory of a request that was sent.
    fn forget_sent(&mut self) {
        if !self.is_sending {
            self.outgoing = Outgoing::default();
        }
    }

    /// The length of the body that is still to come, if it is known; else 0.
    pub(super) fn expected(&self) -> usize {
        usize::try_from(self.receiver.expected()).unwrap_or(usize::MAX)
    }

    /// Whether the body has ended with the bytes that were read, so that nothing must be waited for.
    pub(super) fn ends_here(&mut self) -> bool {
        matches!(self.receiver.data(), Ok(None)) && self.receiver.is_over()
    }

    /// The number of bytes that were read and not taken.
    pub(super) fn left(&self) -> usize {
        self.receiver.left()
    }

    /// Copies what was read and not taken, so that a connection that waits for its reader keeps no more than that.
    pub(super) fn own(&mut self) {
        self.receiver.own();
    }

    /// Whether another request may be sent: the last answer has ended, nothing came after it, and the upstream has read
    /// the whole request.
    pub(super) fn is_done(&self) -> bool {
        self.receiver.is_done() && !self.is_sending && self.refusal.is_none()
    }

    /// Whether an idle connection has neither ended nor brought bytes that nobody asked for.
    pub(super) fn is_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending()
    }
}
