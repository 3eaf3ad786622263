//! The miners that are there, and the indexes by which one of them is found.

use std::sync::Arc;

use super::breaker::BreakerState;
use super::free::FreeMiners;
use super::identities::Identities;
use super::lane::LaneKey;
use super::miner::MinerEntry;
use super::names::{ModelId, Names, Placed};
use super::prefix::{Matches, Prefixes};
use super::rules::{MinerKey, MinerRules};
use super::settings::EngineSettings;
use super::slots::Slots;
use super::sorted::Sorted;
use super::table::Table;
use cortensor_router_model::{Fence, Gid, SessionId, Timestamp};

/// All miners.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    miners: Slots<MinerKey, MinerEntry>,
    by_identity: Identities,
    by_owner: Table<Arc<str>, Sorted<MinerKey>>,
    free: FreeMiners,
    names: Names,
    /// The miners of other routers by their routers.
    foreign: Sorted<Placed>,
    prefixes: Prefixes,
    /// Whether some miner has gone down since [`take_thinned`](Self::take_thinned) was last called. Other miners may
    /// then have the tasks that waited for it.
    thinned: bool,
    /// The breakers that changed in the last step, with their new states.
    switched: Vec<(MinerKey, BreakerState)>,
    /// Whether an own miner was kept for a session, or given back, in the last step.
    rekept: bool,
}

impl Fleet {
    /// Adds a miner. It is not listed as free before [`reindex`](Self::reindex).
    pub(super) fn insert(&mut self, key: MinerKey, rules: MinerRules, reputation: f64) {
        let identity = rules.identity.clone();
        self.by_owner.entry(rules.owner.clone(), Sorted::default).insert(key);
        if rules.is_foreign() {
            self.foreign.insert((rules.host, key));
        }
        let models = self.names.insert(key, &rules);
        self.miners.insert(key, MinerEntry::new(key, rules, models, reputation));
        let miners = &self.miners;
        self.by_identity.insert(key, &identity, |key| is(miners, key, &identity));
    }

    /// Removes a miner that has no task any more. Returns its identity.
    pub(super) fn remove(&mut self, key: MinerKey) -> Option<Arc<str>> {
        self.unindex(key);
        self.thinned = true;
        let miner = self.miners.remove(key)?;
        let rules = miner.rules();
        self.foreign.remove(&(rules.host, key));
        self.names.remove(key, rules, miner.models());
        if let Some(owned) = self.by_owner.get_mut(&rules.owner) {
            owned.remove(&key);
            if owned.is_empty() {
                self.by_owner.remove(&rules.owner);
            }
        }
        self.by_identity.remove(key, &rules.identity);
        Some(rules.identity.clone())
    }

    /// A miner.
    pub(super) fn get(&self, key: MinerKey) -> Option<&MinerEntry> {
        self.miners.get(key)
    }

    /// A miner, to change its measurements or its state. To change its rules or the session that it is kept for, use
    /// [`set_rules`](Self::set_rules) and [`keep_for`](Self::keep_for), which also update the indexes.
    pub(super) fn get_mut(&mut self, key: MinerKey) -> Option<&mut MinerEntry> {
        self.miners.get_mut(key)
    }

    /// The miner of that identity.
    pub(super) fn by_identity(&self, identity: &str) -> Option<MinerKey> {
        self.by_identity.get(identity, |key| is(&self.miners, key, identity))
    }

    /// The miners of the owners that are wanted.
    pub(super) fn of_owners(&self, wanted: impl Fn(&Arc<str>) -> bool) -> impl Iterator<Item = &MinerEntry> {
        let owners = self.by_owner.iter().filter(move |(owner, _)| wanted(owner));
        owners.flat_map(|(_, keys)| keys.iter()).filter_map(|key| self.get(*key))
    }

    /// All miners, in the order of their keys.
    pub(super) fn values(&self) -> impl Iterator<Item = &MinerEntry> + Clone {
        self.miners.values()
    }

