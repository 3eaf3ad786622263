//! The breaker of a miner: it keeps tasks away from a miner that keeps failing, then tries the miner with one task.

use cortensor_router_model::{Gid, Timestamp};

/// The state of a miner's breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// The miner receives tasks normally.
    Closed,
    /// The miner receives no tasks until that time.
    Open(Timestamp),
    /// The miner receives one task, which tries it.
    HalfOpen,
}

/// Counts tasks that failed in a row, and decides how long the miner gets no tasks after them. A task counts once,
/// however many attempts it had, because a task that no miner can do says little about this miner.
#[derive(Debug, Clone)]
pub(super) struct Breaker {
    state: BreakerState,
    in_a_row: Vec<Gid>,
    /// The number of openings since the last success.
    opened: u32,
    /// The last outcomes, newest in the lowest bit; 1 is a failure.
    recent: u32,
    seen: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { state: BreakerState::Closed, in_a_row: Vec::new(), opened: 0, recent: 0, seen: 0 }
    }
}

/// The number of latest outcomes from which the failure rate is computed.
const RECENT: u32 = 20;

impl Breaker {
    pub(super) fn state(&self) -> BreakerState {
        self.state
    }

    pub(super) fn success(&mut self) {
        self.note(false);
        self.in_a_row.clear();
        self.opened = 0;
        self.state = BreakerState::Closed;
    }

    /// Notes that the task failed. Returns the time of the next try if this failure opened the breaker.
    pub(super) fn failure(&mut self, task: Gid, now: Timestamp, threshold: u32, open_ms: u64) -> Option<Timestamp> {
        if matches!(self.state, BreakerState::Open(_)) || self.in_a_row.contains(&task) {
            return None;
        }
        self.note(true);
        self.in_a_row.push(task);
        let rate = self.seen >= RECENT && self.recent.count_ones() * 2 > RECENT;
        if self.state != BreakerState::HalfOpen && self.in_a_row.len() < threshold as usize && !rate {
            return None;
        }
        self.in_a_row.clear();
        self.opened += 1;
        let until =
            now.plus(open_ms.saturating_mul(1 << u64::from((self.opened - 1).min(5))).min(open_ms.saturating_mul(20)));
        self.state = BreakerState::Open(until);
        Some(until)
    }

    /// Makes an open breaker half open: one task may try the miner.
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    #[test]
    fn a_task_counts_once_until_another_answer_is_good() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            assert_eq!(breaker.failure(Gid(1), NOW, 3, 100), None);
            assert_eq!(breaker.failure(Gid(2), NOW, 3, 100), None);
        }
        breaker.success();
        for task in [1, 2, 1, 2] {
            assert_eq!(breaker.failure(Gid(task), NOW, 3, 100), None);
        }
        assert_eq!(breaker.failure(Gid(3), NOW, 3, 100), Some(Timestamp(1_100)));
    }

    #[test]
    fn whoever_tries_it_again_in_vain_opens_it_for_longer() {
        let mut breaker = Breaker::default();
        assert_eq!(breaker.failure(Gid(1), NOW, 1, 100), Some(Timestamp(1_100)));
        assert_eq!(breaker.failure(Gid(2), NOW, 1, 100), None, "it is open already");
        breaker.half_open();
        assert_eq!(breaker.failure(Gid(1), Timestamp(1_100), 1, 100), Some(Timestamp(1_300)));
    }

    #[test]
    fn more_than_half_of_the_last_outcomes_open_it_whatever_their_order() {
        let mut breaker = Breaker::default();
        let opened = (0..60).find(|task| {
            if task % 3 == 0 {
                breaker.success();
                return false;
            }
            breaker.failure(Gid(*task), NOW, 100, 100).is_some()
        });
        assert_eq!(opened, Some(19));
    }
}
