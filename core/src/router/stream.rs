//! The stream of a task's tokens.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;

use super::live::Live;
use super::transcript::Place;
use super::wait::Attachment;
use crate::engine::Event;
use crate::miner::Turn;
use crate::model::{Completion, OnFailure};
use crate::{Error, ErrorKind, Result};

/// The number of ready events for which a batch has room at once.
const READY: usize = 64;

/// The events of a stream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StreamEvent {
    /// A piece of the text.
    #[non_exhaustive]
    Token {
        /// The number of the piece, one more than that of the event before it. The first piece has number 1; each
        /// later start of the store adds 2^32 to the first number.
        seq: u64,
        /// The text of the piece.
        text: String,
        /// The upstream's own JSON chunk; `None`: there is none, or it is no longer kept.
        raw: Option<Bytes>,
    },
    /// A restart mark: all pieces before it are void, and the text begins again. It comes if another miner or a later
    /// start of the router begins the answer again, if the number to resume from does not belong to this text, or if
    /// the pieces of an ended task are no longer kept, so that its text comes as one piece. Only streams of requests
    /// whose `on_failure` is `restart`, and resumed streams, contain restart marks.
    Restart {
        /// The number of this mark. The next piece has the next number.
        seq: u64,
    },
    /// The end of the stream. Every stream has exactly one, as its last event.
    End(Result<Arc<Completion>>),
}

/// The tokens of a task, as they come. Dropping the stream does not cancel the task while its
/// [`Submission`](super::Submission) or another stream of it exists.
///
/// The [`Stream`] implementation gives single events. [`next_batch`](Self::next_batch) gives all events that are ready,
/// which costs less if the miner is faster than the reader.
///
/// ```
/// # use cortensor_router::{Config, Router, StreamEvent, SubmitOptions};
/// # use cortensor_router::model::{SessionId, TaskRequest};
/// use futures_util::StreamExt as _;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cortensor_router::Result<()> {
/// # let router = Router::open(Config::default().echo(true)).await?;
/// let request = TaskRequest::completion("one two three").stream(true);
/// let task = router.submit(SessionId(0), request, SubmitOptions::default()).await?;
/// let mut tokens = task.stream();
/// let mut said = String::new();
/// while let Some(event) = tokens.next().await {
///     match event {
///         StreamEvent::Token { text, .. } => said.push_str(&text),
///         StreamEvent::Restart { .. } => said.clear(),
///         StreamEvent::End(end) => assert_eq!(end?.text(), said),
///         _ => {}
///     }
/// }
/// assert!(said.ends_with("one two three"));
/// # router.close().await;
/// # Ok(())
/// # }
/// ```
pub struct TokenStream {
    live: Arc<Live>,
    attachment: Attachment,
    waiter: u64,
    /// The number of the last piece or mark that was taken from the transcript.
    seq: u64,
    /// Events that were taken and not yet given, for readers that take one event at a time.
    taken: std::vec::IntoIter<StreamEvent>,
    /// The number of the last piece or mark that was given. Valid while there are events in `taken`.
    given: u64,
    /// The bytes of text that were taken since the text began.
    bytes: usize,
    /// Whether the stream resumes an earlier one and has given no event yet.
    resumed: bool,
    /// Whether the stream may contain restart marks.
    resets: bool,
    ended: bool,
}

impl std::fmt::Debug for TokenStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenStream").field("gid", &self.live.spec.gid).field("seq", &self.seq).finish_non_exhaustive()
    }
}

impl TokenStream {
    pub(super) fn new(live: Arc<Live>, attachment: Attachment, after: u64) -> Self {
        let waiter = live.waiter();
        live.state.lock().readers.push((waiter, after));
        let resets = after > 0 || live.spec.on_failure == OnFailure::Restart;
        Self {
            live,
            attachment,
            waiter,
            seq: after,
            taken: Vec::new().into_iter(),
            given: after,
            bytes: 0,
            resumed: after > 0,
            resets,
            ended: false,
        }
    }

    /// This stream with restart marks, whatever the request says: its reader is another router, which knows what to do.
    #[cfg(feature = "postgres")]
    pub(super) fn with_marks(mut self) -> Self {
        self.resets = true;
        self
    }

