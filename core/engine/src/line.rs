//! The central queue. Higher bands are served first, except that a task that waited for too long goes before them.
//! Within a band, start-time fair queueing shares the miners between sessions.
//!
//! A task's tag is `S = max(V, F)`. `V` is the tag of the task that was served last in the band, and `F` is the
//! session's own finish tag, which becomes `S + cost / weight` when the task comes in. A session that was idle starts
//! at `V`: it has neither saved up a share nor to pay for the past (Goyal, Vin and Cheng, "Start-time Fair Queueing",
//! 1996).

use std::collections::{BTreeMap, BTreeSet};

use cortensor_router_model::{Gid, SessionId, Timestamp};

use super::lane::{BACKGROUND, Head, Lane, LaneKey, Place, Tag};
use super::sorted::Sorted;

/// One unit of cost at weight 1.
pub(super) const SCALE: u64 = 1_024;

/// The room that a waiting task takes in the bounds of the queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    bytes: u64,
    cost: u64,
}

impl Load {
    pub(super) fn new(bytes: u64, cost: u64) -> Self {
        Self { bytes, cost }
    }
}

/// All tasks that wait: the lanes, the virtual time of each band, and what waits in all.
#[derive(Debug, Default)]
pub(super) struct Line {
    lanes: BTreeMap<LaneKey, Lane>,
    /// For each need, the lanes of all sessions with that need, by their first tasks: the one that is served first
    /// comes first.
    heads: BTreeMap<LaneKey, Sorted<(Head, Option<SessionId>)>>,
    /// The lanes that sessions have for themselves.
    own: BTreeMap<SessionId, BTreeSet<LaneKey>>,
    virtual_time: BTreeMap<u8, Tag>,
    tasks: u64,
    bytes: u64,
    /// Cost that waits, by bands.
    cost: BTreeMap<u8, u64>,
    /// The weight of all sessions that have something waiting.
    weight: u64,
}

impl Line {
    /// Adds a task. A task without a load only checks another task in the background, and does not count in the
    /// bounds.
    pub(super) fn push(&mut self, lane: &LaneKey, gid: Gid, place: Place, load: Option<Load>) {
        if let Some(load) = load {
            self.tasks += 1;
            self.bytes += load.bytes;
            *self.cost.entry(place.band()).or_default() += load.cost;
        }
        let queue = self.lanes.entry(lane.clone()).or_default();
        let before = queue.head();
        queue.push(gid, place);
        let after = queue.head();
        self.list(lane, before, after);
    }

    /// Takes a task out. `load` must be the load with which it was added.
    pub(super) fn remove(&mut self, lane: &LaneKey, gid: Gid, place: Place, load: Option<Load>) {
        if let Some(load) = load {
            self.tasks -= 1;
            self.bytes -= load.bytes;
            if let Some(cost) = self.cost.get_mut(&place.band()) {
                *cost -= load.cost;
            }
        }
        if let Some(queue) = self.lanes.get_mut(lane) {
            let before = queue.head();
            queue.remove(gid, place);
            let after = queue.head();
            if after.is_none() {
                self.lanes.remove(lane);
            }
            self.list(lane, before, after);
        }
    }

    /// Moves the lane in the order of heads from the place of its former first task to that of its present one.
    fn list(&mut self, lane: &LaneKey, before: Option<Head>, after: Option<Head>) {
        if before == after {
            return;
        }
        let need = lane.need();
        if let Some(heads) = self.heads.get_mut(&*need) {
            if let Some(before) = before {
                heads.remove(&(before, lane.own()));
            }
            if let Some(after) = after {
                heads.insert((after, lane.own()));
            }
            if heads.is_empty() {
                self.heads.remove(&*need);
            }
        } else if let Some(after) = after {
            self.heads.entry(need.into_owned()).or_default().insert((after, lane.own()));
        }
        let Some(session) = lane.own() else { return };
        if before.is_none() {
            self.own.entry(session).or_default().insert(lane.clone());
        } else if after.is_none()
            && let Some(lanes) = self.own.get_mut(&session)
        {
            lanes.remove(lane);
            if lanes.is_empty() {
                self.own.remove(&session);
            }
        }
    }

    /// Replaces the weight of a session in the sum of the weights of all sessions with waiting tasks.
    pub(super) fn reweigh(&mut self, before: u64, now: u64) {
        self.weight = self.weight + now - before;
    }

    /// Notes that the task at that place is served: the virtual time of its band moves to its tag.
    pub(super) fn serve(&mut self, place: Place) {
        // Tasks in the background stand behind all others, and move nobody.
        if place.tag() >= BACKGROUND {
            return;
        }
        let virtual_time = self.virtual_time.entry(place.band()).or_default();
        *virtual_time = (*virtual_time).max(place.tag());
    }

    /// The tag of the task of that band that was served last.
    pub(super) fn virtual_time(&self, band: u8) -> Tag {
        self.virtual_time.get(&band).copied().unwrap_or(0)
    }

    /// Collects the tasks of a lane that are next. Returns whether any task waits in the lane.
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

