//! Reading a task's tokens.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::live::Live;
use super::submission::Attachment;
use crate::Result;
use crate::model::Completion;

/// What a stream gives.
#[derive(Debug, Clone)]
pub enum StreamEvent {
    /// A piece of the text.
    Token {
        /// Its number, from 1, without gaps.
        seq: u64,
        /// The text.
        text: String,
        /// The upstream's own JSON chunk, where one is kept.
        raw: Option<Bytes>,
    },
    /// What came before is void: another miner starts over, or the pieces of an ended task are not kept any more and
    /// its text comes as one.
    Restart {
        /// The number of the last piece that is void.
        seq: u64,
    },
    /// The end: exactly one, last.
    End(Result<Arc<Completion>>),
}

/// The tokens of a task, as they come. Dropping it does not cancel the task while the
/// [`Submission`](super::Submission) or another stream of it is there.
pub struct TokenStream {
    live: Arc<Live>,
    _attachment: Arc<Attachment>,
    waiter: u64,
    seq: u64,
    /// Whether it goes on where an earlier stream broke off, and has given nothing yet.
    resumed: bool,
    ended: bool,
}

impl std::fmt::Debug for TokenStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenStream").field("gid", &self.live.gid).field("seq", &self.seq).finish_non_exhaustive()
    }
}

impl TokenStream {
    pub(super) fn new(live: Arc<Live>, attachment: Arc<Attachment>, after: u64) -> Self {
        let waiter = live.waiter();
        live.state.lock().readers.push((waiter, after));
        Self { live, _attachment: attachment, waiter, seq: after, resumed: after > 0, ended: false }
    }

    /// All events that are ready, at least one; waits for the first. `None` after the end.
    pub async fn next_batch(&mut self) -> Option<Vec<StreamEvent>> {
        std::future::poll_fn(|cx| self.poll_batch(cx)).await
    }

    /// The same for those who poll.
    pub fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<StreamEvent>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut state = self.live.state.lock();
        let mut events = Vec::new();
        let started_over = state.end.is_none() && state.transcript.fence().is_some();
        let void =
            if self.resumed && state.rejoined { true } else { state.transcript.last_seq() < self.seq && started_over };
        self.resumed = false;
        if void {
            events.push(StreamEvent::Restart { seq: self.seq });
            self.seq = 0;
        }
        for piece in state.transcript.after(self.seq) {
            self.seq = piece.seq;
            events.push(StreamEvent::Token { seq: piece.seq, text: piece.text, raw: piece.raw });
        }
        if let Some(end) = &state.end {
            self.ended = true;
            events.push(StreamEvent::End(end.clone()));
        }
        if events.is_empty() {
            state.wait(self.waiter, cx.waker());
            return Poll::Pending;
        }
        let seq = self.seq;
        if let Some(reader) = state.readers.iter_mut().find(|(id, _)| *id == self.waiter) {
            reader.1 = seq;
        }
        let attempts = state.attempts.clone();
        drop(state);
        attempts.iter().for_each(|attempt| attempt.caught_up());
        Poll::Ready(Some(events))
    }
}

impl Drop for TokenStream {
    fn drop(&mut self) {
        let attempts = {
            let mut state = self.live.state.lock();
            state.leave(self.waiter);
            state.attempts.clone()
        };
        attempts.iter().for_each(|attempt| attempt.caught_up());
    }
}
