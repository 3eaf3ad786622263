//! The engine's record of a miner.

use smallvec::SmallVec;

use cortensor_router_model::{Fence, Gid, SessionId, Timestamp};

use super::breaker::{Breaker, BreakerState};
use super::free::FreeList;
use super::machine::MinerView;
use super::names::ModelIds;
use super::pace::Pace;
use super::rank::Rank;
use super::rules::{MinerKey, MinerRules};
use super::settings::EngineSettings;
use super::smoothing::smooth;

/// The weight of one attempt in a miner's share of errors.
const ERROR_SMOOTHING: f64 = 0.05;

/// A miner that is there: its credits and attempts, its measurements, and its place among the free miners.
#[derive(Debug)]
pub(super) struct MinerEntry {
    key: MinerKey,
    /// The number of tasks that it may have at present, running ones included.
    credits: u32,
    in_flight: u32,
    draining: bool,
    breaker: Breaker,
    /// Tokens a second of one task, smoothed; 0 while unknown.
    speed: f64,
    /// The sums from which its speed is computed.
    pace: Pace,
    /// Milliseconds to the first token, smoothed; 0 while unknown.
    first_token_ms: f64,
    /// The share of attempts that failed by its fault, smoothed.
    errors: f64,
    /// How often its answers agree with those of others, smoothed; 1: always.
    reputation: f64,
    /// The time until which it gets no tasks because its reputation is too low; `None`: it is not set aside.
    aside_until: Option<Timestamp>,
    /// The session it is kept for.
    reserved: Option<SessionId>,
    served: u64,
    completed: u64,
    failed: u64,
    /// Its present rank.
    rank: Rank,
    /// The rank with which it stands in the list of free miners; `None`: it is not there.
    listed: Option<Rank>,
    /// Its attempts, in ascending order.
    fences: SmallVec<[Fence; 2]>,
    models: ModelIds,
    rules: MinerRules,
}

impl MinerEntry {
    /// A miner that has just come. `models` are the numbers of the models in `rules`.
    pub(super) fn new(key: MinerKey, rules: MinerRules, models: ModelIds, reputation: f64) -> Self {
        let mut miner = Self {
            key,
            credits: rules.capacity,
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
            rank: Rank::new(false, 0, 0, 0, key),
            listed: None,
            fences: SmallVec::new(),
            models,
            rules,
        };
        miner.rerank();
        miner
    }

    pub(super) fn key(&self) -> MinerKey {
        self.key
    }

    pub(super) fn rules(&self) -> &MinerRules {
        &self.rules
    }

    /// The numbers of the models that it lists.
    pub(super) fn models(&self) -> &ModelIds {
        &self.models
    }

    /// Changes its rules. `rename` gets the old rules and models, changes the rules, and returns the new models. The
    /// miner must not be listed as free meanwhile.
    pub(super) fn change_rules(&mut self, rename: impl FnOnce(&mut MinerRules, &ModelIds) -> ModelIds) {
        debug_assert!(self.listed.is_none(), "miner {:?} is listed by its old rules", self.key);
        self.models = rename(&mut self.rules, &self.models);
        self.rerank();
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn fences(&self) -> &[Fence] {
        &self.fences
    }

    /// Tokens a second of one task, smoothed; 0 while unknown.
    pub(super) fn speed(&self) -> f64 {
        self.speed
    }

    /// The share of its credits that are in use.
    pub(super) fn load(&self) -> f64 {
        f64::from(self.in_flight) / f64::from(self.credits.max(1))
    }

    /// The share of attempts that failed by its fault, smoothed.
    pub(super) fn errors(&self) -> f64 {
        self.errors
    }

    /// Milliseconds to the first token, smoothed; 0 while unknown.
    pub(super) fn first_token_ms(&self) -> f64 {
        self.first_token_ms
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether the miner may get a task now.
    pub(super) fn is_free(&self) -> bool {
        let trusted = match self.breaker.state() {
            BreakerState::Closed => true,
            BreakerState::HalfOpen => self.in_flight == 0,
            BreakerState::Open(_) => false,
        };
        !self.draining && !self.is_set_aside() && trusted && self.in_flight < self.credits
    }

    /// Its present rank.
    pub(super) fn rank(&self) -> Rank {
        self.rank
    }

    fn rerank(&mut self) {
        self.rank = Rank::new(
            self.rules.last_resort,
            u64::from(self.in_flight) * 1_000 / u64::from(self.credits.max(1)),
            if self.speed > 0.0 { (1e6 / self.speed.max(0.001)) as u32 } else { 0 },
            self.served.saturating_mul(100) / u64::from(self.rules.weight.max(1)),
            self.key,
        );
    }

    /// The list of free miners in which it stands while it is free.
    pub(super) fn free_list(&self) -> FreeList<'_> {
        FreeList::of(self.reserved, self.rules.dedicated, &self.models)
    }

    /// The rank with which it stands in the list of free miners; `None`: it is not there.
    pub(super) fn listed(&self) -> Option<Rank> {
        self.listed
    }

    /// Notes the rank with which it stands in the list of free miners from now on.
    pub(super) fn list(&mut self, rank: Option<Rank>) {
        self.listed = rank;
    }

    /// Notes that the miner got that attempt, which uses one of its credits.
    pub(super) fn started(&mut self, fence: Fence) {
        self.in_flight += 1;
        self.served += 1;
        if let Err(at) = self.fences.binary_search(&fence) {
            self.fences.insert(at, fence);
        }
        self.rerank();
    }

    /// Gives the credit of that attempt back. `false`: the miner does not have that attempt.
    pub(super) fn stopped(&mut self, fence: Fence) -> bool {
        let Ok(at) = self.fences.binary_search(&fence) else { return false };
        self.fences.remove(at);
        self.in_flight -= 1;
        self.rerank();
        true
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
            self.rerank();
        }
    }

