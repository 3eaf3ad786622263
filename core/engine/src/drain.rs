//! Measures how fast the miners work off the waiting tasks.

use cortensor_router_model::Timestamp;

/// The rate at which the miners work off cost, smoothed over recent completions.
#[derive(Debug, Default)]
pub(super) struct DrainRate {
    /// Cost for each millisecond.
    rate: f64,
    window_start: Timestamp,
    window_cost: u64,
    windows: u32,
    /// The smoothed time of an answer in milliseconds; 0 while unknown.
    service_ms: f64,
    /// The smoothed mean deviation of the time of an answer, in milliseconds.
    deviation_ms: f64,
}

/// The window over which completions are summed up, in milliseconds.
const WINDOW_MS: u64 = 1_000;
/// The weight of one window in the rate.
const RATE_SMOOTHING: f64 = 0.1;
/// The weight of one measurement in the time of an answer.
const SERVICE_SMOOTHING: f64 = 0.02;

impl DrainRate {
    /// Notes that a task of that cost is done, and the milliseconds of its last attempt. The rate is measured only
    /// while tasks wait, because otherwise the miners are not fully used.
    pub(super) fn note(&mut self, cost: u64, took_ms: u64, waiting: bool, now: Timestamp) {
        let old = if self.service_ms > 0.0 { self.service_ms } else { took_ms as f64 };
        self.service_ms = old + SERVICE_SMOOTHING * (took_ms as f64 - old);
        self.deviation_ms += SERVICE_SMOOTHING * ((took_ms as f64 - old).abs() - self.deviation_ms);
        if !waiting || self.window_start.0 == 0 {
            self.window_start = if waiting { now } else { Timestamp(0) };
            self.window_cost = 0;
            return;
        }
        self.window_cost += cost;
        let passed = now.since(self.window_start);
        if passed >= WINDOW_MS {
            let rate = self.window_cost as f64 / passed as f64;
            self.windows = self.windows.saturating_add(1);
            // The first windows give a plain mean; later ones are smoothed. A rate that swings would admit too many
            // tasks whenever it is high.
            self.rate += (rate - self.rate) * RATE_SMOOTHING.max(1.0 / f64::from(self.windows));
            self.window_start = now;
            self.window_cost = 0;
        }
    }

    /// Milliseconds within which nearly every answer is given: Jacobson's estimate (RFC 6298).
    pub(super) fn answer_millis(&self) -> u64 {
        (self.service_ms + 4.0 * self.deviation_ms) as u64
    }

    /// The milliseconds in which the miners work off that cost; `None` while the rate is unknown.
    pub(super) fn millis(&self, cost: u64) -> Option<u64> {
        (self.windows >= 3 && self.rate > 0.0).then(|| (cost as f64 / self.rate) as u64)
    }
}
