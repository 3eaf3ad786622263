//! The engine's record of a miner.

mod standing;

use smallvec::SmallVec;

use cortensor_router_model::{Fence, Gid, SessionId, Timestamp};

use super::breaker::Breaker;
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
///
/// The fields stand in the order in which they are declared. Those that a choice reads fill two lines of the
/// processor's cache: the last part of the rules and all fields up to the reservation.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct MinerEntry {
    rules: MinerRules,
    key: MinerKey,
    /// The number of tasks that it may have at present, running ones included.
    credits: u32,
    in_flight: u32,
    draining: bool,
    /// Whether it stands in the list of free miners.
    is_listed: bool,
    /// Whether a slot of this miner of another router is at hand.
    borrowed: bool,
    /// Whether it is kept for a session. Apart from the session's id this takes a byte instead of eight.
    is_reserved: bool,
    /// Tokens a second of one task, smoothed; 0 while unknown.
    speed: f64,
    served: u64,
    models: ModelIds,
    /// Its present rank.
    rank: Rank,
    /// How often its answers agree with those of others, smoothed; 1: always.
    reputation: f64,
    /// The session it is kept for, if it is.
    reserved_for: SessionId,
    /// The time until which it gets no tasks because its reputation is too low; `None`: it is not set aside.
    aside_until: Option<Timestamp>,
    /// The rank with which it stood in the list of free miners last.
    listed_rank: Rank,
    /// Its attempts, in ascending order.
    fences: SmallVec<[Fence; 2]>,
    breaker: Breaker,
    completed: u64,
    failed: u64,
    /// The sums from which its speed is computed.
    pace: Pace,
    /// Milliseconds to the first token, smoothed; 0 while unknown.
    first_token_ms: f64,
    /// The share of attempts that failed by its fault, smoothed.
    errors: f64,
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
            is_reserved: false,
            reserved_for: SessionId::default(),
            served: 0,
            completed: 0,
            failed: 0,
            rank: Rank::new(false, 0, 0, 0, key),
            is_listed: false,
            borrowed: false,
            listed_rank: Rank::new(false, 0, 0, 0, key),
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
        debug_assert!(!self.is_listed, "miner {:?} is listed by its old rules", self.key);
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
        FreeList::of(self.reserved(), self.rules.dedicated, &self.models)
    }

    /// Whether it stands in the list of free miners.
    pub(super) fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// The rank with which it stands in the list of free miners; `None`: it is not there.
    pub(super) fn listed(&self) -> Option<Rank> {
        self.is_listed.then_some(self.listed_rank)
    }

    /// Notes the rank with which it stands in the list of free miners from now on.
    pub(super) fn list(&mut self, rank: Option<Rank>) {
        self.is_listed = rank.is_some();
        self.listed_rank = rank.unwrap_or(self.listed_rank);
    }

    /// Notes that the miner got that attempt, which uses one of its credits.
    pub(super) fn started(&mut self, fence: Fence) {
        self.in_flight += 1;
        self.served += 1;
        self.borrowed = false;
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

    /// Sets how many tasks it may have.
    pub(super) fn set_credits(&mut self, credits: u32) {
        self.credits = credits;
        self.rerank();
    }

    /// The number of tasks that it could begin at once.
    pub(super) fn free(&self) -> u32 {
        if self.rules.is_foreign() { u32::from(self.borrowed) } else { self.credits.saturating_sub(self.in_flight) }
    }

    /// Notes whether a slot of this miner of another router is at hand.
    pub(super) fn set_borrowed(&mut self, borrowed: bool) {
        self.borrowed = borrowed;
    }

    /// The session that it is kept for.
    pub(super) fn reserved(&self) -> Option<SessionId> {
        self.is_reserved.then_some(self.reserved_for)
    }

    /// Keeps it for that session, or for none. It must not be listed as free meanwhile.
    pub(super) fn keep_for(&mut self, session: Option<SessionId>) {
        debug_assert!(!self.is_listed, "miner {:?} is listed for {:?}", self.key, self.reserved());
        (self.is_reserved, self.reserved_for) = (session.is_some(), session.unwrap_or_default());
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
            served: self.served,
            completed: self.completed,
            failed: self.failed,
            errors: self.errors,
            reputation: self.reputation,
            set_aside: self.is_set_aside(),
            reserved: self.reserved(),
            service_class: self.service_class(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn what_a_choice_reads_fills_two_lines_of_the_cache() {
        let lines = [offset_of!(MinerEntry, key), offset_of!(MinerEntry, served), offset_of!(MinerEntry, models)];
        assert_eq!(lines.map(|at| at / 64), [1, 1, 2]);
        assert_eq!((offset_of!(MinerEntry, models), offset_of!(MinerEntry, aside_until)), (128, 192));
    }
}
