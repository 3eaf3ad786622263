//! What is let in: bounds on what waits, and no task that would wait past its own deadline.

use crate::model::Timestamp;

use super::entry::LaneKey;
use super::event::{NewTask, Refusal};
use super::machine::Engine;

/// How fast cost is worked off, smoothed over recent completions.
#[derive(Debug, Default)]
pub(super) struct DrainRate {
    /// Cost a millisecond.
    rate: f64,
    window_start: Timestamp,
    window_cost: u64,
    windows: u32,
}

/// Milliseconds over which completions are summed up.
const WINDOW_MS: u64 = 1_000;

impl DrainRate {
    pub(super) fn note(&mut self, cost: u64, now: Timestamp) {
        if self.window_start.0 == 0 {
            self.window_start = now;
        }
        self.window_cost += cost;
        let passed = now.since(self.window_start);
        if passed >= WINDOW_MS {
            let rate = self.window_cost as f64 / passed as f64;
            self.rate = if self.windows == 0 { rate } else { 0.7 * self.rate + 0.3 * rate };
            self.windows = self.windows.saturating_add(1);
            self.window_start = now;
            self.window_cost = 0;
        }
    }

    /// Milliseconds to work off that cost; `None` while not enough was seen.
    fn millis(&self, cost: u64) -> Option<u64> {
        (self.windows >= 3 && self.rate > 0.0).then(|| (cost as f64 / self.rate) as u64)
    }
}

impl Engine {
    /// Whether the task may come in; else why not, and when to come back.
    pub(super) fn admit(&self, task: &NewTask, lane: &LaneKey, now: Timestamp) -> Result<(), (Refusal, u64)> {
        let Some(session) = self.sessions.get(&task.session) else { return Err((Refusal::NoSession, 0)) };
        let any = self.miners.values().any(|miner| miner.could_serve(lane));
        let nobody = if self.miners.is_empty() { Refusal::NoMiner } else { Refusal::NoModel };
        if task.shadow {
            return if any { Ok(()) } else { Err((nobody, 1_000)) };
        }
        if !session.rules.open {
            return Err((Refusal::SessionClosed, 0));
        }
        if session.rules.max_tasks > 0 && session.taken >= session.rules.max_tasks {
            return Err((Refusal::SessionExhausted, 0));
        }
        if self.settings.no_miner_grace_ms == 0 {
            if !any {
                return Err((nobody, 1_000));
            }
            let (wanted, there) = (session.rules.min_miners, self.able(task.session, lane));
            if there < wanted {
                return Err((Refusal::TooFewMiners { wanted, there }, 1_000));
            }
            if task.required > 1 {
                let there = self.miners.values().filter(|miner| miner.could_answer_beside(lane)).count() as u32;
                if there < task.required {
                    return Err((Refusal::TooFewMiners { wanted: task.required, there }, 1_000));
                }
            }
        }
        let wait = self.drain.millis(self.queued_cost);
        if self.queued_tasks >= self.settings.max_queued_tasks
            || self.queued_bytes + task.bytes > self.settings.max_queued_bytes
        {
            return Err((Refusal::QueueFull, wait.unwrap_or(1_000).clamp(1_000, 60_000) / 2));
        }
        if session.queued >= self.settings.max_queued_per_session {
            return Err((Refusal::SessionQueueFull, 1_000));
        }
        let left = task.deadline.since(now);
        match wait {
            Some(wait) if self.queued_tasks > 0 && wait > left => {
                Err((Refusal::DeadlineUnreachable, (wait - left).clamp(1_000, 60_000)))
            }
            _ => Ok(()),
        }
    }
}
