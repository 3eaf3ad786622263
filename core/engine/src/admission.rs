//! Decides which tasks are let in: waiting tasks are bounded, and a task that would wait past its own deadline is
//! refused.

use cortensor_router_model::Timestamp;

use super::event::{Demand, Refusal};
use super::line::LaneKey;
use super::machine::Engine;

/// The rate at which cost is worked off, smoothed over recent completions.
#[derive(Debug, Default)]
pub(super) struct DrainRate {
    /// Cost a millisecond.
    rate: f64,
    window_start: Timestamp,
    window_cost: u64,
    windows: u32,
    /// Milliseconds that an answer takes, smoothed; 0 while unknown.
    service_ms: f64,
    /// The mean deviation of answers from that, smoothed.
    deviation_ms: f64,
}

/// The window in milliseconds over which completions are summed up.
const WINDOW_MS: u64 = 1_000;
/// The weight of one window in the rate.
const RATE_SMOOTHING: f64 = 0.1;
/// The weight of one measurement in the time of an answer.
const SERVICE_SMOOTHING: f64 = 0.02;

impl DrainRate {
    /// Notes that a task of that cost is done, and how long its last attempt took. The speed of the miners shows only
    /// while tasks wait for them.
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
            // The first ones give a mean, later ones are smoothed: an estimate that swings lets in too much whenever
            // it is high.
            self.rate += (rate - self.rate) * RATE_SMOOTHING.max(1.0 / f64::from(self.windows));
            self.window_start = now;
            self.window_cost = 0;
        }
    }

    /// Milliseconds within which nearly every answer is given: Jacobson's estimate (RFC 6298).
    fn answer_millis(&self) -> u64 {
        (self.service_ms + 4.0 * self.deviation_ms) as u64
    }

    /// Milliseconds to work off that cost; `None` while not enough was seen.
    fn millis(&self, cost: u64) -> Option<u64> {
        (self.windows >= 3 && self.rate > 0.0).then(|| (cost as f64 / self.rate) as u64)
    }
}

impl Engine {
    /// The number of miners that could answer such a task beside each other, now or when they are up again.
    fn answerers(&self, lane: &LaneKey) -> u32 {
        self.fleet.values().filter(|miner| miner.could_answer_beside(lane)).count() as u32
    }

    /// The number of answers to a task that wants at most so many: as many as there are miners for it, and at least
    /// one.
    pub fn answers_for(&self, task: &Demand, most: u32) -> u32 {
        let lane = self.lane_of(task);
        // Miners that list the model are not compared with miners that take any.
        let fits =
            || self.fleet.values().filter(|miner| miner.could_answer_beside(&lane)).map(|miner| miner.fit(&lane));
        let best = fits().min();
        most.min(fits().filter(|fit| Some(*fit) == best).count() as u32).max(1)
    }

    /// Whether the task may come in; otherwise the reason, and when to come back.
    pub(super) fn admit(&self, task: &Demand, lane: &LaneKey, now: Timestamp) -> Result<(), (Refusal, u64)> {
        let Some(session) = self.sessions.get(&task.session) else { return Err((Refusal::NoSession, 0)) };
        let any = self.fleet.values().any(|miner| miner.could_serve(lane));
        let nobody = if self.fleet.is_empty() { Refusal::NoMiner } else { Refusal::NoModel };
        if task.shadow {
            return if any { Ok(()) } else { Err((nobody, 1_000)) };
        }
        if !session.rules.open {
            return Err((Refusal::SessionClosed, 0));
        }
        if session.rules.max_tasks.is_some_and(|most| session.taken >= most.get()) {
            return Err((Refusal::SessionExhausted, 0));
        }
        if any {
            let (wanted, there) = (session.rules.min_miners, self.able(task.session, lane));
            if there < wanted {
                return Err((Refusal::TooFewMiners { wanted, there }, 1_000));
            }
            if task.required > 1 {
                let there = self.answerers(lane);
                if there < task.required {
                    return Err((Refusal::TooFewMiners { wanted: task.required, there }, 1_000));
                }
            }
        } else {
            // A miner that was there may come back; a name that nobody ever had is a mistake.
            let hope =
                self.fleet.is_empty() || lane.model.as_ref().is_some_and(|model| self.fleet.names().is_away(model));
            if self.settings.no_miner_grace_ms == 0 || !hope {
                return Err((nobody, 1_000));
            }
        }
        let wait = self.drain.millis(self.line.cost_before(session.finish, task.band.unwrap_or(session.rules.band)));
        if self.line.tasks() >= self.settings.max_queued_tasks
            || self.line.bytes() + task.bytes > self.settings.max_queued_bytes
        {
            return Err((Refusal::QueueFull, wait.unwrap_or(1_000).clamp(1_000, 60_000) / 2));
        }
        if session.queued >= self.settings.max_queued_per_session {
            return Err((Refusal::SessionQueueFull, 1_000));
        }
        let left = task.deadline.since(now);
        // The task has to wait, and then to be answered.
        match wait.map(|wait| wait + self.drain.answer_millis().min(left / 2)) {
            Some(wait) if self.line.tasks() > 0 && wait > left => {
                Err((Refusal::DeadlineUnreachable, (wait - left).clamp(1_000, 60_000)))
            }
            _ => Ok(()),
        }
    }
}
