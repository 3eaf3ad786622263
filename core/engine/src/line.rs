//! The central queue: start-time fair queueing across sessions, inside strict bands with ageing.
//!
//! A task's tag is `S = max(V, F)`, where `V` is the tag of the task that was served last in the band and `F` the session's own
//! finish tag, which then grows by `cost / weight`. Sessions that were idle start at `V`: they neither save up
//! nor pay for the past (Goyal, Vin and Cheng, "Start-time Fair Queueing", 1996).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cortensor_router_model::{Gid, SessionId, SessionMode, Timestamp};

/// Virtual time: token costs, scaled so that weights divide well.
pub(super) type Tag = u64;

/// One unit of cost at weight 1.
pub(super) const SCALE: u64 = 1_024;

/// What a task needs of a miner: tasks with the same needs wait in one lane.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LaneKey {
    pub(super) model: Option<Arc<str>>,
    /// Whether any other model will do where nobody has that one.
    pub(super) any_model: bool,
    pub(super) embedding: bool,
    pub(super) mode: SessionMode,
    /// The session, where its rules keep some miners from its tasks: they must not hold up others.
    pub(super) own: Option<SessionId>,
}

/// The tasks that wait for one kind of work: a model, or any.
#[derive(Debug, Default)]
struct Lane {
    /// Bands, each in order of tags.
    bands: BTreeMap<u8, BTreeSet<(Tag, Gid)>>,
    /// All of them in order of arrival, to find one that starves.
    arrivals: BTreeSet<(Timestamp, Gid)>,
}

/// What a waiting task takes of the queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) bytes: u64,
    pub(super) cost: u64,
}

/// Where a task stands in its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) band: u8,
    pub(super) tag: Tag,
    pub(super) since: Timestamp,
}

impl Lane {
    fn push(&mut self, gid: Gid, place: Place) {
        self.bands.entry(place.band).or_default().insert((place.tag, gid));
        self.arrivals.insert((place.since, gid));
    }

    fn remove(&mut self, gid: Gid, place: Place) {
        self.arrivals.remove(&(place.since, gid));
        let Some(band) = self.bands.get_mut(&place.band) else { return };
        band.remove(&(place.tag, gid));
        if band.is_empty() {
            self.bands.remove(&place.band);
        }
    }

    fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// The tasks that are next: the one that starves, if any, then the highest band's first by tag.
    fn window(&self, now: Timestamp, starvation_ms: u64, size: usize, out: &mut Vec<(Tag, Gid)>) {
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

    /// All of them, in order of arrival.
    fn tasks(&self) -> impl Iterator<Item = Gid> + '_ {
        self.arrivals.iter().map(|(_, gid)| *gid)
    }

    /// How many tasks are served before one at that place.
    fn position(&self, gid: Gid, place: Place) -> u64 {
        let higher: usize = self.bands.range(place.band + 1..).map(|(_, band)| band.len()).sum();
        let same = self.bands.get(&place.band).map_or(0, |band| band.range(..(place.tag, gid)).count());
        (higher + same) as u64
    }

    /// The order among lanes: the higher band first, then the smaller tag.
    fn first_rank(&self) -> Option<(Reverse<u8>, Tag, Gid)> {
        let (band, tasks) = self.bands.last_key_value()?;
        let (tag, gid) = tasks.first()?;
        Some((Reverse(*band), *tag, *gid))
    }
}

/// All tasks that wait: the lanes, the virtual time of each band, and what waits in all.
#[derive(Debug, Default)]
pub(super) struct Line {
    lanes: BTreeMap<LaneKey, Lane>,
    virtual_time: BTreeMap<u8, Tag>,
    tasks: u64,
    bytes: u64,
    /// Cost that waits, by bands.
    cost: BTreeMap<u8, u64>,
    /// The weight of all sessions that have something waiting.
    weight: u64,
}

impl Line {
    /// Adds a task. One without a load checks another in the background, and fills no queue.
    pub(super) fn push(&mut self, lane: &LaneKey, gid: Gid, place: Place, load: Option<Load>) {
        if let Some(load) = load {
            self.tasks += 1;
            self.bytes += load.bytes;
            *self.cost.entry(place.band).or_default() += load.cost;
        }
        self.lanes.entry(lane.clone()).or_default().push(gid, place);
    }

    /// Takes a task out, with the load that it came with.
    pub(super) fn remove(&mut self, lane: &LaneKey, gid: Gid, place: Place, load: Option<Load>) {
        if let Some(load) = load {
            self.tasks -= 1;
            self.bytes -= load.bytes;
            if let Some(cost) = self.cost.get_mut(&place.band) {
                *cost -= load.cost;
            }
        }
        if let Some(queue) = self.lanes.get_mut(lane) {
            queue.remove(gid, place);
            if queue.is_empty() {
                self.lanes.remove(lane);
            }
        }
    }

