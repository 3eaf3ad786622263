//! Retries are limited to a share of recent successes, so that retries cannot keep a failing fleet overloaded.

use cortensor_router_model::Timestamp;

/// A token bucket that successes and time fill.
#[derive(Debug)]
pub(super) struct RetryBudget {
    ratio: f64,
    floor_per_sec: f64,
    tokens: f64,
    at: Timestamp,
}

/// The greatest refill that the bucket holds, in seconds.
const WINDOW_SECS: f64 = 10.0;

impl RetryBudget {
    pub(super) fn new(ratio: f64, floor_per_sec: f64) -> Self {
        Self { ratio, floor_per_sec, tokens: floor_per_sec * WINDOW_SECS, at: Timestamp(0) }
    }

    /// Sets the share and the floor. The bucket keeps its content, up to its new size.
    pub(super) fn set(&mut self, ratio: f64, floor_per_sec: f64) {
        (self.ratio, self.floor_per_sec) = (ratio, floor_per_sec);
        self.tokens = self.tokens.min(self.cap());
    }

    pub(super) fn success(&mut self) {
        self.tokens = (self.tokens + self.ratio).min(self.cap());
    }

    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let passed = now.since(self.at) as f64 / 1_000.0;
        self.at = now;
        self.tokens = (self.tokens + passed * self.floor_per_sec).min(self.cap());
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    fn cap(&self) -> f64 {
        (self.floor_per_sec * WINDOW_SECS).max(100.0 * self.ratio).max(1.0)
    }
}