    /// The miners that the model of that lane does not exclude: those that list it or its twin, and those that list no
    /// models; all, if the lane takes any model. Nothing that concerns one lane looks at further miners.
    pub(super) fn of_lane<'a>(&'a self, lane: &'a LaneKey) -> impl Iterator<Item = &'a MinerEntry> + Clone {
        let models = self.models_of(lane);
        let all = models.is_none().then(|| self.values()).into_iter().flatten();
        let others = models.is_some().then(|| self.names.unlisting()).into_iter().flatten();
        let listers = models.into_iter().flatten().flat_map(|(model, before)| {
            let listers = self.names.listers(model).filter_map(|key| self.get(key));
            // A miner that lists both comes once.
            listers.filter(move |miner| before.is_none_or(|before| !miner.models().contains(&before)))
        });
        listers.chain(others.filter_map(|key| self.get(key))).chain(all)
    }

    /// The models by which the miners of that lane are found, each with the one before it: the model that the lane names, and
    /// its twin. Often a miner that lists the model is found, and its twin is not looked up. `None`: any model will do.
    fn models_of<'a, 'b>(
        &'a self,
        lane: &'b LaneKey,
    ) -> Option<impl Iterator<Item = (ModelId, Option<ModelId>)> + Clone + use<'a, 'b>> {
        if lane.model().is_none() || lane.takes_any_model() {
            return None;
        }
        let named = self.names.id_of(lane);
        let twin = std::iter::once_with(move || self.names.twin_of(lane)).flatten();
        Some(named.map(|model| (model, None)).into_iter().chain(twin.map(move |twin| (twin, named))))
    }

