//! A task while the router holds it in memory: its tokens, its answers and those who wait for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

use bytes::Bytes;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::attempt::Attempt;
use super::memory::{Held, Memory, TASK};
use super::transcript::Transcript;
use crate::miner::Failure;
use crate::model::{Answer, Completion, Fence, Outcome, TaskRequest, TaskState, Timestamp, Verdict};
use crate::task::{TaskEnd, TaskSpec};
use crate::{Error, Result};

/// A task while it is in memory: what never changes of it, and what does behind a lock of its own.
pub(super) struct Live {
    pub(super) spec: Arc<TaskSpec>,
    /// Bytes that it takes before its first token.
    first_weight: u64,
    /// Nobody's leaving cancels it.
    pub(super) detached: AtomicBool,
    /// Number of open handles (submissions and streams). The task is cancelled when it reaches 0, unless it is detached.
    pub(super) attached: AtomicUsize,
    next_waiter: AtomicU64,
    pub(super) state: Mutex<LiveState>,
}

pub(super) struct LiveState {
    pub(super) transcript: Transcript,
    /// The newest attempt whose tokens were streamed.
    pub(super) primary: Option<Fence>,
    pub(super) state: TaskState,
    /// Whether the task is written down: `None` while that is under way.
    pub(super) accepted: Option<Result<()>>,
    pub(super) started_at: Timestamp,
    pub(super) first_token_at: Timestamp,
    pub(super) precommitted_at: Timestamp,
    pub(super) assigned: Vec<String>,
    pub(super) attempts: SmallVec<[Arc<Attempt>; 1]>,
    /// Answers that are in.
    pub(super) answers: Vec<Given>,
    pub(super) failure: Option<Failure>,
    pub(super) verdict: Option<Verdict>,
    /// Whose answer is taken, once that is decided.
    pub(super) winner: Option<Fence>,
    pub(super) outcome: Option<Outcome>,
    /// Why there is no answer, from the moment that the outcome is known.
    pub(super) error: Option<Error>,
    pub(super) ended_at: Timestamp,
    /// The end, once it is made; the store may not have it yet.
    pub(super) closed: Option<TaskEnd>,
    /// The end, once it may be shown.
    pub(super) end: Option<Result<Arc<Completion>>>,
    /// Whether it is over and the store does not have its end.
    pub(super) unwritten: bool,
    /// Whether its text came from the store in one piece: the numbers that readers saw before mean nothing here.
    pub(super) rejoined: bool,
    /// What it takes of the router's memory.
    held: Held,
    /// Readers and what they have read.
    pub(super) readers: SmallVec<[(u64, u64); 1]>,
    wakers: SmallVec<[(u64, Waker); 1]>,
}

/// What one miner answered.
pub(super) struct Given {
    pub(super) fence: Fence,
    pub(super) miner: String,
    pub(super) answer: Answer,
    /// SHA-256 of its text, hexadecimal. Where answers are compared it is taken when the answer comes in, before another one is
    /// looked at; else it is empty until the end.
    pub(super) hash: String,
}

impl Live {
    /// A task that begins. `transcript` is empty and bounds the answer; what the task holds counts in `memory`.
    pub(super) fn new(spec: Arc<TaskSpec>, transcript: Transcript, memory: &Arc<Memory>, detached: bool) -> Arc<Self> {
        let first_weight = weight_of(&spec.request);
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
                state: TaskState::Queued,
                accepted: None,
                started_at: Timestamp(0),
                first_token_at: Timestamp(0),
                precommitted_at: Timestamp(0),
                assigned: Vec::new(),
                attempts: SmallVec::new(),
                answers: Vec::new(),
                failure: None,
                verdict: None,
                winner: None,
                outcome: None,
                error: None,
                ended_at: Timestamp(0),
                closed: None,
                end: None,
                unwritten: false,
                rejoined: false,
                held,
                readers: SmallVec::new(),
                wakers: SmallVec::new(),
            }),
        })
    }

    /// A number for one who waits.
    pub(super) fn waiter(&self) -> u64 {
        self.next_waiter.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts the ids into an error about this task.
    pub(super) fn sign(&self, error: Error) -> Error {
        error.with_ids(self.spec.session_id, Some(self.spec.id))
    }
}

impl LiveState {
    /// Wakes `waiter` at the next change.
    pub(super) fn wait(&mut self, waiter: u64, waker: &Waker) {
        match self.wakers.iter_mut().find(|(id, _)| *id == waiter) {
            Some((_, old)) => old.clone_from(waker),
            None => self.wakers.push((waiter, waker.clone())),
        }
    }

    /// `waiter` waits no more.
    pub(super) fn leave(&mut self, waiter: u64) {
        self.wakers.retain(|(id, _)| *id != waiter);
        self.readers.retain(|(id, _)| *id != waiter);
    }

    /// Takes the wakers, to be woken after the lock is released.
    pub(super) fn take_wakers(&mut self) -> SmallVec<[(u64, Waker); 1]> {
        std::mem::take(&mut self.wakers)
    }

    /// Bytes that the slowest reader has not taken.
    pub(super) fn backlog(&self) -> usize {
        self.readers.iter().map(|(_, seq)| self.transcript.backlog(*seq)).max().unwrap_or(0)
    }
}

/// Bytes by which the count of a text that grows is ahead of it, so that not every piece is counted on its own.
const AHEAD: u64 = 4 << 10;

/// Bytes that a task with that request takes before its first token.
pub(super) fn weight_of(request: &TaskRequest) -> u64 {
    TASK + crate::store::request_weight(request)
}

impl Live {
    /// Counts what has come since. `false`: the router holds more than it may.
    pub(super) fn grown(&self, state: &mut LiveState) -> bool {
        let weight = self.weight(state);
        weight <= state.held.bytes() || state.held.set(weight + AHEAD)
    }

    /// Gives back what an ended task needs no more. Answers what it still takes.
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

/// Wakes those who waited.
pub(super) fn wake(wakers: SmallVec<[(u64, Waker); 1]>) {
    for (_, waker) in wakers {
        waker.wake();
    }
}
