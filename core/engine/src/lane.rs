//! A lane of the queue: the waiting tasks that need the same of a miner, in the order in which they are served.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use cortensor_router_model::{Gid, SessionId, SessionMode, Timestamp};

use super::demand::Demand;
use super::rules::MinerRules;
use super::skills::Skills;
use super::sorted::Sorted;

/// Virtual time: token costs, scaled so that weights divide well.
pub(super) type Tag = u64;

/// The needs of a task. Tasks with equal needs wait in one lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneKey {
    model: Option<Arc<str>>,
    /// Whether any other model will do if no miner has that one.
    any_model: bool,
    embedding: bool,
    skills: Skills,
    mode: SessionMode,
    /// The session, if its rules keep some miners from its tasks. Such tasks have a lane of their own, so that they do
    /// not hold up the tasks of other sessions.
    own: Option<SessionId>,
    /// Whether its tasks stand for tasks of other routers, which keep the session's rules there.
    lent: bool,
}

impl LaneKey {
    /// The lane of a task in a session that takes miners of that mode. `own` is the session if it is restricted.
    pub(super) fn of(task: &Demand, mode: SessionMode, own: Option<SessionId>) -> Self {
        Self {
            model: task.model.clone(),
            any_model: task.any_model && task.model.is_some(),
            embedding: task.embedding,
            skills: task.skills,
            mode,
            own,
            lent: false,
        }
    }

    /// The lane whose tasks the miners that are kept for the session could do. Only ephemeral miners are kept.
    pub(super) fn of_reservation(session: SessionId, model: Option<Arc<str>>) -> Self {
        Self {
            model,
            any_model: false,
            embedding: false,
            skills: Skills::default(),
            mode: SessionMode::Ephemeral,
            own: Some(session),
            lent: false,
        }
    }

    /// The lane of that session, or the lane of all unrestricted sessions, for the tasks with these needs.
    pub(super) fn with_own(&self, own: Option<SessionId>) -> Self {
        Self { own, ..self.clone() }
    }

    /// The lane of the tasks with these needs that stand for tasks of that session at other routers. The miners that are
    /// kept for the session here may have them.
    pub(super) fn lent_to(&self, session: SessionId) -> Self {
        Self { own: Some(session), lent: true, ..self.clone() }
    }

    /// The lane of the tasks that need the same, but this model.
    pub(super) fn with_model(&self, model: Arc<str>) -> Self {
        Self { model: Some(model), any_model: false, ..self.clone() }
    }

    /// The model that its tasks ask for; `None`: any.
    pub(super) fn model(&self) -> Option<&Arc<str>> {
        self.model.as_ref()
    }

    /// The session, if its rules keep some miners from its tasks.
    pub(super) fn own(&self) -> Option<SessionId> {
        self.own
    }

    /// The session whose rules this router keeps for its tasks; `None`: they have none, or another router keeps them.
    pub(super) fn ruled_by(&self) -> Option<SessionId> {
        self.own.filter(|_| !self.lent)
    }

    /// Whether its tasks ask for embeddings.
    pub(super) fn is_for_embeddings(&self) -> bool {
        self.embedding
    }

    /// The things that a miner must be able to do for its tasks.
    pub(super) fn skills(&self) -> Skills {
        self.skills
    }

    /// Which kinds of miners may have its tasks.
    pub(super) fn mode(&self) -> SessionMode {
        self.mode
    }

    /// Whether any other model will do if no miner has the one that its tasks ask for.
    pub(super) fn takes_any_model(&self) -> bool {
        self.any_model
    }

    /// Whether its tasks may go to miners that are dedicated, or to those that are not.
    pub(super) fn takes(&self, dedicated: bool) -> bool {
        self.mode.takes(dedicated)
    }

    /// Whether its tasks may go to miners of that kind, whatever their models are.
    pub(super) fn takes_kind_of(&self, miner: &MinerRules) -> bool {
        self.takes(miner.dedicated) && (!self.embedding || miner.embeddings) && miner.skills.has(self.skills)
    }

