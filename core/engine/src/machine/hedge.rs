//! Races a second miner against one that is slow to begin (Dean and Barroso, "The Tail at Scale", 2013): the first
//! token wins.

use super::Engine;
use crate::effect::StopReason;
use crate::lend::{Need, Want, Wanted};
use crate::miner::MinerEntry;
use crate::rules::{MinerKey, MinerRules};
use crate::step::Step;
use crate::timer::Timer;
use cortensor_router_model::{Fence, Gid, Timestamp};

impl Engine {
    /// Sets the time at which another miner may race the one that has just got the task.
    pub(super) fn watch_for_hedge(&mut self, gid: Gid, fence: Fence, now: Timestamp) {
        self.hedging.save(self.settings.hedge_budget);
        let Some(task) = self.tasks.known(gid) else { return };
        if task.redundant() || task.demand().embedding || !task.demand().streaming {
            return;
        }
        if let Some(wait) = self.hedging.usual_wait(task.lane().model()) {
            self.timers.set(now.plus(wait.max(1)), Timer::Hedge(fence));
        }
    }

    /// Starts a race if the first token of an attempt has taken longer than usual.
    pub(super) fn hedge(&mut self, fence: Fence, step: &mut Step) {
        let Some((gid, task, _)) = self.tasks.attempt(fence) else { return };
        if task.unbegun().is_none_or(|slow| slow.fence() != fence) || !self.hedging.may_hedge() {
            return;
        }
        let (lane, window) = (task.lane().clone(), [(task.place().tag(), gid)]);
        let chosen = self.choose(&lane, &window, window[0].0, step.now());
        let own = chosen.and_then(|(_, key)| self.fleet.get(key)).filter(|miner| !miner.rules().last_resort);
        match own.map(MinerEntry::key) {
            Some(miner) => {
                self.hedging.spend();
                self.offer(gid, miner, true, step);
            }
            // Another router may have a free one.
            None if self.fleet.has_foreign() => self.tasks.note_slow(gid),
            None => {}
        }
    }

    /// Adds the tasks that miners of other routers may race for to those that wait: at most `most` of each lane.
    pub(super) fn want_races(&self, most: usize, all: &mut Vec<Wanted>) {
        if !self.hedging.may_hedge() {
            return;
        }
        for gid in self.tasks.slow().take(self.settings.scan_window) {
            let Some((need, want)) = self.want_race(gid) else { continue };
            match all.iter_mut().find(|wanted| wanted.need == need) {
                Some(wanted) if wanted.wants.len() < most => wanted.wants.push(want),
                Some(_) => {}
                None => all.push(Wanted { need, wants: vec![want] }),
            }
        }
    }

    /// The word for a task whose attempt miners of other routers may race, with its needs.
    fn want_race(&self, gid: Gid) -> Option<(Need, Want)> {
        let task = self.tasks.get(gid)?;
        let rival = self.fleet.get(task.unbegun()?.miner())?.rules();
        let lane = task.lane();
        let limits = self.limits(lane).ok()?;
        let hosts = self.hosts(lane, limits.as_ref());
        let apart = vec![(rival.identity.clone(), rival.owner.clone())];
        let want = Want { races: true, apart, ..Self::word(gid, task) };
        let want = self.addressed(want, task, &hosts, limits.as_ref(), |miner| is_apart(miner.rules(), rival))?;
        Some((lane.to_need(), want))
    }

    /// Lets the miner of another router, of which a slot is at hand, race an attempt that is slow to begin.
    pub(super) fn race_at(&mut self, key: MinerKey, step: &mut Step) {
        let is_free = self.fleet.get(key).is_some_and(MinerEntry::is_free);
        if !is_free || !self.hedging.may_hedge() {
            return;
        }
        let slow = self.tasks.slow().take(self.settings.scan_window).find(|gid| self.may_race(*gid, key));
        if let Some(gid) = slow {
            self.hedging.spend();
            self.offer(gid, key, true, step);
        }
    }

    /// Whether that free miner of another router may race the task's attempt.
    fn may_race(&self, gid: Gid, key: MinerKey) -> bool {
        let (Some(task), Some(miner)) = (self.tasks.get(gid), self.fleet.get(key)) else { return false };
        let rival = task.unbegun().and_then(|slow| self.fleet.get(slow.miner()));
        let lane = task.lane();
        let Ok(limits) = self.limits(lane) else { return false };
        rival.is_some_and(|rival| is_apart(miner.rules(), rival.rules()))
            && self.is_pair(lane, gid, key, limits.as_ref())
    }

    /// Stops the attempts that run beside the one whose answer is taken.
    pub(super) fn stop_others(&mut self, gid: Gid, winner: Fence, step: &mut Step) {
        let Some(task) = self.tasks.known(gid) else { return };
        let others: Vec<Fence> = task.under_way().into_iter().filter(|fence| *fence != winner).collect();
        if others.is_empty() {
            return;
        }
        self.stop_all(gid, &others, StopReason::Superseded, step);
    }
}

/// Whether a miner is another one than the rival, and of another owner. A miner without an owner is its own owner.
fn is_apart(miner: &MinerRules, rival: &MinerRules) -> bool {
    miner.identity != rival.identity && (miner.owner.is_empty() || miner.owner != rival.owner)
}
