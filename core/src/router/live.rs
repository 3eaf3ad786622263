//! A task while the router holds it in memory: its tokens, its answers, and the wakers of its waiting callers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::memory::{Held, Memory, TASK};
use super::quota::Charge;
use super::spans::Tried;
use super::transcript::Transcript;
use super::underway::Underway;
use super::unwritten::Unwritten;
use crate::miner::Failure;
use crate::model::{Answer, Completion, Fence, Outcome, SharedText, TaskRequest, TaskState, Timestamp, Verdict};
use crate::task::{TaskEnd, TaskSpec};
use crate::{Error, Result};

/// A task in memory: its fixed spec, and its state behind a lock of its own.
pub(super) struct Live {
    pub(super) spec: Arc<TaskSpec>,
    /// Bytes that the task takes before its first token.
    first_weight: u64,
    /// Whether the task continues when its last handle is dropped.
    pub(super) detached: AtomicBool,
    /// Number of open handles (submissions and streams). The task is cancelled when it reaches 0, unless it is
    /// detached.
    pub(super) attached: AtomicUsize,
    next_waiter: AtomicU64,
    pub(super) state: Mutex<LiveState>,
}

pub(super) struct LiveState {
    pub(super) transcript: Transcript,
    /// The newest attempt whose tokens were streamed.
    pub(super) primary: Option<Fence>,
    /// The model of its list to which the task went; `None`: the first one.
    pub(super) rerouted: Option<Arc<str>>,
    pub(super) state: TaskState,
    /// Whether the store has written the task; `None`: the store has not answered yet.
    pub(super) accepted: Option<Result<()>>,
    /// Whether the store has not been asked for the task, because it gets the task together with its end.
    pub(super) row_waits: bool,
    pub(super) started_at: Option<Timestamp>,
    pub(super) first_token_at: Option<Timestamp>,
    pub(super) precommitted_at: Option<Timestamp>,
    /// The addresses of the miners that got the task, in order.
    pub(super) assigned: SmallVec<[SharedText; 1]>,
    /// The name of the miner that got the task last.
    pub(super) tried: Option<Arc<str>>,
    pub(super) attempts: SmallVec<[Arc<Underway>; 1]>,
    /// Whether a miner waits until the readers have caught up.
    pub(super) is_awaited: bool,
    /// The attempts as their spans show them; empty if the task has no spans.
    pub(super) tried_by: Vec<Tried>,
    /// The answers that have come in.
    pub(super) answers: SmallVec<[Given; 1]>,
    pub(super) failure: Option<Failure>,
    pub(super) verdict: Option<Verdict>,
    /// The attempt whose answer the comparison chose.
    pub(super) winner: Option<Fence>,
    pub(super) outcome: Option<Outcome>,
    /// The reason why there is no answer. Set together with the outcome.
    pub(super) error: Option<Error>,
    pub(super) ended_at: Option<Timestamp>,
    /// The end of the task, which the store may not have yet.
    pub(super) closed: Option<TaskEnd>,
    /// The end that callers may see.
    pub(super) end: Option<Result<Arc<Completion>>>,
    /// The fate of the end if the store has refused it.
    pub(super) unwritten: Option<Unwritten>,
    /// The error of the store that has refused the end.
    pub(super) lost: Option<Error>,
    /// Whether the text came from the store in one piece. The piece numbers that readers have seen before do not
    /// belong to this piece.
    pub(super) rejoined: bool,
    /// Whether another router has the task, so that its end comes from its row.
    pub(super) followed: bool,
    /// Whether the router of a borrowed miner may go on with the last attempt, as far as this one knows.
    pub(super) is_bequeathed: bool,
    /// Whether the text of another router's task may still come with the numbers that it has there, so that readers wait.
    pub(super) text_is_due: bool,
    /// Whether the text of another router's task has come whole, so that its row need not be compared.
    pub(super) text_is_whole: bool,
    /// The bytes of the first part of the text that came piece by piece, if the whole text replaces it.
    pub(super) read_before: Option<usize>,
    /// How the task's tokens count against the limits of its key; `None`: they do not.
    pub(super) charge: Option<Charge>,
    /// The task's share of the router's memory.
    held: Held,
    /// Each reader's number, and the number of the last piece that it has read.
    pub(super) readers: SmallVec<[(u64, u64); 1]>,
    wakers: Wakers,
}

