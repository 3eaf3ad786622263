//! Races a second miner against one that is slow to begin (Dean and Barroso, "The Tail at Scale", 2013): the first
//! token wins.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::event::StopReason;
use super::machine::Engine;
use super::settings::PlantedBug;
use super::step::Step;
use super::task::{AttemptState, TaskEntry};
use super::timer::Timer;
use cortensor_router_model::{Fence, Gid, Timestamp};

/// The number of latest first tokens of a model that its percentile is taken of.
const SAMPLES: usize = 256;
/// The minimum number of samples before the percentile is used.
const ENOUGH: usize = 20;
/// The percentile is computed again after so many samples.
const EVERY: u32 = 16;
/// The greatest number of models whose first tokens are remembered.
const MAX_MODELS: usize = 1_024;
/// The greatest number of hedges that may be saved up.
const MAX_SAVED: f64 = 10.0;

/// Times to the first token of one model.
#[derive(Debug, Default)]
struct FirstTokens {
    newest: VecDeque<u64>,
    since: u32,
    p95: Option<u64>,
}

impl FirstTokens {
    fn note(&mut self, millis: u64) {
        if self.newest.len() == SAMPLES {
            self.newest.pop_front();
        }
        self.newest.push_back(millis);
        self.since += 1;
        if self.newest.len() >= ENOUGH && (self.p95.is_none() || self.since >= EVERY) {
            self.since = 0;
            let mut sorted: Vec<u64> = self.newest.iter().copied().collect();
            sorted.sort_unstable();
            self.p95 = sorted.get(sorted.len() * 95 / 100).copied();
        }
    }
}

/// The state of hedging.
#[derive(Debug, Default)]
pub(super) struct Hedging {
    first_tokens: BTreeMap<Option<Arc<str>>, FirstTokens>,
    /// The number of hedges that may be made now.
    saved: f64,
}

impl Hedging {
    pub(super) fn note(&mut self, model: Option<&Arc<str>>, millis: u64) {
        let model = model.cloned();
        if self.first_tokens.len() >= MAX_MODELS && !self.first_tokens.contains_key(&model) {
            return;
        }
        self.first_tokens.entry(model).or_default().note(millis);
    }
}

impl TaskEntry {
    /// Whether two miners race for its first token.
    pub(super) fn races(&self) -> bool {
        self.attempts.len() as u32 > self.spec.required
    }
}

impl Engine {
    /// Notes that a task went to its miner; sets the time at which another one may race it.
    pub(super) fn watch_for_hedge(&mut self, gid: Gid, fence: Fence, now: Timestamp) {
        self.hedging.saved = (self.hedging.saved + self.settings.hedge_budget).min(MAX_SAVED);
        let Some(task) = self.tasks.get(&gid) else { return };
        if task.redundant() || task.spec.embedding || !task.spec.streaming {
            return;
        }
        let p95 = self.hedging.first_tokens.get(&task.lane.model).and_then(|first| first.p95);
        if let Some(p95) = p95 {
            self.timers.set(now.plus(p95.max(1)), Timer::Hedge(fence));
        }
    }

    /// Handles that no first token has come for longer than it nearly always takes.
    pub(super) fn hedge(&mut self, fence: Fence, step: &mut Step) {
        let Some(gid) = self.fences.get(&fence).copied() else { return };
        let Some(task) = self.tasks.get(&gid) else { return };
        let waits = match task.attempts.as_slice() {
            [only] => only.fence == fence && only.first_token_at.is_none() && only.state != AttemptState::Done,
            _ => false,
        };
        if !waits || task.is_ending() || self.hedging.saved < 1.0 {
            return;
        }
        let (lane, window) = (task.lane.clone(), [(task.place.tag, gid)]);
        let Some((gid, miner)) = self.choose(&lane, &window, task.place.tag, step.now) else { return };
        if self.fleet.get(miner).is_none_or(|miner| miner.rules.last_resort) {
            return;
        }
        self.hedging.saved -= 1.0;
        self.offer(gid, miner, true, step);
    }

    /// Stops the attempts that run beside the one whose answer is taken.
    pub(super) fn stop_others(&mut self, gid: Gid, winner: Fence, step: &mut Step) {
        let Some(task) = self.tasks.get_mut(&gid) else { return };
        let others: Vec<Fence> = task
            .attempts
            .iter()
            .filter(|a| a.fence != winner && a.state != AttemptState::Done)
            .map(|a| a.fence)
            .collect();
        if others.is_empty() || self.planted(PlantedBug::KeepBothHedges) {
            return;
        }
        self.stop_all(gid, &others, StopReason::Superseded, step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_needs_enough_and_follows_the_newest() {
        let mut first = FirstTokens::default();
        for n in 0..19 {
            first.note(n);
        }
        assert_eq!(first.p95, None);
        first.note(19);
        assert_eq!(first.p95, Some(19));
        for _ in 0..300 {
            first.note(7);
        }
        assert_eq!(first.p95, Some(7));
    }
}
