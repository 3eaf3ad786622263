//! The body of a stream: the task's events as they come, and comments while there are none.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Instant, Sleep, sleep};

use super::chunk::ChunkWriter;
use crate::{Error, StreamEvent, TokenStream};

const COMMENT: &[u8] = b": ping\n\n";

/// A response body. Dropping it, as the server does when the client hangs up, lets go of the task and so cancels it.
pub(super) struct ChunkBody {
    stream: TokenStream,
    writer: ChunkWriter,
    /// What was read before the headers went out.
    first: Vec<StreamEvent>,
    idle: Pin<Box<Sleep>>,
    keepalive: Duration,
}

impl ChunkBody {
    pub(super) fn new(stream: TokenStream, writer: ChunkWriter, first: Vec<StreamEvent>, keepalive: Duration) -> Self {
        // Where the first event is long in coming, the client gets a sign of life at once.
        let idle = Box::pin(sleep(if first.is_empty() { Duration::ZERO } else { keepalive }));
        Self { stream, writer, first, idle, keepalive }
    }

    fn stay_awake(&mut self) {
        self.idle.as_mut().reset(Instant::now() + self.keepalive);
    }
}

impl Body for ChunkBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = self.get_mut();
        let mut out = Vec::new();
        if !body.first.is_empty() {
            body.writer.write(std::mem::take(&mut body.first), &mut out);
        }
        while out.is_empty() {
            if body.writer.ended() {
                return Poll::Ready(None);
            }
            match body.stream.poll_batch(cx) {
                Poll::Ready(Some(events)) => body.writer.write(events, &mut out),
                Poll::Ready(None) => body.writer.fail(&Error::internal("the stream ended without an answer"), &mut out),
                Poll::Pending => {
                    ready!(body.idle.as_mut().poll(cx));
                    out.extend_from_slice(COMMENT);
                }
            }
        }
        body.stay_awake();
        Poll::Ready(Some(Ok(Frame::data(out.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.writer.ended() && self.first.is_empty()
    }
}