/// The answer of one miner.
pub(super) struct Given {
    pub(super) fence: Fence,
    /// The miner's address.
    pub(super) miner: SharedText,
    /// The miner's name.
    pub(super) name: Arc<str>,
    pub(super) answer: Answer,
    /// The hexadecimal SHA-256 hash of the answer's text. If answers are compared, the hash is made when the answer
    /// comes in, before another one is looked at. Otherwise this is empty, and the hash is made at the end.
    pub(super) hash: String,
    /// Milliseconds from the moment at which the miner got the task to this answer.
    pub(super) took_ms: u64,
}

impl Live {
    /// Makes a task. `transcript` must be empty; it bounds the answer. The task's bytes count in `memory`.
    pub(super) fn new(spec: Arc<TaskSpec>, transcript: Transcript, memory: &Arc<Memory>, detached: bool) -> Arc<Self> {
        let first_weight = weight_of(&spec.request) + spec.trace.as_ref().map_or(0, |trace| trace.weight());
        let held = memory.hold(first_weight);
        Arc::new(Self {
            spec,
            first_weight,
            detached: AtomicBool::new(detached),
            attached: AtomicUsize::new(0),
            next_waiter: AtomicU64::new(1),
            state: Mutex::new(LiveState {
                transcript,
                primary: None,
                rerouted: None,
                state: TaskState::Queued,
                accepted: None,
                row_waits: false,
                started_at: None,
                first_token_at: None,
                precommitted_at: None,
                assigned: SmallVec::new(),
                tried: None,
                attempts: SmallVec::new(),
                is_awaited: false,
                tried_by: Vec::new(),
                answers: SmallVec::new(),
                failure: None,
                verdict: None,
                winner: None,
                outcome: None,
                error: None,
                ended_at: None,
                closed: None,
                end: None,
                lost: None,
                unwritten: None,
                rejoined: false,
                followed: false,
                is_bequeathed: false,
                text_is_due: false,
                text_is_whole: false,
                read_before: None,
                charge: None,
                held,
                readers: SmallVec::new(),
                wakers: SmallVec::new(),
            }),
        })
    }

    /// A new number for a waiter or a reader.
    pub(super) fn waiter(&self) -> u64 {
        self.next_waiter.fetch_add(1, Ordering::Relaxed)
    }

    /// Gives the callers that wait this error, and takes no further piece. Returns their wakers.
    pub(super) fn turn_away(&self, closed: Error) -> Option<Wakers> {
        let mut state = self.state.lock();
        state.transcript.seal();
        let accepted = state.accepted == Some(Ok(()));
        state.end.get_or_insert_with(|| Err(if accepted { self.sign(closed) } else { closed }));
        state.take_wakers()
    }

    /// Lets readers of another router's task wait no longer for pieces: its text comes from its row. Returns their wakers.
    pub(super) fn text_comes_whole(&self) -> Option<Wakers> {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.text_is_due) { state.take_wakers() } else { None }
    }

    /// Whether the store has the task, so that another router may go on with it.
    pub(super) fn is_stored(&self) -> bool {
        let state = self.state.lock();
        state.accepted == Some(Ok(())) && !state.row_waits && !self.spec.shadow
    }

    /// Adds the ids of the session and the task to an error.
    pub(super) fn sign(&self, error: Error) -> Error {
        error.with_ids(self.spec.session_id, Some(self.spec.id))
    }
}

