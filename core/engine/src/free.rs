//! The miners that are free, in the order in which they are considered, by the models that they serve.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::line::LaneKey;
use super::miner::Rank;
use super::rules::{MinerKey, MinerRules};
use cortensor_router_model::SessionId;
use cortensor_router_model::internals::twin;

/// The greatest number of free miners that one decision looks at.
pub(super) const CANDIDATES: usize = 16;

/// Free miners of one kind, by the models that they serve.
#[derive(Debug, Default)]
struct FreeOfKind {
    by_model: BTreeMap<Arc<str>, BTreeSet<Rank>>,
    any_model: BTreeSet<Rank>,
    all: BTreeSet<Rank>,
}

impl FreeOfKind {
    /// Adds the free miners that list the model to `out`.
    fn listers(&self, model: &str, most: usize, out: &mut Vec<MinerKey>) {
        if let Some(set) = self.by_model.get(model) {
            out.extend(set.iter().take(most).map(|rank| rank.key));
        }
    }

    fn candidates(&self, lane: &LaneKey, most: usize, out: &mut Vec<MinerKey>) {
        let Some(model) = &lane.model else {
            return out.extend(self.all.iter().take(most).map(|rank| rank.key));
        };
        self.listers(model, most, out);
        if !self.by_model.is_empty()
            && let Some(twin) = twin(model)
        {
            self.listers(&twin, most, out);
        }
        out.extend(self.any_model.iter().take(most).map(|rank| rank.key));
        if lane.any_model {
            out.extend(self.all.iter().take(most).map(|rank| rank.key));
        }
    }
}

/// Free miners.
#[derive(Debug, Default)]
pub(super) struct FreeMiners {
    ephemeral: FreeOfKind,
    dedicated: FreeOfKind,
    /// Free miners that are kept for a session; they are in no other set.
    reserved: BTreeMap<SessionId, BTreeSet<Rank>>,
}

impl FreeMiners {
    pub(super) fn insert(&mut self, rules: &MinerRules, reserved: Option<SessionId>, rank: Rank) {
        if let Some(session) = reserved {
            self.reserved.entry(session).or_default().insert(rank);
            return;
        }
        let kind = if rules.dedicated { &mut self.dedicated } else { &mut self.ephemeral };
        kind.all.insert(rank);
        if rules.models.is_empty() {
            kind.any_model.insert(rank);
        }
        for model in &rules.models {
            kind.by_model.entry(model.clone()).or_default().insert(rank);
        }
    }

    pub(super) fn remove(&mut self, rules: &MinerRules, reserved: Option<SessionId>, rank: Rank) {
        if let Some(session) = reserved {
            if let Some(set) = self.reserved.get_mut(&session) {
                set.remove(&rank);
                if set.is_empty() {
                    self.reserved.remove(&session);
                }
            }
            return;
        }
        let kind = if rules.dedicated { &mut self.dedicated } else { &mut self.ephemeral };
        kind.all.remove(&rank);
        if rules.models.is_empty() {
            kind.any_model.remove(&rank);
        }
        for model in &rules.models {
            if let Some(set) = kind.by_model.get_mut(model) {
                set.remove(&rank);
                if set.is_empty() {
                    kind.by_model.remove(model);
                }
            }
        }
    }

    /// The free miners that list the lane's model, of the kinds that it takes.
    pub(super) fn listers(&self, lane: &LaneKey, out: &mut Vec<MinerKey>) {
        let Some(model) = &lane.model else { return };
        if lane.mode.takes(false) {
            self.ephemeral.listers(model, CANDIDATES, out);
        }
        if lane.mode.takes(true) {
            self.dedicated.listers(model, CANDIDATES, out);
        }
    }

    pub(super) fn candidates(&self, lane: &LaneKey, out: &mut Vec<MinerKey>) {
        // Rules of the session may exclude the first miners, so all are collected.
        let most = if lane.own.is_some() { usize::MAX } else { CANDIDATES };
        if lane.mode.takes(false) {
            self.ephemeral.candidates(lane, most, out);
        }
        if lane.mode.takes(true) {
            self.dedicated.candidates(lane, most, out);
        }
        if let Some(reserved) = lane.own.and_then(|session| self.reserved.get(&session)) {
            out.extend(reserved.iter().map(|rank| rank.key));
        }
    }
}
