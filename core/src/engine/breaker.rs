//! A miner that keeps failing is left alone for a while, then tried with one task.

use crate::model::Timestamp;

/// Whether a miner is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// It is.
    Closed,
    /// It is left alone until that time.
    Open(Timestamp),
    /// One task tries it.
    HalfOpen,
}

/// Consecutive failures, and for how long they keep a miner out.
#[derive(Debug, Clone)]
pub(super) struct Breaker {
    state: BreakerState,
    in_a_row: u32,
    /// How often it opened since the last success.
    opened: u32,
    /// The last outcomes, newest in the lowest bit, 1 a failure.
    recent: u32,
    seen: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: BreakerState::Closed, in_a_row: 0, opened: 0, recent: 0, seen: 0 }
    }
}

/// Outcomes that the failure rate is taken of.
const RECENT: u32 = 20;

impl Breaker {
    pub(super) fn state(&self) -> BreakerState {
        self.state
    }

    pub(super) fn success(&mut self) {
        self.note(false);
        self.in_a_row = 0;
        self.opened = 0;
        self.state = BreakerState::Closed;
    }

    /// Notes a failure. Answers when to try again, if that opened it.
    pub(super) fn failure(&mut self, now: Timestamp, threshold: u32, open_ms: u64) -> Option<Timestamp> {
        self.note(true);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let rate = self.seen >= RECENT && self.recent.count_ones() * 2 > RECENT;
        let trip = self.state == BreakerState::HalfOpen || self.in_a_row >= threshold || rate;
        if !trip || matches!(self.state, BreakerState::Open(_)) {
            return None;
        }
        self.opened += 1;
        let until =
            now.plus(open_ms.saturating_mul(1 << u64::from((self.opened - 1).min(5))).min(open_ms.saturating_mul(20)));
        self.state = BreakerState::Open(until);
        Some(until)
    }

    /// The time it was open is over: one task may try.
    pub(super) fn half_open(&mut self) {
        if matches!(self.state, BreakerState::Open(_)) {
            self.state = BreakerState::HalfOpen;
            self.recent = 0;
            self.seen = 0;
        }
    }

    fn note(&mut self, failed: bool) {
        self.recent = ((self.recent << 1) | u32::from(failed)) & ((1 << RECENT) - 1);
        self.seen = (self.seen + 1).min(RECENT);
    }
}
