//! The miners that are free, in the order in which they are considered, by the models that they serve.

use smallvec::SmallVec;

use super::lane::LaneKey;
use super::names::{ModelId, Names};
use super::pages::Pages;
use super::rank::Rank;
use super::rules::MinerKey;
use super::sorted::Sorted;
use cortensor_router_model::SessionId;

/// The greatest number of free miners that one decision looks at.
pub(super) const CANDIDATES: usize = 16;

/// Miners that one decision looks at.
pub(super) type Keys = SmallVec<[MinerKey; 2 * CANDIDATES]>;

/// Free miners that list one model.
#[derive(Debug, Default)]
struct Listers {
    /// The miners whose list begins with the model.
    first: Sorted<Rank>,
    /// The miners whose list has the model at another place.
    further: Sorted<Rank>,
}

/// Free miners of one kind. The first model of its list is a miner's home, so that each miner has one home.
#[derive(Debug, Default)]
struct FreeOfKind {
    by_model: Vec<Listers>,
    /// The miners that list no model.
    any_model: Sorted<Rank>,
    /// The best miner of each home.
    heads: Sorted<(Rank, Option<ModelId>)>,
}

impl FreeOfKind {
    fn insert(&mut self, models: &[ModelId], rank: Rank) {
        self.change(models, |set| set.insert(rank));
    }

    fn remove(&mut self, models: &[ModelId], rank: Rank) {
        self.change(models, |set| {
            set.remove(&rank);
        });
    }

    fn replace(&mut self, models: &[ModelId], was: Rank, now: Rank) {
        self.change(models, |set| set.replace(&was, now));
    }

    /// Changes all sets of a miner with these models.
    fn change(&mut self, models: &[ModelId], change: impl Fn(&mut Sorted<Rank>)) {
        if let Some(greatest) = models.iter().map(|id| id.place()).max()
            && greatest >= self.by_model.len()
        {
            self.by_model.resize_with(greatest + 1, Listers::default);
        }
        let home = models.first().copied();
        let set = match home {
            Some(id) => &mut self.by_model[id.place()].first,
            None => &mut self.any_model,
        };
        let before = set.first().copied();
        change(set);
        let after = set.first().copied();
        match (before, after) {
            (Some(before), Some(after)) if before != after => self.heads.replace(&(before, home), (after, home)),
            (Some(before), None) => {
                self.heads.remove(&(before, home));
            }
            (None, Some(after)) => self.heads.insert((after, home)),
            (Some(_), Some(_)) | (None, None) => {}
        }
        for id in models.iter().skip(1) {
            change(&mut self.by_model[id.place()].further);
        }
    }

    /// The only free miner.
    fn only(&self) -> Option<MinerKey> {
        let (_, home) = self.heads.only()?;
        let set = match home {
            Some(id) => &self.by_model.get(id.place())?.first,
            None => &self.any_model,
        };
        set.only().map(|rank| rank.key())
    }

    /// Adds the best free miners that list the model to `out`.
    fn listers(&self, model: ModelId, most: usize, out: &mut Keys) {
        let Some(Listers { first, further }) = self.by_model.get(model.place()) else { return };
        if further.is_empty() {
            return out.extend(first.iter().take(most).map(|rank| rank.key()));
        }
        best_of([first, further].into_iter(), most, out);
    }

    /// Adds the best free miners to `out`. The best ones have homes whose best miner is among the best of all homes,
    /// so that no other home is looked at.
    fn best(&self, most: usize, out: &mut Keys) {
        let homes = self.heads.iter().take(most).filter_map(|(_, home)| match home {
            Some(id) => Some(&self.by_model.get(id.place())?.first),
            None => Some(&self.any_model),
        });
        best_of(homes, most, out);
    }

    /// Adds the best free miners that may have tasks of the lane, which asks for these models.
    fn candidates(&self, lane: &LaneKey, models: [Option<ModelId>; 2], most: usize, out: &mut Keys) {
        if lane.model().is_none() {
            return self.best(most, out);
        }
        for model in models.into_iter().flatten() {
            self.listers(model, most, out);
        }
        out.extend(self.any_model.iter().take(most).map(|rank| rank.key()));
        if lane.takes_any_model() {
            self.best(most, out);
        }
    }
}