    /// The number of the last piece or mark that the stream gave; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        if self.taken.len() > 0 { self.given } else { self.seq }
    }

    /// Whether this reader has read the first part of the text that the store gave in one piece, and nothing else.
    fn has_read_a_part(&self, state: &super::live::LiveState) -> bool {
        self.bytes > 0 && state.read_before.is_some_and(|before| self.bytes <= before)
    }

    /// Waits for the next event and gives all events that are ready, at least one. `None`: the stream is over. A reader
    /// that is far behind gets the ready events in several calls.
    pub async fn next_batch(&mut self) -> Option<Vec<StreamEvent>> {
        std::future::poll_fn(|cx| self.poll_batch(cx)).await
    }

    /// Polls for the events that [`next_batch`](Self::next_batch) gives.
    pub fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<StreamEvent>>> {
        if self.taken.len() > 0 {
            return Poll::Ready(Some(std::mem::take(&mut self.taken).collect()));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let mut state = self.live.state.lock();
        if state.text_is_due && state.end.is_none() {
            state.wait(self.waiter, cx.waker());
            return Poll::Pending;
        }
        let (mut restart, mut skips) = (None, 0);
        let rejoined = std::mem::take(&mut self.resumed) && state.rejoined;
        let from = match state.transcript.place(self.seq, matches!(state.end, Some(Ok(_)))) {
            Place::Behind(seq) if !rejoined => {
                // A reader that has read nothing loses nothing when the text begins again.
                self.seq = self.seq.min(seq);
                seq
            }
            Place::Anew(_) if !self.resets && self.has_read_a_part(&state) => {
                // The rest comes as one piece, with the number of the whole text.
                self.seq = state.transcript.base();
                skips = self.bytes;
                self.seq
            }
            Place::Behind(_) | Place::Anew(_) if !self.resets => {
                self.ended = true;
                return Poll::Ready(Some(vec![StreamEvent::End(Err(self.live.sign(lost())))]));
            }
            Place::Behind(_) | Place::Anew(_) => {
                self.seq = state.transcript.base();
                self.bytes = 0;
                restart = Some(StreamEvent::Restart { seq: self.seq });
                self.seq
            }
        };
        // A reader that is far behind gets the pieces in several turns, because copying them holds the task's lock and
        // the thread.
        let mut turn = Turn::default();
        let mut rest = false;
        let pieces = usize::try_from(state.transcript.last_seq().saturating_sub(from)).unwrap_or_default();
        // Without an event the list takes no memory.
        let others = usize::from(restart.is_some()) + usize::from(state.end.is_some());
        let mut events = Vec::with_capacity(pieces.min(READY) + others);
        events.extend(restart);
        for mut piece in state.transcript.after(from) {
            self.seq = piece.seq;
            if skips > 0 {
                // The part ends where a piece did, so this is a boundary of the text.
                piece.text.drain(..std::mem::take(&mut skips).min(piece.text.len()));
            } else {
                self.bytes += piece.text.len();
            }
            let bytes = piece.text.len() + piece.raw.as_ref().map_or(0, Bytes::len);
            events.push(StreamEvent::Token { seq: piece.seq, text: piece.text, raw: piece.raw });
            if turn.is_over(bytes) {
                rest = self.seq < state.transcript.last_seq();
                break;
            }
        }
        if !rest && let Some(end) = &state.end {
            self.ended = true;
            events.push(StreamEvent::End(end.clone()));
        }
        if events.is_empty() {
            state.wait(self.waiter, cx.waker());
            return Poll::Pending;
        }
        let seq = self.seq;
        // This reader is the first to see the text: the engine must know that it cannot be taken back without a mark.
        let shown = if state.transcript.show() { state.transcript.fence() } else { None };
        if let Some(reader) = state.readers.iter_mut().find(|(id, _)| *id == self.waiter) {
            reader.1 = seq;
        }
        let waiting = state.take_waiting();
        drop(state);
        waiting.iter().for_each(|attempt| attempt.caught_up());
        if let Some(fence) = shown {
            self.attachment.shared.step(Event::Shown(fence));
        }
        Poll::Ready(Some(events))
    }
}

impl Stream for TokenStream {
    type Item = StreamEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<StreamEvent>> {
        if self.taken.len() == 0 {
            let Some(batch) = ready!(self.poll_batch(cx)) else { return Poll::Ready(None) };
            self.taken = batch.into_iter();
        }
        let event = self.taken.next();
        if let Some(StreamEvent::Token { seq, .. } | StreamEvent::Restart { seq }) = &event {
            self.given = *seq;
        }
        Poll::Ready(event)
    }
}

/// The error of a reader that has read pieces which are now void, in a stream without restart marks.
fn lost() -> Error {
    Error::new(
        ErrorKind::MinerFailed,
        r#"the miner was lost after its first words: ask again, or send "on_failure":"restart" and be ready to start over"#,
    )
}

impl Drop for TokenStream {
    fn drop(&mut self) {
        let waiting = {
            let mut state = self.live.state.lock();
            state.leave(self.waiter);
            state.take_waiting()
        };
        waiting.iter().for_each(|attempt| attempt.caught_up());
    }
}
