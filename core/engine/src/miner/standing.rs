//! Whether a miner gets tasks: its breaker, its reputation, and whether it drains.

use super::MinerEntry;
use crate::breaker::BreakerState;
use cortensor_router_model::Timestamp;

impl MinerEntry {
    pub(crate) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the miner may get a task now.
    pub(crate) fn is_free(&self) -> bool {
        let trusted = match self.breaker.state() {
            BreakerState::Closed => true,
            BreakerState::HalfOpen => self.in_flight == 0,
            BreakerState::Open(_) => false,
        };
        !self.draining && !self.is_set_aside() && trusted && self.free() > 0
    }

    /// Whether the miner gets tasks at present, free or not.
    pub(crate) fn takes_part(&self) -> bool {
        !self.draining
            && !self.is_set_aside()
            && self.credits > 0
            && !matches!(self.breaker.state(), BreakerState::Open(_))
    }

    /// Whether the miner gets tasks at present, or comes up for them.
    pub(crate) fn is_there(&self) -> bool {
        self.takes_part() || self.rules.on_call && !self.draining && !self.is_set_aside()
    }

    /// Lets one task try the miner if its breaker is open until then or for less.
    pub(crate) fn try_breaker(&mut self, now: Timestamp) {
        if matches!(self.breaker.state(), BreakerState::Open(until) if until <= now) {
            self.breaker.half_open();
        }
    }

    /// The state of its breaker.
    pub(crate) fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Gives it no new tasks from now on.
    pub(crate) fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether it gets no tasks because its reputation is too low.
    pub(crate) fn is_set_aside(&self) -> bool {
        self.aside_until.is_some()
    }

    pub(crate) fn reputation(&self) -> f64 {
        self.reputation
    }

    pub(crate) fn set_reputation(&mut self, reputation: f64) {
        self.reputation = reputation;
    }

    /// Sets it aside until that time if its reputation is below that one. Returns whether it did that now.
    pub(crate) fn set_aside_below(&mut self, least: f64, until: Timestamp) -> bool {
        let now = self.reputation < least && self.aside_until.is_none();
        if now {
            self.aside_until = Some(until);
        }
        now
    }

    /// Ends the time for which it was set aside, with at least that reputation. `None`: it was not set aside.
    pub(crate) fn come_back(&mut self, least: f64) -> Option<f64> {
        self.aside_until.take()?;
        self.reputation = self.reputation.max(least);
        Some(self.reputation)
    }
}