    /// The lane whose first task is served first, among the lanes whose needs `meets` accepts. `only` limits the
    /// choice to the own lanes of one session. The function looks at one lane for each need, however many sessions
    /// wait.
    pub(super) fn most_behind(&self, only: Option<SessionId>, meets: impl Fn(&LaneKey) -> bool) -> Option<LaneKey> {
        if let Some(session) = only {
            let lanes = self.own.get(&session)?.iter().filter(|lane| meets(lane));
            let ranked = lanes.filter_map(|lane| Some((self.lanes.get(lane)?.head()?, lane)));
            return ranked.min().map(|(_, lane)| lane.clone());
        }
        let needs = self.heads.iter().filter(|(need, _)| meets(need));
        let firsts = needs.filter_map(|(need, heads)| Some((heads.first()?, need)));
        firsts.min().map(|((_, own), need)| need.with_own(*own))
    }

    /// Whether something waits in that lane.
    pub(super) fn waits_in(&self, lane: &LaneKey) -> bool {
        self.lanes.contains_key(lane)
    }

    /// All lanes in which something waits.
    pub(super) fn lanes(&self) -> impl Iterator<Item = &LaneKey> {
        self.lanes.keys()
    }

    /// The lanes in which something waits and that belong to one session, in the order of all lanes.
    pub(super) fn own_lanes(&self) -> Vec<LaneKey> {
        let mut lanes: Vec<LaneKey> = self.own.values().flatten().cloned().collect();
        lanes.sort_unstable();
        lanes
    }

    /// The lanes of that session, if it has lanes for itself.
    pub(super) fn lanes_of(&self, session: SessionId) -> Vec<LaneKey> {
        self.own.get(&session).map(|lanes| lanes.iter().cloned().collect()).unwrap_or_default()
    }

    /// The tasks of a lane, in order of arrival.
    pub(super) fn waiting_in(&self, lane: &LaneKey) -> Vec<Gid> {
        self.lanes.get(lane).map(|queue| queue.tasks().collect()).unwrap_or_default()
    }

    /// The time at which the task came in that has waited longest in the lane.
    pub(super) fn waits_since(&self, lane: &LaneKey) -> Option<Timestamp> {
        self.lanes.get(lane).and_then(Lane::oldest)
    }

    /// The tasks of a lane, in the order in which they are served.
    pub(super) fn in_order<'a>(&'a self, lane: &LaneKey) -> impl Iterator<Item = (Tag, Gid)> + use<'a> {
        self.lanes.get(lane).into_iter().flat_map(Lane::in_order)
    }

    /// The place of the first task of a lane.
    pub(super) fn head(&self, lane: &LaneKey) -> Option<Head> {
        self.lanes.get(lane)?.head()
    }

    /// The smallest tag that waits in that band of the lane.
    pub(super) fn least(&self, lane: &LaneKey, band: u8) -> Option<Tag> {
        self.lanes.get(lane)?.least(band)
    }

    /// For each band the smallest tag that waits in it, or else the tag that was served last.
    pub(super) fn tags(&self) -> Vec<(u8, Tag)> {
        let mut tags = BTreeMap::new();
        for lane in self.lanes.values() {
            for band in lane.bands() {
                let Some(least) = lane.least(band) else { continue };
                tags.entry(band).and_modify(|tag: &mut Tag| *tag = (*tag).min(least)).or_insert(least);
            }
        }
        for (band, tag) in &self.virtual_time {
            tags.entry(*band).or_insert(*tag);
        }
        tags.into_iter().collect()
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

    /// Checks the counts against the waiting tasks. `waiting` gives the place and the load of each task that is not in
    /// the background, and `weight` is the weight of the sessions with waiting tasks.
    ///
    /// # Errors
    /// A text that says which count is wrong.
    pub(super) fn check(&self, waiting: impl Iterator<Item = (Place, Load)>, weight: u64) -> Result<(), String> {
        let (mut tasks, mut bytes, mut cost) = (0, 0, BTreeMap::new());
        for (place, load) in waiting {
            tasks += 1;
            bytes += load.bytes;
            *cost.entry(place.band()).or_default() += load.cost;
        }
        let counted: BTreeMap<u8, u64> =
            self.cost.iter().filter(|(_, cost)| **cost > 0).map(|(band, cost)| (*band, *cost)).collect();
        cost.retain(|_, cost| *cost > 0);
        if (tasks, bytes, &cost) != (self.tasks, self.bytes, &counted) {
            return Err(format!("the queue holds {tasks} tasks, but {} are counted", self.tasks));
        }
        let listed: usize = self.heads.values().map(Sorted::len).sum();
        let is_listed = |(lane, queue): (&LaneKey, &Lane)| {
            let by_session = lane.own().is_none_or(|id| self.own.get(&id).is_some_and(|lanes| lanes.contains(lane)));
            let heads = self.heads.get(&*lane.need());
            by_session
                && queue
                    .head()
                    .is_some_and(|head| heads.is_some_and(|all| all.iter().any(|one| *one == (head, lane.own()))))
        };
        if listed != self.lanes.len() || !self.lanes.iter().all(is_listed) {
            return Err(format!("{} lanes wait, but {listed} are listed, or by the wrong tasks", self.lanes.len()));
        }
        if weight != self.weight {
            return Err(format!("sessions of weight {weight} wait, but {} is counted", self.weight));
        }
        Ok(())
    }
}