    /// A session weighs so much among those that have something waiting, and weighed so much before.
    pub(super) fn reweigh(&mut self, before: u64, now: u64) {
        self.weight = self.weight + now - before;
    }

    /// A task of that place is served: the virtual time of its band goes on to its tag.
    pub(super) fn serve(&mut self, place: Place) {
        let virtual_time = self.virtual_time.entry(place.band).or_default();
        *virtual_time = (*virtual_time).max(place.tag);
    }

    /// The tag of the task of that band that was served last.
    pub(super) fn virtual_time(&self, band: u8) -> Tag {
        self.virtual_time.get(&band).copied().unwrap_or(0)
    }

    /// The tasks of a lane that are next. Answers whether any task waits in it.
    pub(super) fn window(
        &self,
        lane: &LaneKey,
        now: Timestamp,
        starvation_ms: u64,
        size: usize,
        out: &mut Vec<(Tag, Gid)>,
    ) -> bool {
        let Some(queue) = self.lanes.get(lane) else { return false };
        queue.window(now, starvation_ms, size, out);
        true
    }

    /// The lane whose first task is the furthest behind, among those that are wanted.
    pub(super) fn most_behind(&self, wanted: impl Fn(&LaneKey) -> bool) -> Option<LaneKey> {
        let lanes = self.lanes.iter().filter(|(lane, _)| wanted(lane));
        let ranked = lanes.filter_map(|(lane, queue)| Some((queue.first_rank()?, lane)));
        ranked.min().map(|(_, lane)| lane.clone())
    }

    /// The lanes in which something waits, those that are wanted.
    pub(super) fn lanes(&self, wanted: impl Fn(&LaneKey) -> bool) -> Vec<LaneKey> {
        self.lanes.keys().filter(|lane| wanted(lane)).cloned().collect()
    }

    /// The tasks of a lane, in order of arrival.
    pub(super) fn waiting_in(&self, lane: &LaneKey) -> Vec<Gid> {
        self.lanes.get(lane).map(|queue| queue.tasks().collect()).unwrap_or_default()
    }

    /// The number of tasks of the lane that are served before that one.
    pub(super) fn position(&self, lane: &LaneKey, gid: Gid, place: Place) -> u64 {
        self.lanes.get(lane).map_or(0, |queue| queue.position(gid, place))
    }

    /// The cost that is served before the next task of a session whose finish tag is that one: the cost of all higher
    /// bands, and in its own band the share that waiting sessions get until its tag is due. A session with a large
    /// backlog therefore does not inflate the wait estimate of other sessions.
    pub(super) fn cost_before(&self, finish: Tag, band: u8) -> u64 {
        let higher = self.cost.range(band..).filter(|(other, _)| **other > band).map(|(_, cost)| *cost).sum::<u64>();
        let own = self.cost.get(&band).copied().unwrap_or(0);
        let each = finish.saturating_sub(self.virtual_time(band)) / SCALE;
        higher + own.min(each.saturating_mul(self.weight))
    }

    /// Whether nothing waits, not even in the background.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// The number of tasks that wait.
    pub(super) fn tasks(&self) -> u64 {
        self.tasks
    }

    /// The bytes of the tasks that wait.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Checks the counts against what waits: the place and the load of each task but those of the background, and the
    /// weight of the sessions.
    ///
    /// # Errors
    /// Says what does not hold.
    pub(super) fn check(&self, waiting: impl Iterator<Item = (Place, Load)>, weight: u64) -> Result<(), String> {
        let (mut tasks, mut bytes, mut cost) = (0, 0, BTreeMap::new());
        for (place, load) in waiting {
            tasks += 1;
            bytes += load.bytes;
            *cost.entry(place.band).or_default() += load.cost;
        }
        let counted: BTreeMap<u8, u64> =
            self.cost.iter().filter(|(_, cost)| **cost > 0).map(|(band, cost)| (*band, *cost)).collect();
        cost.retain(|_, cost| *cost > 0);
        if (tasks, bytes, &cost) != (self.tasks, self.bytes, &counted) {
            return Err(format!("the queue holds {tasks} tasks, but {} are counted", self.tasks));
        }
        if weight != self.weight {
            return Err(format!("sessions of weight {weight} wait, but {} is counted", self.weight));
        }
        Ok(())
    }
}
