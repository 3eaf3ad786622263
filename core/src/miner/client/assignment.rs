//! One attempt at a miner that dialled out: turns the backend's pieces into frames and keeps the frames until the
//! router has acknowledged them.

use std::collections::VecDeque;
use std::sync::Weak;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_util::sync::CancellationToken;

use super::desk::Desk;
use crate::miner::protocol::frame::{Channel, Done, Held, MinerFrame, Timings, Tokens};
use crate::miner::protocol::raw;
use crate::miner::{Chunk, Emit, FailClass, Failure, JobSink, MinerEvent};
use crate::model::{Answer, Delta, hex};

/// The size up to which pieces are sent together, in bytes.
const GATHER: usize = 1 << 10;

/// The least time between a frame and a sign of life behind it. The router measures silence in seconds or longer times.
const LIFE: Duration = Duration::from_millis(250);

/// The router's rules for frames, from its `welcome`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The minimum time between two frames of gathered text.
    pub(super) flush: Duration,
    /// The maximum bytes of frames without an acknowledgement.
    pub(super) window: usize,
    /// The maximum bytes of `data` in one frame.
    pub(super) piece: usize,
    /// The maximum bytes of an answer.
    pub(super) output: usize,
    /// Whether the router takes the upstream's own JSON.
    pub(super) raw: bool,
}

pub(super) struct Assignment {
    pub(super) attempt: u64,
    pub(super) fence: u64,
    desk: Weak<Desk>,
    cancel: CancellationToken,
    /// The task that works on the attempt.
    worker: AtomicWaker,
    room: std::sync::Arc<Notify>,
    state: Mutex<State>,
}

struct State {
    pace: Pace,
    started: Instant,
    first_at: Option<Instant>,
    seq: u64,
    off: u64,
    hash: Sha256,
    /// Text that is not in a frame yet.
    pending: String,
    /// The time at which the last frame was made.
    framed_at: Option<Instant>,
    /// Frames without an acknowledgement. The first `sent` of them were sent on this connection.
    frames: VecDeque<(u64, Utf8Bytes)>,
    sent: usize,
    kept_bytes: usize,
    sent_bytes: usize,
    end: Option<Box<Answer>>,
    done: Option<Utf8Bytes>,
    done_sent: bool,
    /// Whether the backend has ended the attempt.
    closed: bool,
    /// All pieces so far and the answer, for an heir of the attempt; `None`: they are not kept.
    #[cfg(feature = "postgres")]
    kept: Option<Kept>,
}

/// The work on an attempt so far, as the router that offered it has taken it piece by piece, or would have.
#[cfg(feature = "postgres")]
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) pieces: Vec<Chunk>,
    /// The answer, if the work is done.
    pub(crate) answer: Option<Answer>,
}

impl Assignment {
    pub(super) fn new(attempt: u64, fence: u64, desk: Weak<Desk>, pace: Pace, keeps: bool) -> Self {
        #[cfg(not(feature = "postgres"))]
        let _ = keeps;
        Self {
            attempt,
            fence,
            desk,
            cancel: CancellationToken::new(),
            worker: AtomicWaker::new(),
            room: std::sync::Arc::new(Notify::new()),
            state: Mutex::new(State {
                pace,
                started: Instant::now(),
                first_at: None,
                seq: 0,
                off: 0,
                hash: Sha256::new(),
                pending: String::new(),
                framed_at: None,
                frames: VecDeque::new(),
                sent: 0,
                kept_bytes: 0,
                sent_bytes: 0,
                end: None,
                done: None,
                done_sent: false,
                closed: false,
                #[cfg(feature = "postgres")]
                kept: keeps.then(Kept::default),
            }),
        }
    }

    /// Keeps the work no longer for an heir.
    #[cfg(feature = "postgres")]
    pub(super) fn disinherit(&self) {
        let kept = self.state.lock().kept.take();
        drop(kept);
    }

