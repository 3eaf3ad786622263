//! The engine's record of an attempt.

use cortensor_router_model::{Fence, Timestamp};

use super::rules::MinerKey;
use super::timer::Timer;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Offered,
    Running,
    Done,
}

/// One try of a task at one miner.
#[derive(Debug)]
pub(super) struct Attempt {
    fence: Fence,
    miner: MinerKey,
    state: State,
    /// Whether it began as a race with another attempt.
    hedge: bool,
    /// The time at which its timer is due.
    due: Timestamp,
    offered_at: Timestamp,
    first_token_at: Option<Timestamp>,
    /// The time of the miner's last sign of life.
    heard_at: Timestamp,
}

impl Attempt {
    /// An attempt that the miner is offered now. `accepted`: the miner takes every offer, so that the attempt runs at
    /// once. `due` is the time at which its timer is due.
    pub(super) fn offered(fence: Fence, miner: MinerKey, accepted: bool, due: Timestamp, now: Timestamp) -> Self {
        let state = if accepted { State::Running } else { State::Offered };
        Self { fence, miner, state, hedge: false, due, offered_at: now, first_token_at: None, heard_at: now }
    }

    /// Notes that it races another attempt.
    pub(super) fn race(&mut self) {
        self.hedge = true;
    }

    /// Whether it began as a race with another attempt. It is no try of its own then.
    pub(super) fn is_hedge(&self) -> bool {
        self.hedge
    }

    pub(super) fn fence(&self) -> Fence {
        self.fence
    }

    pub(super) fn miner(&self) -> MinerKey {
        self.miner
    }

    /// Whether the miner has neither taken nor declined the offer.
    pub(super) fn is_offered(&self) -> bool {
        self.state == State::Offered
    }

    /// Whether its answer is in.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether its first token has come.
    pub(super) fn has_begun(&self) -> bool {
        self.first_token_at.is_some()
    }

    /// The time of the miner's last sign of life.
    pub(super) fn heard_at(&self) -> Timestamp {
        self.heard_at
    }

    /// Its timer while it is under way, with the time at which the timer is due.
    pub(super) fn timer(&self) -> (Timestamp, Timer) {
        let timer = if self.is_offered() { Timer::Accept(self.fence) } else { Timer::Progress(self.fence) };
        (self.due, timer)
    }

    /// Notes the time at which its timer is due from now on.
    pub(super) fn wait_until(&mut self, due: Timestamp) {
        self.due = due;
    }

    /// Notes that the miner took the offer. From now on it may be silent until `due`.
    pub(super) fn accept(&mut self, now: Timestamp, due: Timestamp) {
        self.state = State::Running;
        self.heard_at = now;
        self.due = due;
    }

    /// Notes a sign of life of the miner. The timer stays where it is: when it is due it looks at this.
    pub(super) fn hear(&mut self, now: Timestamp) {
        self.heard_at = now;
    }

    /// Notes that its first token came. Returns the milliseconds that the token took; `None`: the token came before.
    pub(super) fn begin(&mut self, now: Timestamp) -> Option<u64> {
        if self.has_begun() {
            return None;
        }
        self.first_token_at = Some(now);
        Some(now.since(self.offered_at))
    }

    /// The milliseconds since its offer, at least 1.
    pub(super) fn took(&self, now: Timestamp) -> u64 {
        now.since(self.offered_at).max(1)
    }

    /// Notes that its answer is in. Returns the milliseconds that the answer took, at least 1.
    pub(super) fn finish(&mut self, now: Timestamp) -> u64 {
        self.state = State::Done;
        self.took(now)
    }
}