    /// The miners of [`of_lane`](Self::of_lane) by their routers, in sets that have some miners in common.
    pub(super) fn placed_of_lane<'a, 'b>(
        &'a self,
        lane: &'b LaneKey,
    ) -> impl Iterator<Item = &'a Sorted<Placed>> + use<'a, 'b> {
        let models = self.models_of(lane);
        let all = models.is_none().then_some(&self.foreign);
        let others = models.is_some().then(|| self.names.placed_unlisting());
        let listers = models.into_iter().flatten().filter_map(|(model, _)| self.names.placed_listers(model));
        listers.chain(others).chain(all)
    }

    /// Whether miners of other routers are there.
    pub(super) fn has_foreign(&self) -> bool {
        !self.foreign.is_empty()
    }

    /// Whether there is no miner.
    pub(super) fn is_empty(&self) -> bool {
        self.miners.is_empty()
    }

    /// Changes the rules of a miner and updates the indexes. Returns whether the miner is there.
    pub(super) fn set_rules(&mut self, key: MinerKey, change: impl FnOnce(&mut MinerRules)) -> bool {
        let listed = self.unindex(key);
        let Some(miner) = self.miners.get_mut(key) else { return false };
        let names = &mut self.names;
        miner.change_rules(|rules, models| {
            names.remove(key, rules, models);
            change(rules);
            names.insert(key, rules)
        });
        self.thinned = true;
        if listed {
            self.reindex(key);
        }
        true
    }

    /// Keeps a miner for that session, or for none.
    pub(super) fn keep_for(&mut self, key: MinerKey, session: Option<SessionId>) {
        self.unindex(key);
        if let Some(miner) = self.miners.get_mut(key) {
            self.rekept |= !miner.rules().is_foreign();
            miner.keep_for(session);
        }
        self.reindex(key);
    }

    /// Takes the miner off the list of free miners. Returns whether it was on the list.
    pub(super) fn unindex(&mut self, key: MinerKey) -> bool {
        let Some(miner) = self.miners.get_mut(key) else { return false };
        let Some(rank) = miner.listed() else { return false };
        miner.list(None);
        self.free.remove(miner.free_list(), rank);
        true
    }

    /// Puts the miner into its place in the list of free miners, or leaves it out if it is not free.
    pub(super) fn reindex(&mut self, key: MinerKey) {
        let Some(miner) = self.miners.get_mut(key) else { return };
        let (was, now) = (miner.listed(), miner.is_free().then(|| miner.rank()));
        if was == now {
            return;
        }
        miner.list(now);
        match (was, now) {
            (Some(was), Some(now)) => self.free.replace(miner.free_list(), was, now),
            (Some(rank), None) => self.free.remove(miner.free_list(), rank),
            (None, Some(rank)) => self.free.insert(miner.free_list(), rank),
            (None, None) => {}
        }
    }

    /// Notes that a miner failed at that task. If this failure opened its breaker, returns the time until which the
    /// miner gets no tasks; the miner is then no longer listed as free.
    pub(super) fn failed(
        &mut self,
        key: MinerKey,
        task: Gid,
        now: Timestamp,
        settings: &EngineSettings,
    ) -> Option<Timestamp> {
        let until = self.miners.get_mut(key)?.failed_at(task, now, settings)?;
        self.unindex(key);
        self.thinned = true;
        self.switched.push((key, BreakerState::Open(until)));
        Some(until)
    }

    /// Notes an answer of a miner: that many tokens, which took that many milliseconds.
    pub(super) fn succeeded(&mut self, key: MinerKey, tokens: u64, took_ms: u64) {
        self.note_switch(key, |miner| miner.succeeded(tokens, took_ms));
    }

    /// Lets one task try a miner if its breaker is open until then or for less.
    pub(super) fn try_breaker(&mut self, key: MinerKey, now: Timestamp) {
        self.note_switch(key, |miner| miner.try_breaker(now));
    }

    /// Changes a miner, and notes whether its breaker has changed.
    fn note_switch(&mut self, key: MinerKey, change: impl FnOnce(&mut MinerEntry)) {
        let Some(miner) = self.get_mut(key) else { return };
        let was = miner.breaker();
        change(miner);
        let is = miner.breaker();
        if was != is {
            self.switched.push((key, is));
        }
    }

    /// The breakers that changed since [`begin_step`](Self::begin_step), with their new states.
    pub(super) fn switched(&self) -> &[(MinerKey, BreakerState)] {
        &self.switched
    }

    /// Whether an own miner was kept for a session, or given back, since [`begin_step`](Self::begin_step).
    pub(super) fn has_rekept(&self) -> bool {
        self.rekept
    }

    /// Forgets what changed in the last step.
    pub(super) fn begin_step(&mut self) {
        self.switched.clear();
        self.rekept = false;
    }

    /// Notes that a miner has gone down.
    pub(super) fn thin(&mut self) {
        self.thinned = true;
    }

    /// Whether a miner has gone down since the last call of this function.
    pub(super) fn take_thinned(&mut self) -> bool {
        std::mem::take(&mut self.thinned)
    }

    /// The free miners.
    pub(super) fn free(&self) -> &FreeMiners {
        &self.free
    }

    /// The names under which tasks ask for miners.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// The miners that have read the most of a prompt.
    pub(super) fn readers(&self, marks: &[u64]) -> Matches {
        self.prefixes.matches(marks)
    }

    /// Notes that a miner reads a prompt.
    pub(super) fn note_reading(&mut self, marks: &[u64], key: MinerKey) {
        self.prefixes.note(marks, key);
    }

    /// Whether some miner is up, or comes up, that could serve the tasks of that lane, busy or not.
    pub(super) fn attends(&self, lane: &LaneKey) -> bool {
        self.of_lane(lane).any(|miner| miner.is_there() && miner.could_serve(lane))
    }

    /// Checks the counts of each miner, the list of the free ones, and that each attempt that a miner has counts.
    ///
    /// # Errors
    /// A text that says which count or list is wrong.
    pub(super) fn check(&self, counts: impl Fn(Fence) -> bool) -> Result<(), String> {
        let owned: usize = self.by_owner.values().map(Sorted::len).sum();
        if owned != self.miners.len() {
            return Err(format!("{} miners are there, and owners have {owned}", self.miners.len()));
        }
        for (key, miner) in self.miners.iter() {
            let (held, counted) = (miner.fences().len(), miner.in_flight());
            if counted as usize != held {
                return Err(format!("miner {key:?} has {held} tasks, but {counted} are counted"));
            }
            if let Some(fence) = miner.fences().iter().find(|fence| !counts(**fence)) {
                return Err(format!("miner {key:?} holds the fence {fence}, which counts no more"));
            }
            let (free, listed) = (miner.is_free().then(|| miner.rank()), miner.listed());
            if free != listed {
                return Err(format!("miner {key:?} has the rank {free:?} while free, but is listed with {listed:?}"));
            }
        }
        Ok(())
    }
}

/// Whether that miner has that identity.
fn is(miners: &Slots<MinerKey, MinerEntry>, key: MinerKey, identity: &str) -> bool {
    miners.get(key).is_some_and(|miner| *miner.rules().identity == *identity)
}