    /// Gives the work so far up, to somebody who goes on with it. `None`: it was not kept, or has failed.
    #[cfg(feature = "postgres")]
    pub(super) fn give_up(&self) -> Option<Kept> {
        let mut state = self.state.lock();
        let kept = if self.cancel.is_cancelled() { None } else { state.kept.take() };
        let pending = std::mem::take(&mut state.pending);
        let mut kept = kept.filter(|kept| kept.answer.is_some() || !state.closed)?;
        if !pending.is_empty() {
            kept.pieces.push(pending.into());
        }
        state.closed = true;
        Some(kept)
    }

    /// The attempt as `ping` and `resume` list it.
    pub(super) fn held(&self) -> Held {
        Held { attempt: self.attempt, fence: self.fence, sent_seq: self.state.lock().seq }
    }

    /// Whether the backend still works on the attempt and the router has not cancelled it.
    pub(super) fn is_working(&self) -> bool {
        !self.cancel.is_cancelled() && !self.state.lock().closed
    }

    /// Whether the backend may go on without waiting.
    fn has_room(&self) -> bool {
        let state = self.state.lock();
        self.cancel.is_cancelled() || state.closed || state.kept_bytes <= state.pace.window / 2
    }

    /// Cancels the attempt.
    pub(super) fn stop(&self) {
        self.cancel.cancel();
        self.worker.wake();
        self.room.notify_waiters();
    }

    /// Notes that the router has the frames up to this number.
    pub(super) fn acknowledged(&self, seq: u64) {
        let mut state = self.state.lock();
        while state.frames.front().is_some_and(|(number, _)| *number <= seq) {
            let Some((_, text)) = state.frames.pop_front() else { break };
            state.kept_bytes -= text.len();
            if state.sent > 0 {
                state.sent -= 1;
                state.sent_bytes -= text.len();
            }
        }
        let roomy = state.kept_bytes <= state.pace.window / 2;
        drop(state);
        if roomy {
            self.room.notify_waiters();
        }
    }

    /// Continues on a new connection: frames without an acknowledgement are sent again.
    pub(super) fn resume(&self, ack_seq: u64, pace: Pace) {
        self.acknowledged(ack_seq);
        let mut state = self.state.lock();
        state.pace = pace;
        (state.sent, state.sent_bytes, state.done_sent) = (0, 0, false);
    }

    /// Appends the frames that may be sent now. Returns the time at which the pending text is due.
    pub(super) fn fill(&self, now: Instant, out: &mut Vec<Utf8Bytes>) -> Option<Instant> {
        let mut state = self.state.lock();
        let mut due = None;
        if !state.pending.is_empty() {
            let at = state.framed_at.map_or(now, |at| at + state.pace.flush);
            if state.end.is_some() || at <= now {
                self.frame_pending(&mut state, now);
            } else {
                due = Some(at);
            }
        }
        if state.done.is_none()
            && state.pending.is_empty()
            && let Some(end) = state.end.take()
        {
            state.done = Some(self.done_frame(&state, *end, now));
        }
        while let Some((_, text)) = state.frames.get(state.sent) {
            if state.sent_bytes > 0 && state.sent_bytes + text.len() > state.pace.window {
                return due; // the next acknowledgement opens the window
            }
            out.push(text.clone());
            state.sent_bytes += text.len();
            state.sent += 1;
        }
        if let Some(done) = &state.done
            && !state.done_sent
        {
            out.push(done.clone());
            state.done_sent = true;
        }
        due
    }

    fn frame_pending(&self, state: &mut State, now: Instant) {
        let pending = std::mem::take(&mut state.pending);
        self.frame(state, Channel::Content, &pending, None, now);
    }

