//! The names under which tasks ask for miners. With these names, most fleets need no look at any single miner to decide
//! that all miners fit equally well.

use std::sync::Arc;

use smallvec::SmallVec;

use super::lane::LaneKey;
use super::rules::{MinerKey, MinerRules};
use super::sorted::Sorted;
use super::table::Table;
use cortensor_router_model::internals::twin;

/// The number of a model that some miner lists. Numbers are compared faster than names. When no miner lists the model
/// any more, another model may get the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ModelId(u32);

impl ModelId {
    /// Its place in lists that have one place for each model.
    pub(super) fn place(self) -> usize {
        self.0 as usize
    }
}

/// The numbers of the models that one miner lists, each of them once.
pub(super) type ModelIds = SmallVec<[ModelId; 4]>;

/// A miner behind the number of the router that it is at. The own miners come first, and those of one router stand together.
pub(super) type Placed = (u32, MinerKey);

/// A model that some miner lists.
#[derive(Debug)]
struct Listed {
    name: Arc<str>,
    miners: Sorted<Placed>,
}

/// The models that miners list, and the names of miners that list none.
#[derive(Debug, Default)]
pub(super) struct Names {
    ids: Table<Arc<str>, ModelId>,
    /// The models by their numbers. A number that no model has keeps its last model, without miners.
    listed: Vec<Listed>,
    unused: Vec<ModelId>,
    /// The miners that list no models.
    unlisting: Sorted<Placed>,
    /// Miners that list no models, by their own names.
    called: Table<Arc<str>, MinerKey>,
    /// Miners whose first list is awaited.
    awaited: u32,
    last_resorts: u32,
    /// Models that some miner has listed since the start.
    seen: Table<Arc<str>, ()>,
}

/// The greatest number of models that are remembered in `seen`.
const MOST_SEEN: usize = 16_384;

impl Names {
    /// Adds the names of a miner. Returns the numbers of its models.
    pub(super) fn insert(&mut self, key: MinerKey, rules: &MinerRules) -> ModelIds {
        let (mut ids, placed) = (ModelIds::new(), (rules.host, key));
        for model in &rules.models {
            let id = self.enlist(model);
            if ids.contains(&id) {
                continue;
            }
            ids.push(id);
            self.listed[id.place()].miners.insert(placed);
        }
        if rules.models.is_empty() {
            self.unlisting.insert(placed);
            if !rules.called.is_empty() {
                self.called.insert(rules.called.clone(), key);
            }
        }
        self.awaited += u32::from(rules.awaited);
        self.last_resorts += u32::from(rules.last_resort);
        ids
    }

    /// The number of a model, which it gets now if it has none.
    fn enlist(&mut self, model: &Arc<str>) -> ModelId {
        if let Some(id) = self.ids.get(model) {
            return *id;
        }
        let listed = Listed { name: model.clone(), miners: Sorted::default() };
        let id = if let Some(id) = self.unused.pop() {
            self.listed[id.place()] = listed;
            id
        } else {
            self.listed.push(listed);
            ModelId(self.listed.len() as u32 - 1)
        };
        self.ids.insert(model.clone(), id);
        if self.seen.len() < MOST_SEEN {
            self.seen.insert(model.clone(), ());
        }
        id
    }

    /// Removes the names of a miner, whose models have these numbers.
    pub(super) fn remove(&mut self, key: MinerKey, rules: &MinerRules, models: &ModelIds) {
        let placed = (rules.host, key);
        for id in models {
            let listed = &mut self.listed[id.place()];
            listed.miners.remove(&placed);
            if listed.miners.is_empty() {
                self.ids.remove(&listed.name);
                self.unused.push(*id);
            }
        }
        if models.is_empty() {
            self.unlisting.remove(&placed);
        }
        if self.called.get(&rules.called) == Some(&key) {
            self.called.remove(&rules.called);
        }
        self.awaited -= u32::from(rules.awaited);
        self.last_resorts -= u32::from(rules.last_resort);
    }

    /// The number of a model; `None`: no miner lists it.
    pub(super) fn id(&self, model: &str) -> Option<ModelId> {
        self.ids.get(model).copied()
    }

    /// The number of the model that a lane asks for.
    pub(super) fn id_of(&self, lane: &LaneKey) -> Option<ModelId> {
        self.id(lane.model()?)
    }

    /// The number of the same model with or without the tag `latest`.
    pub(super) fn twin_of(&self, lane: &LaneKey) -> Option<ModelId> {
        if self.ids.is_empty() { None } else { self.id(&twin(lane.model()?)?) }
    }

    /// The miners that list that model.
    pub(super) fn listers(&self, model: ModelId) -> impl Iterator<Item = MinerKey> + Clone + '_ {
        self.placed_listers(model).into_iter().flat_map(Sorted::iter).map(|(_, key)| *key)
    }

    /// The miners of [`listers`](Self::listers) by their routers.
    pub(super) fn placed_listers(&self, model: ModelId) -> Option<&Sorted<Placed>> {
        self.listed.get(model.place()).map(|listed| &listed.miners)
    }

    /// The miners that list no models.
    pub(super) fn unlisting(&self) -> impl Iterator<Item = MinerKey> + Clone + '_ {
        self.unlisting.iter().map(|(_, key)| *key)
    }

    /// The miners of [`unlisting`](Self::unlisting) by their routers.
    pub(super) fn placed_unlisting(&self) -> &Sorted<Placed> {
        &self.unlisting
    }

    /// Whether a miner listed that model once and none does now.
    pub(super) fn is_away(&self, model: &str) -> bool {
        self.seen.contains(model) && !self.ids.contains(model)
    }

    /// The miner of that name, if it lists no models.
    pub(super) fn called(&self, lane: &LaneKey) -> Option<MinerKey> {
        self.called.get(lane.model()?).copied()
    }

    /// Whether some miners fit the lane better than others.
    pub(super) fn tell_apart(&self, lane: &LaneKey) -> bool {
        let Some(model) = lane.model() else { return self.last_resorts > 0 };
        self.last_resorts > 0
            || self.awaited > 0
            || lane.takes_any_model()
            || self.called.contains(model)
            || self.ids.contains(model)
            || self.twin_of(lane).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_keeps_its_number_as_long_as_a_miner_lists_it() {
        let rules = |models: &[&str]| MinerRules {
            models: models.iter().map(|model| Arc::from(*model)).collect(),
            ..MinerRules::default()
        };
        let mut names = Names::default();
        let (both, twice) = (rules(&["a", "b"]), rules(&["b", "b"]));
        let of_both = names.insert(MinerKey(1), &both);
        let of_twice = names.insert(MinerKey(2), &twice);
        assert_eq!((of_both.len(), &of_twice[..]), (2, &of_both[1..]));
        names.remove(MinerKey(1), &both, &of_both);
        assert_eq!((names.id("a"), names.id("b")), (None, Some(of_both[1])));
        assert!(names.is_away("a") && !names.is_away("b"));
        let of_new = names.insert(MinerKey(3), &rules(&["c"]));
        assert_eq!(of_new[0], of_both[0], "the number of a model that is gone is given again");
        names.remove(MinerKey(2), &twice, &of_twice);
        assert_eq!(names.id("b"), None);
    }
}