/// Adds the best miners of some sets to `out`.
fn best_of<'a>(sets: impl Iterator<Item = &'a Sorted<Rank>>, most: usize, out: &mut Keys) {
    let mut ranks: SmallVec<[Rank; 2 * CANDIDATES]> = SmallVec::new();
    for set in sets {
        ranks.extend(set.iter().take(most).copied());
    }
    if ranks.len() > most {
        ranks.sort_unstable();
        ranks.truncate(most);
    }
    out.extend(ranks.iter().map(|rank| rank.key()));
}

/// Free miners.
#[derive(Debug, Default)]
pub(super) struct FreeMiners {
    ephemeral: FreeOfKind,
    dedicated: FreeOfKind,
    /// Free miners that are kept for a session; they are in no other set.
    reserved: Pages<SessionId, Sorted<Rank>>,
}

/// The list in which a free miner stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct FreeList<'a> {
    reserved: Option<SessionId>,
    dedicated: bool,
    models: &'a [ModelId],
}

impl<'a> FreeList<'a> {
    /// The list of a miner that is kept for that session, or else the list of its kind and models.
    pub(super) fn of(reserved: Option<SessionId>, dedicated: bool, models: &'a [ModelId]) -> Self {
        Self { reserved, dedicated, models }
    }
}

impl FreeMiners {
    fn of_kind(&mut self, dedicated: bool) -> &mut FreeOfKind {
        if dedicated { &mut self.dedicated } else { &mut self.ephemeral }
    }

    pub(super) fn insert(&mut self, list: FreeList<'_>, rank: Rank) {
        match list.reserved {
            Some(session) => self.reserved.entry(session, Sorted::default).insert(rank),
            None => self.of_kind(list.dedicated).insert(list.models, rank),
        }
    }

    /// Moves a miner to another place in its list.
    pub(super) fn replace(&mut self, list: FreeList<'_>, was: Rank, now: Rank) {
        match list.reserved {
            Some(session) => self.reserved.entry(session, Sorted::default).replace(&was, now),
            None => self.of_kind(list.dedicated).replace(list.models, was, now),
        }
    }

    pub(super) fn remove(&mut self, list: FreeList<'_>, rank: Rank) {
        let Some(session) = list.reserved else {
            return self.of_kind(list.dedicated).remove(list.models, rank);
        };
        if let Some(set) = self.reserved.get_mut(session) {
            set.remove(&rank);
            if set.is_empty() {
                self.reserved.remove(session);
            }
        }
    }

    /// Whether no miner is free.
    pub(super) fn is_empty(&self) -> bool {
        self.ephemeral.heads.is_empty() && self.dedicated.heads.is_empty() && self.reserved.is_empty()
    }

    /// The only miner that is free; `None`: none is, or several are.
    pub(super) fn only(&self) -> Option<MinerKey> {
        match (self.ephemeral.heads.is_empty(), self.dedicated.heads.is_empty(), self.reserved.is_empty()) {
            (false, true, true) => self.ephemeral.only(),
            (true, false, true) => self.dedicated.only(),
            _ => None,
        }
    }

    /// The best free miners that list that model, which is the lane's, of the kinds that the lane takes.
    pub(super) fn listers(&self, lane: &LaneKey, model: ModelId, out: &mut Keys) {
        if lane.takes(false) {
            self.ephemeral.listers(model, CANDIDATES, out);
        }
        if lane.takes(true) {
            self.dedicated.listers(model, CANDIDATES, out);
        }
    }

    /// The best free miners that may have tasks of the lane.
    pub(super) fn candidates(&self, lane: &LaneKey, names: &Names, out: &mut Keys) {
        // Rules of the session may exclude the first miners, so all are collected.
        let most = if lane.own().is_some() { usize::MAX } else { CANDIDATES };
        let models = [names.id_of(lane), names.twin_of(lane)];
        if lane.takes(false) {
            self.ephemeral.candidates(lane, models, most, out);
        }
        if lane.takes(true) {
            self.dedicated.candidates(lane, models, most, out);
        }
        if let Some(reserved) = lane.own().and_then(|session| self.reserved.get(session)) {
            out.extend(reserved.iter().map(|rank| rank.key()));
        }
    }
}
