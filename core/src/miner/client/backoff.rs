//! The wait before the next connection.

use std::time::Duration;

/// Windowed jitter: each try falls at a random point of its window. The windows follow each other without a gap, and
/// each is twice as long as the one before, up to the maximum. Many miners that lost the same router therefore come
/// back spread over each window, and none waits longer than two windows.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    base: u64,
    max: u64,
    window: u64,
    /// The rest of the last window, in milliseconds.
    left: u64,
}

impl Backoff {
    pub(super) fn new(base_ms: u64, max_ms: u64) -> Self {
        Self { base: base_ms, max: max_ms, window: base_ms, left: 0 }
    }

    /// Notes a success: the next window is the shortest one.
    pub(super) fn reset(&mut self) {
        (self.window, self.left) = (self.base, 0);
    }

    /// The next wait. `chance` is a random number.
    pub(super) fn next(&mut self, chance: u64) -> Duration {
        let point = chance % self.window;
        let wait = self.left + point;
        self.left = self.window - point;
        self.window = self.window.saturating_mul(2).min(self.max);
        Duration::from_millis(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_follow_each_other_and_double_up_to_the_longest() {
        let mut backoff = Backoff::new(1_000, 4_000);
        let (mut at, mut end) = (0, 0);
        for (window, chance) in [(1_000, 999), (2_000, 0), (4_000, 3_999), (4_000, 17), (4_000, 0)] {
            at += backoff.next(chance).as_millis() as u64;
            assert!((end..end + window).contains(&at), "{at} is in the window of {window} after {end}");
            end += window;
        }
        backoff.reset();
        assert!(backoff.next(u64::MAX) < Duration::from_secs(1));
    }
}