    /// Makes frames of the parts that are not text. Each frame of tool calls is valid JSON by itself; long arguments
    /// are split over several frames.
    fn frame_delta(&self, state: &mut State, delta: &Delta, now: Instant) {
        if !state.pending.is_empty() {
            self.frame_pending(state, now);
        }
        if !delta.reasoning.is_empty() {
            self.frame(state, Channel::Reasoning, &delta.reasoning, None, now);
        }
        for call in &delta.tool_calls {
            // The JSON of a tool call writes a control character as six bytes, and the frame's JSON writes these as
            // seven.
            for piece in call.pieces(state.pace.piece / 2) {
                if let Ok(json) = serde_json::to_string(&[piece]) {
                    self.frame_whole(state, Channel::Tool, json, None, now);
                }
            }
        }
    }

    /// Makes frames of a piece. The first frame carries `raw`.
    fn frame(&self, state: &mut State, ch: Channel, data: &str, mut raw: Option<Box<RawValue>>, now: Instant) {
        let mut rest = data;
        loop {
            let mut end = rest.len().min(state.pace.piece);
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, after) = rest.split_at(end);
            self.frame_whole(state, ch, piece.to_owned(), raw.take(), now);
            rest = after;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Makes one frame of a piece.
    fn frame_whole(&self, state: &mut State, ch: Channel, data: String, raw: Option<Box<RawValue>>, now: Instant) {
        if ch == Channel::Content {
            state.hash.update(data.as_bytes());
        }
        #[cfg(feature = "postgres")]
        if let Some(kept) = &mut state.kept {
            kept.pieces.extend(piece_of(ch, &data, raw.as_deref()));
        }
        state.seq += 1;
        let (seq, off) = (state.seq, state.off);
        state.off += data.len() as u64;
        let frame =
            MinerFrame::from(Tokens { attempt: self.attempt, fence: self.fence, seq, off, ch: ch.into(), data, raw });
        let text = Utf8Bytes::from(frame.to_text());
        state.kept_bytes += text.len();
        state.frames.push_back((seq, text));
        state.framed_at = Some(now);
    }

    fn done_frame(&self, state: &State, answer: Answer, now: Instant) -> Utf8Bytes {
        let since = |at: Instant| at.duration_since(state.started).as_millis() as u64;
        let done = Done {
            attempt: self.attempt,
            fence: self.fence,
            seq: state.seq,
            sha256: hex(&state.hash.clone().finalize()),
            finish_reason: answer.finish_reason,
            usage: answer.usage,
            model: answer.model,
            timings: Some(Timings { first_token_ms: state.first_at.map_or(0, since), total_ms: since(now) }),
        };
        MinerFrame::from(done).to_text().into()
    }

    /// Takes the backend's answer. `false`: the attempt had already ended.
    fn finish(&self, answer: Answer) -> bool {
        let now = Instant::now();
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        state.closed = true;
        let untold = state.off == 0 && state.pending.is_empty() && !answer.text.is_empty();
        if !state.pending.is_empty() {
            self.frame_pending(&mut state, now);
        }
        if untold {
            state.first_at.get_or_insert(now);
            self.frame(&mut state, Channel::Content, &answer.text, None, now);
        }
        if let Some(whole) = answer.raw.as_deref().filter(|_| state.pace.raw)
            && let Ok(text) = std::str::from_utf8(whole)
        {
            self.frame(&mut state, Channel::Answer, text, None, now);
        }
        #[cfg(feature = "postgres")]
        if let Some(kept) = &mut state.kept {
            kept.answer = Some(answer.clone());
        }
        state.end = Some(Box::new(answer));
        true
    }
}

/// The piece as which the router that offered the attempt takes a frame with this data; `None`: it is none.
#[cfg(feature = "postgres")]
fn piece_of(ch: Channel, data: &str, raw: Option<&RawValue>) -> Option<Chunk> {
    let delta = raw::delta(ch, data.to_owned()).map(Box::new);
    let text = if ch == Channel::Content { data.to_owned() } else { String::new() };
    let raw = raw.map(|raw| bytes::Bytes::copy_from_slice(raw.get().as_bytes()));
    (delta.is_some() || raw.is_some() || !text.is_empty()).then_some(Chunk { text, delta, raw })
}

impl JobSink for Assignment {
    fn emit(&self, chunk: Chunk) -> Emit {
        if self.cancel.is_cancelled() {
            return Emit::Cancelled;
        }
        let now = Instant::now();
        let full = {
            let mut state = self.state.lock();
            if state.closed {
                return Emit::Cancelled;
            }
            if chunk.text.is_empty() && chunk.delta.is_none() && chunk.raw.is_none() {
                drop(state);
                self.alive();
                return Emit::Ok;
            }
            state.first_at.get_or_insert(now);
            let raw = chunk.raw.as_deref().filter(|raw| state.pace.raw && raw.len() <= state.pace.piece);
            if let Some(delta) = &chunk.delta {
                self.frame_delta(&mut state, delta, now);
            }
            match raw.and_then(raw::value) {
                Some(raw) => {
                    if !state.pending.is_empty() {
                        self.frame_pending(&mut state, now);
                    }
                    self.frame(&mut state, Channel::Content, &chunk.text, Some(raw), now);
                }
                None if chunk.text.is_empty() => {}
                None => {
                    state.pending.push_str(&chunk.text);
                    if state.pending.len() >= GATHER {
                        self.frame_pending(&mut state, now);
                    }
                }
            }
            let kept = state.kept_bytes + state.pending.len();
            if kept > state.pace.window.saturating_add(state.pace.output) {
                // A backend that does not wait for room must not fill the memory.
                state.closed = true;
                drop(state);
                self.stop();
                if let Some(desk) = self.desk.upgrade() {
                    let words = "the backend goes on without waiting for room";
                    desk.failed(self, Failure::new(FailClass::Internal, words));
                }
                return Emit::Cancelled;
            }
            kept >= state.pace.window
        };
        if let Some(desk) = self.desk.upgrade() {
            desk.touch(self.attempt);
        }
        if full { Emit::Full } else { Emit::Ok }
    }

