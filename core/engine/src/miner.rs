//! The engine's record of a miner.

use std::collections::BTreeSet;

use cortensor_router_model::{Fence, Gid, SessionId, Timestamp};

use super::breaker::{Breaker, BreakerState};
use super::line::LaneKey;
use super::pace::Pace;
use super::rules::{MinerKey, MinerRules};
use super::settings::EngineSettings;
use super::smoothing::smooth;

/// The weight of one attempt in a miner's share of errors.
const ERROR_SMOOTHING: f64 = 0.05;

/// The order among free miners: the least loaded first, then the fastest, then the one whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) last_resort: bool,
    load: u32,
    slowness: u32,
    turn: u64,
    pub(super) key: MinerKey,
}

#[derive(Debug)]
pub(super) struct MinerEntry {
    pub(super) rules: MinerRules,
    /// The number of tasks that it may have at present, running ones included.
    pub(super) credits: u32,
    pub(super) in_flight: u32,
    pub(super) draining: bool,
    pub(super) breaker: Breaker,
    /// Tokens a second of one task, smoothed; 0 while unknown.
    pub(super) speed: f64,
    /// The sums from which its speed is computed.
    pub(super) pace: Pace,
    /// Milliseconds to the first token, smoothed; 0 while unknown.
    pub(super) first_token_ms: f64,
    /// The share of attempts that failed by its fault, smoothed.
    pub(super) errors: f64,
    /// How often its answers agree with those of others, smoothed; 1: always.
    pub(super) reputation: f64,
    /// The time until which it gets no tasks because its reputation is too low; `None`: it is not set aside.
    pub(super) aside_until: Option<Timestamp>,
    /// The session it is kept for.
    pub(super) reserved: Option<SessionId>,
    pub(super) served: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    /// Its place among the free miners; `None`: it is not free.
    pub(super) rank: Option<Rank>,
    pub(super) fences: BTreeSet<Fence>,
}

impl MinerEntry {
    pub(super) fn new(rules: MinerRules, reputation: f64) -> Self {
        Self {
            credits: rules.capacity,
            rules,
            in_flight: 0,
            draining: false,
            breaker: Breaker::default(),
            speed: 0.0,
            pace: Pace::default(),
            first_token_ms: 0.0,
            errors: 0.0,
            reputation,
            aside_until: None,
            reserved: None,
            served: 0,
            completed: 0,
            failed: 0,
            rank: None,
            fences: BTreeSet::new(),
        }
    }

    /// Whether the miner may get a task now.
    pub(super) fn is_free(&self) -> bool {
        let trusted = match self.breaker.state() {
            BreakerState::Closed => true,
            BreakerState::HalfOpen => self.in_flight == 0,
            BreakerState::Open(_) => false,
        };
        !self.draining && self.aside_until.is_none() && trusted && self.in_flight < self.credits
    }

    pub(super) fn rank_of(&self, key: MinerKey) -> Rank {
        Rank {
            last_resort: self.rules.last_resort,
            load: (u64::from(self.in_flight) * 1_000 / u64::from(self.credits.max(1))) as u32,
            slowness: if self.speed > 0.0 { (1e6 / self.speed.max(0.001)) as u32 } else { 0 },
            turn: self.served * 100 / u64::from(self.rules.weight.max(1)),
            key,
        }
    }

    /// Notes that the miner got that attempt, which uses one of its credits.
    pub(super) fn started(&mut self, fence: Fence) {
        self.in_flight += 1;
        self.served += 1;
        self.fences.insert(fence);
    }

    /// Gives the credit of that attempt back. `false`: the miner does not have that attempt.
    pub(super) fn stopped(&mut self, fence: Fence) -> bool {
        let had = self.fences.remove(&fence);
        self.in_flight -= u32::from(had);
        had
    }

    /// Notes that the first token of an attempt came after that many milliseconds.
    pub(super) fn began_after(&mut self, millis: u64) {
        self.first_token_ms = smooth(self.first_token_ms, millis as f64);
    }

    /// Notes an answer of that many tokens, which took that many milliseconds.
    pub(super) fn succeeded(&mut self, tokens: u64, took_ms: u64) {
        self.completed += 1;
        self.errors -= ERROR_SMOOTHING * self.errors;
        self.breaker.success();
        if tokens > 0 {
            self.pace.note(tokens, took_ms);
            self.speed = self.pace.per_second();
        }
    }

    /// Notes that the miner failed at that task. If this failure opened its breaker, returns the time until which the
    /// miner gets no tasks.
    pub(super) fn failed_at(&mut self, task: Gid, now: Timestamp, settings: &EngineSettings) -> Option<Timestamp> {
        self.failed += 1;
        self.errors += ERROR_SMOOTHING * (1.0 - self.errors);
        self.breaker.failure(task, now, settings.breaker_failures, settings.breaker_open_ms)
    }

    /// Whether the miner can do the tasks of that lane.
    pub(super) fn could_serve(&self, lane: &LaneKey) -> bool {
        self.fit(lane).is_some()
    }

    /// Whether the miner can give one of several answers to a task of that lane, now or when it is up again.
    pub(super) fn could_answer_beside(&self, lane: &LaneKey) -> bool {
        self.could_serve(lane) && !self.rules.last_resort && !self.draining && self.aside_until.is_none()
    }

    /// Whether the miner can do the tasks of that lane and is not kept for another session.
    pub(super) fn serves(&self, lane: &LaneKey) -> bool {
        (self.reserved.is_none() || self.reserved == lane.own) && self.could_serve(lane)
    }

    /// Whether the miner gets tasks at present, free or not.
    pub(super) fn takes_part(&self) -> bool {
        !self.draining
            && self.aside_until.is_none()
            && self.credits > 0
            && !matches!(self.breaker.state(), BreakerState::Open(_))
    }
}
