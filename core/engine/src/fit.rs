//! Ranks how well a miner suits a task's model. Miners that list the model come first; miners that list none get the
//! task only while no such miner is up. A miner that takes any model therefore never answers in the place of one that
//! has the right model.

use super::lane::LaneKey;
use super::miner::MinerEntry;
use super::names::ModelId;
use super::rules::MinerRules;
use cortensor_router_model::SessionId;
use cortensor_router_model::internals::are_twins;

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
        if self.is_of_kind(lane) {
            self.rules().fit(lane.model().map(AsRef::as_ref), lane.takes_any_model())
        } else {
            None
        }
    }

    /// The rank of the miner for the tasks of that lane, whose model has that number. If the miner lists the model, no
    /// names are compared.
    pub(super) fn fit_of(&self, lane: &LaneKey, model: Option<ModelId>) -> Option<Fit> {
        if !model.is_some_and(|model| self.models().contains(&model)) {
            return self.fit(lane);
        }
        let fit = if self.rules().last_resort { Fit::LastResort } else { Fit::Named };
        self.is_of_kind(lane).then_some(fit)
    }

    fn is_of_kind(&self, lane: &LaneKey) -> bool {
        lane.takes_kind_of(self.rules())
    }

    /// Whether the miner can do the tasks of that lane.
    pub(super) fn could_serve(&self, lane: &LaneKey) -> bool {
        self.fit(lane).is_some()
    }

    /// Whether the miner can give one of several answers to a task of that lane, now or when it is up again.
    pub(super) fn could_answer_beside(&self, lane: &LaneKey) -> bool {
        self.could_serve(lane) && !self.rules().last_resort && !self.is_draining() && !self.is_set_aside()
    }

    /// Whether the miner can do the tasks of that lane and is not kept for another session.
    pub(super) fn serves(&self, lane: &LaneKey) -> bool {
        self.is_kept_for_none_but(lane.own()) && self.could_serve(lane)
    }

    /// Whether the miner is kept for no session, or for that one.
    pub(super) fn is_kept_for_none_but(&self, session: Option<SessionId>) -> bool {
        self.reserved().is_none() || self.reserved() == session
    }

    /// Whether the miner counts when the best rank is determined: it gets tasks or will when it is up, or its first report
    /// is still awaited.
    pub(super) fn counts(&self) -> bool {
        self.is_there() || self.rules().awaited && !self.is_draining()
    }
}