    fn event(&self, event: MinerEvent) {
        let Some(desk) = self.desk.upgrade() else { return };
        match event {
            MinerEvent::Accept => {}
            MinerEvent::Done(answer) => {
                if self.finish(answer) {
                    desk.finished(self.attempt);
                }
            }
            MinerEvent::Reject { reason, retry_after_ms } => {
                if !std::mem::replace(&mut self.state.lock().closed, true) {
                    desk.rejected(self, reason, retry_after_ms);
                }
            }
            MinerEvent::Fail(failure) => {
                if !std::mem::replace(&mut self.state.lock().closed, true) {
                    desk.failed(self, failure);
                }
            }
        }
    }

    /// Sends a frame without data, unless a frame says as much.
    fn alive(&self) {
        let now = Instant::now();
        {
            let mut state = self.state.lock();
            let waits = !state.pending.is_empty() || state.sent < state.frames.len();
            let spoke = state.framed_at.is_some_and(|at| now.duration_since(at) < LIFE);
            if state.closed || waits || spoke || self.cancel.is_cancelled() {
                return;
            }
            self.frame_whole(&mut state, Channel::Content, String::new(), None, now);
        }
        if let Some(desk) = self.desk.upgrade() {
            desk.touch(self.attempt);
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.worker.register(cx.waker());
        if self.cancel.is_cancelled() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn cancelled(&self) -> BoxFuture<'static, ()> {
        self.cancel.clone().cancelled_owned().boxed()
    }

    fn writable(&self) -> BoxFuture<'static, ()> {
        let (desk, attempt, room) = (self.desk.clone(), self.attempt, std::sync::Arc::clone(&self.room));
        async move {
            loop {
                let changed = room.notified();
                let Some(found) = desk.upgrade().and_then(|desk| desk.assignment(attempt)) else { return };
                if found.has_room() {
                    return;
                }
                drop(found);
                changed.await;
            }
        }
        .boxed()
    }
}
