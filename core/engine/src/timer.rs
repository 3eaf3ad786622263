//! Deadlines in order of time. The engine reads no clock; it says when the next deadline is due.

use cortensor_router_model::{Fence, Gid, SessionId, Timestamp};

use super::rules::MinerKey;
use super::sorted::Sorted;

/// The kinds of deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The task's time is up.
    Deadline(Gid),
    /// The answers that are in are compared without the missing ones.
    Precommit(Gid),
    /// The task may be tried again.
    Retry(Gid),
    /// The miner has not answered the offer.
    Accept(Fence),
    /// The miner has been silent.
    Progress(Fence),
    /// The miner is slow to begin: another one may race it.
    Hedge(Fence),
    /// The miner's breaker lets one task through.
    Breaker(MinerKey),
    /// The miner was set aside for long enough.
    SetAside(MinerKey),
    /// The session's reservation may be over.
    Reservation(SessionId),
    /// The task waits without any miner that could serve it.
    Unservable(Gid),
}

/// The deadlines.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: Sorted<(Timestamp, Timer)>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Timestamp, timer: Timer) {
        self.due.insert((at, timer));
    }

    pub(super) fn clear(&mut self, at: Timestamp, timer: Timer) {
        self.due.remove(&(at, timer));
    }

    /// The time of the next deadline.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes a deadline that is due.
    pub(super) fn pop(&mut self, now: Timestamp) -> Option<Timer> {
        let first = *self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.remove(&first);
        Some(first.1)
    }
}
