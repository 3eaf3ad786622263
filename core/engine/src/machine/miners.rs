//! Adds, changes and removes miners.

use std::sync::Arc;

use cortensor_router_model::Fence;
use smallvec::SmallVec;

use super::Engine;
use crate::effect::{Effect, StopReason};
use crate::event::Blame;
use crate::rules::{MinerKey, MinerRules};
use crate::step::Step;

impl Engine {
    /// Adds a miner, keeps it for a session whose reservation lacks miners, and offers waiting tasks to it.
    pub(super) fn miner_up(&mut self, key: MinerKey, rules: MinerRules, step: &mut Step) {
        let reputation = self.trust.came(&rules.identity);
        self.fleet.insert(key, rules, reputation);
        self.judge_reputation(key, step.now());
        self.fleet.reindex(key);
        for session in self.sessions.short(step.now()) {
            self.reserve(session, step);
        }
        self.pump_for(key, step);
        // With this miner there may be as many as a session demands. All free miners may then have the session's
        // tasks.
        for lane in self.line.own_lanes() {
            self.pump(&lane, step);
        }
    }

    /// Sets how many tasks a miner may have.
    pub(super) fn credits(&mut self, key: MinerKey, credits: u32, step: &mut Step) {
        let Some(miner) = self.fleet.get_mut(key) else { return };
        let took_part = miner.takes_part();
        miner.set_credits(credits);
        if took_part && !miner.takes_part() {
            self.fleet.thin();
        }
        self.fleet.reindex(key);
        self.pump_for(key, step);
    }

    /// Sets the models of a miner.
    pub(super) fn models(&mut self, key: MinerKey, models: Vec<Arc<str>>, step: &mut Step) {
        if self.fleet.set_rules(key, |rules| rules.models = models) {
            self.pump_for(key, step);
            self.settle_continuing(step);
        }
    }

    /// Gives a miner no new tasks from now on.
    pub(super) fn drain_miner(&mut self, key: MinerKey) {
        let Some(miner) = self.fleet.get_mut(key) else { return };
        miner.drain();
        self.fleet.thin();
        self.fleet.reindex(key);
    }

    /// Offers all waiting tasks again after a miner has gone down: other miners may have the tasks that waited for it,
    /// and some tasks may have no miner left, or none that continues their text.
    pub(super) fn fleet_thinned(&mut self, step: &mut Step) {
        self.settle_continuing(step);
        if self.line.is_empty() {
            return;
        }
        for lane in self.line.lanes().cloned().collect::<Vec<_>>() {
            self.pump(&lane, step);
            self.watch_lane(&lane, step.now());
        }
        for gid in self.tasks.picky().collect::<Vec<_>>() {
            self.watch(gid, step.now());
        }
    }

    /// Removes a miner. The tasks that it had are tried again. Sessions whose last task it served keep its key, which
    /// no other miner ever gets.
    pub(super) fn miner_gone(&mut self, key: MinerKey, step: &mut Step) {
        if let Some(miner) = self.fleet.get_mut(key) {
            miner.drain();
        }
        self.fleet.unindex(key);
        let Some(fences) = self.fleet.get(key).map(|miner| SmallVec::<[Fence; 4]>::from(miner.fences())) else {
            return;
        };
        for fence in fences {
            // A miner that was removed on purpose still has a connection and must be told to stop.
            if let Some(gid) = self.tasks.owner(fence) {
                step.push(Effect::Stop { gid, miner: key, fence, reason: StopReason::Superseded });
            }
            self.attempt_lost(fence, Blame::Nobody, false, step);
        }
        self.drop_reservation(key);
        if let Some(identity) = self.fleet.remove(key)
            && self.fleet.by_identity(&identity).is_none()
        {
            self.trust.left(&identity);
        }
    }
}