    /// The needs of its tasks without the session.
    pub(super) fn need(&self) -> Cow<'_, Self> {
        if self.own.is_none() { Cow::Borrowed(self) } else { Cow::Owned(self.with_own(None)) }
    }
}

/// The tag of tasks in the background, which are served only if nothing else waits.
pub(super) const BACKGROUND: Tag = u64::MAX / 2;

/// The tasks that wait for one kind of work: a model, or any.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Bands, each in order of tags.
    bands: BTreeMap<u8, Sorted<(Tag, Gid)>>,
    /// All of them in order of arrival, to find one that starves.
    arrivals: Sorted<(Timestamp, Gid)>,
}

/// The place of the first task of a lane. Of two heads the smaller one is served first: that with the higher band,
/// then that with the smaller tag.
pub(super) type Head = (Reverse<u8>, Tag, Gid);

/// Where a task stands in its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    band: u8,
    tag: Tag,
    since: Timestamp,
}

impl Place {
    /// The place of a task that came in at that time.
    pub(super) fn new(band: u8, tag: Tag, since: Timestamp) -> Self {
        Self { band, tag, since }
    }

    pub(super) fn band(self) -> u8 {
        self.band
    }

    pub(super) fn tag(self) -> Tag {
        self.tag
    }

    /// The time at which the task came in.
    pub(super) fn since(self) -> Timestamp {
        self.since
    }
}

impl Lane {
    pub(super) fn push(&mut self, gid: Gid, place: Place) {
        self.bands.entry(place.band).or_default().insert((place.tag, gid));
        self.arrivals.insert((place.since, gid));
    }

    pub(super) fn remove(&mut self, gid: Gid, place: Place) {
        self.arrivals.remove(&(place.since, gid));
        let Some(band) = self.bands.get_mut(&place.band) else { return };
        band.remove(&(place.tag, gid));
        if band.is_empty() {
            self.bands.remove(&place.band);
        }
    }

    /// Collects the tasks that are next: a task that has waited for `starvation_ms` first, if there is one, then the
    /// tasks by band and tag.
    pub(super) fn window(&self, now: Timestamp, starvation_ms: u64, size: usize, out: &mut Vec<(Tag, Gid)>) {
        out.clear();
        if self.bands.len() > 1
            && let Some((since, gid)) = self.arrivals.first()
            && now.since(*since) >= starvation_ms
        {
            out.push((0, *gid));
            return;
        }
        if let Some((_, band)) = self.bands.last_key_value() {
            out.extend(band.iter().take(size));
        }
    }

    /// All of them, in the order in which they are served.
    pub(super) fn in_order(&self) -> impl Iterator<Item = (Tag, Gid)> + '_ {
        self.bands.values().rev().flat_map(Sorted::iter).copied()
    }

    /// The smallest tag of that band.
    pub(super) fn least(&self, band: u8) -> Option<Tag> {
        self.bands.get(&band)?.first().map(|(tag, _)| *tag).filter(|tag| *tag < BACKGROUND)
    }

    /// The bands in which tasks wait.
    pub(super) fn bands(&self) -> impl Iterator<Item = u8> + '_ {
        self.bands.keys().copied()
    }

    /// All of them, in order of arrival.
    pub(super) fn tasks(&self) -> impl Iterator<Item = Gid> + '_ {
        self.arrivals.iter().map(|(_, gid)| *gid)
    }

    /// The time at which the task came in that has waited longest.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.arrivals.first().map(|(since, _)| *since)
    }

    /// The number of tasks that are served before the task at that place.
    pub(super) fn position(&self, gid: Gid, place: Place) -> u64 {
        let higher: usize = self.bands.range(place.band + 1..).map(|(_, band)| band.len()).sum();
        let same = self.bands.get(&place.band).map_or(0, |band| band.before(&(place.tag, gid)));
        (higher + same) as u64
    }

    /// The order among lanes: the higher band first, then the smaller tag.
    pub(super) fn head(&self) -> Option<Head> {
        let (band, tasks) = self.bands.last_key_value()?;
        let (tag, gid) = tasks.first()?;
        Some((Reverse(*band), *tag, *gid))
    }
}