    /// Notes that the miner failed at that task. If this failure opened its breaker, returns the time until which the
    /// miner gets no tasks.
    pub(super) fn failed_at(&mut self, task: Gid, now: Timestamp, settings: &EngineSettings) -> Option<Timestamp> {
        self.failed += 1;
        self.errors += ERROR_SMOOTHING * (1.0 - self.errors);
        self.breaker.failure(task, now, settings.breaker_failures, settings.breaker_open_ms)
    }

    /// Lets one task try the miner if its breaker is open until then or for less.
    pub(super) fn try_breaker(&mut self, now: Timestamp) {
        if matches!(self.breaker.state(), BreakerState::Open(until) if until <= now) {
            self.breaker.half_open();
        }
    }

    /// The state of its breaker.
    pub(super) fn breaker(&self) -> BreakerState {
        self.breaker.state()
    }

    /// Sets how many tasks it may have.
    pub(super) fn set_credits(&mut self, credits: u32) {
        self.credits = credits;
        self.rerank();
    }

    /// Gives it no new tasks from now on.
    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    /// Whether it gets no tasks because its reputation is too low.
    pub(super) fn is_set_aside(&self) -> bool {
        self.aside_until.is_some()
    }

    pub(super) fn reputation(&self) -> f64 {
        self.reputation
    }

    pub(super) fn set_reputation(&mut self, reputation: f64) {
        self.reputation = reputation;
    }

    /// Sets it aside until that time if its reputation is below that one. Returns whether it did that now.
    pub(super) fn set_aside_below(&mut self, least: f64, until: Timestamp) -> bool {
        let now = self.reputation < least && self.aside_until.is_none();
        if now {
            self.aside_until = Some(until);
        }
        now
    }

    /// Ends the time for which it was set aside, with at least that reputation. `None`: it was not set aside.
    pub(super) fn come_back(&mut self, least: f64) -> Option<f64> {
        self.aside_until.take()?;
        self.reputation = self.reputation.max(least);
        Some(self.reputation)
    }

    /// The session that it is kept for.
    pub(super) fn reserved(&self) -> Option<SessionId> {
        self.reserved
    }

    /// Keeps it for that session, or for none. It must not be listed as free meanwhile.
    pub(super) fn keep_for(&mut self, session: Option<SessionId>) {
        debug_assert!(self.listed.is_none(), "miner {:?} is listed for {:?}", self.key, self.reserved);
        self.reserved = session;
    }

    /// Whether the miner gets tasks at present, free or not.
    pub(super) fn takes_part(&self) -> bool {
        !self.draining
            && !self.is_set_aside()
            && self.credits > 0
            && !matches!(self.breaker.state(), BreakerState::Open(_))
    }

    /// Its state, for the router and the simulator.
    pub(super) fn view(&self) -> MinerView {
        MinerView {
            credits: self.credits,
            in_flight: self.in_flight,
            draining: self.draining,
            breaker: self.breaker.state(),
            tokens_per_second: self.speed,
            first_token_ms: self.first_token_ms,
            completed: self.completed,
            failed: self.failed,
            errors: self.errors,
            reputation: self.reputation,
            set_aside: self.is_set_aside(),
            reserved: self.reserved,
            service_class: self.service_class(),
        }
    }
}
