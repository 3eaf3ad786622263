//! Ranks how well a miner suits a task's model. Miners that list the model come first; miners that list none get the
//! task only while no such miner is up. A miner that takes any model therefore never answers in the place of one that
//! has the right model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::line::LaneKey;
use super::miner::MinerEntry;
use super::rules::{MinerKey, MinerRules};
use cortensor_router_model::internals::{are_twins, twin};

/// The rank of a miner for a model, from the best to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It lists the model, is called by its name and lists none, or no model is asked for.
    Named,
    /// It lists the model with the tag `latest`, which a name without a tag means.
    Latest,
    /// It lists no models: it takes any.
    Any,
    /// It lists other models, and the task takes any model if its own does not exist.
    Other,
    /// It answers only if no other miner could.
    LastResort,
}

impl MinerRules {
    /// The rank of the miner for that model; `None`: the miner does not serve the model.
    fn fit(&self, model: Option<&str>, any_model: bool) -> Option<Fit> {
        let lists = match model {
            None => Some(Fit::Named),
            // Its list is not known yet.
            Some(_) if self.models.is_empty() && self.awaited => Some(Fit::Named),
            Some(model) if self.models.is_empty() && *self.called == *model => return Some(Fit::Named),
            Some(_) if self.models.is_empty() => Some(Fit::Any),
            Some(model) if self.models.iter().any(|own| **own == *model) => Some(Fit::Named),
            Some(model) if self.models.iter().any(|own| are_twins(own, model)) => Some(Fit::Latest),
            Some(_) => any_model.then_some(Fit::Other),
        }?;
        Some(if self.last_resort { Fit::LastResort } else { lists })
    }
}

impl MinerEntry {
    /// The rank of the miner for the tasks of that lane; `None`: the miner does not do them at all.
    pub(super) fn fit(&self, lane: &LaneKey) -> Option<Fit> {
        let kind = lane.mode.takes(self.rules.dedicated) && (!lane.embedding || self.rules.embeddings);
        if kind { self.rules.fit(lane.model.as_deref(), lane.any_model) } else { None }
    }

    /// Whether the miner counts when the best rank is determined: it gets tasks, or its first report is still awaited.
    pub(super) fn counts(&self) -> bool {
        self.takes_part() || self.rules.awaited && !self.draining
    }
}

/// The names under which tasks ask for miners. With these names, most fleets need no look at any single miner to
/// decide that all miners fit equally well.
#[derive(Debug, Default)]
pub(super) struct Names {
    listed: BTreeMap<Arc<str>, u32>,
    /// Miners that list no models, by their own names.
    called: BTreeMap<Arc<str>, MinerKey>,
    /// Miners whose first list is awaited.
    awaited: u32,
    last_resorts: u32,
    /// Models that some miner has listed since the start.
    seen: BTreeSet<Arc<str>>,
}

/// The greatest number of models that are remembered in `seen`.
const MOST_SEEN: usize = 16_384;

impl Names {
    pub(super) fn insert(&mut self, key: MinerKey, rules: &MinerRules) {
        for model in &rules.models {
            *self.listed.entry(model.clone()).or_default() += 1;
            if self.seen.len() < MOST_SEEN {
                self.seen.insert(model.clone());
            }
        }
        if rules.models.is_empty() && !rules.called.is_empty() {
            self.called.insert(rules.called.clone(), key);
        }
        self.awaited += u32::from(rules.awaited);
        self.last_resorts += u32::from(rules.last_resort);
    }

    pub(super) fn remove(&mut self, key: MinerKey, rules: &MinerRules) {
        for model in &rules.models {
            if let Some(count) = self.listed.get_mut(model) {
                *count -= 1;
                if *count == 0 {
                    self.listed.remove(model);
                }
            }
        }
        if self.called.get(&rules.called) == Some(&key) {
            self.called.remove(&rules.called);
        }
        self.awaited -= u32::from(rules.awaited);
        self.last_resorts -= u32::from(rules.last_resort);
    }

    /// Whether a miner listed that model once and none does now.
    pub(super) fn is_away(&self, model: &str) -> bool {
        self.seen.contains(model) && !self.listed.contains_key(model)
    }

    /// The miner of that name, if it lists no models.
    pub(super) fn called(&self, lane: &LaneKey) -> Option<MinerKey> {
        self.called.get(lane.model.as_ref()?).copied()
    }

    /// Whether some miners fit the lane better than others.
    pub(super) fn tell_apart(&self, lane: &LaneKey) -> bool {
        let Some(model) = &lane.model else { return self.last_resorts > 0 };
        self.last_resorts > 0
            || self.awaited > 0
            || lane.any_model
            || self.called.contains_key(model)
            || !self.listed.is_empty()
                && (self.listed.contains_key(model)
                    || twin(model).is_some_and(|twin| self.listed.contains_key(twin.as_str())))
    }
}