impl LiveState {
    /// The model that the task asks its miners for at present; `None`: any.
    pub(super) fn model<'a>(&'a self, spec: &'a TaskSpec) -> Option<&'a Arc<str>> {
        self.rerouted.as_ref().or(spec.model.as_ref())
    }

    /// Registers `waiter` to be woken at the next change.
    pub(super) fn wait(&mut self, waiter: u64, waker: &Waker) {
        match self.wakers.iter_mut().find(|(id, _)| *id == waiter) {
            Some((_, old)) => old.clone_from(waker),
            None => self.wakers.push((waiter, waker.clone())),
        }
    }

    /// Removes a waiter or reader.
    pub(super) fn leave(&mut self, waiter: u64) {
        self.wakers.retain(|(id, _)| *id != waiter);
        self.readers.retain(|(id, _)| *id != waiter);
    }

    /// Takes the wakers, if there are any. The caller must wake them after it has released the lock.
    pub(super) fn take_wakers(&mut self) -> Option<Wakers> {
        (!self.wakers.is_empty()).then(|| std::mem::take(&mut self.wakers))
    }

    /// Takes the attempts whose miners may wait until the readers have caught up. The caller must tell them after it has
    /// released the lock. Nobody is told without need, because each piece would wake its own miner.
    pub(super) fn take_waiting(&mut self) -> SmallVec<[Arc<Underway>; 1]> {
        if std::mem::take(&mut self.is_awaited) { self.attempts.clone() } else { SmallVec::new() }
    }

    /// Whether the end can be written: the store has not refused the task itself.
    pub(super) fn may_be_written(&self) -> bool {
        self.row_waits || !matches!(self.accepted, Some(Err(_)))
    }

    /// The code of the error that callers see as the end.
    pub(super) fn end_code(&self) -> Option<String> {
        self.end.as_ref().and_then(|end| end.as_ref().err()).map(|error| error.code().to_owned())
    }

    /// The number of bytes that the slowest reader has not taken yet.
    pub(super) fn backlog(&self) -> usize {
        self.readers.iter().map(|(_, seq)| self.transcript.backlog(*seq)).max().unwrap_or(0)
    }
}

/// The wakers of the waiters, each with the number of its waiter.
pub(super) type Wakers = SmallVec<[(u64, Waker); 1]>;

/// Bytes that are counted in advance for a growing text, so that not every piece updates the router's count.
pub(super) const AHEAD: u64 = 4 << 10;

/// The bytes that a task with this request takes before its first token.
pub(super) fn weight_of(request: &TaskRequest) -> u64 {
    TASK + crate::store::request_weight(request)
}

impl Live {
    /// Updates the count of bytes after output has come in. `false`: the router holds more than it may.
    pub(super) fn grown(&self, state: &mut LiveState) -> bool {
        let weight = self.weight(state);
        weight <= state.held.bytes() || state.held.set(weight + AHEAD)
    }

    /// Voids the text so far, and frees its memory.
    pub(super) fn voided(&self) {
        let mut state = self.state.lock();
        state.transcript.void();
        let weight = self.weight(&state);
        state.held.set(weight);
    }

    /// Frees memory that an ended task does not need. Returns the bytes that it still takes.
    pub(super) fn settled(&self, state: &mut LiveState) -> u64 {
        let LiveState { transcript, answers, .. } = state;
        transcript.settle(answers.first().map(|given| &given.answer.text));
        let weight = self.weight(state);
        state.held.set(weight);
        weight
    }

    fn weight(&self, state: &LiveState) -> u64 {
        let answers: usize = state
            .answers
            .iter()
            .map(|given| given.answer.text.len() + given.answer.raw.as_ref().map_or(0, Bytes::len))
            .sum();
        self.first_weight + (state.transcript.weight() + answers) as u64
    }
}

/// Wakes the waiters. The task's lock must not be held.
#[inline]
pub(super) fn wake(wakers: Option<Wakers>) {
    if let Some(wakers) = wakers {
        for (_, waker) in wakers {
            waker.wake();
        }
    }
}
