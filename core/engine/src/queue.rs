//! The central queue: start-time fair queueing across sessions, inside strict bands with ageing.
//!
//! A task's tag is `S = max(V, F)`, where `V` is the tag of the task that was served last in the band and `F` the session's own
//! finish tag, which then grows by `cost / weight`. Sessions that were idle start at `V`: they neither save up
//! nor pay for the past (Goyal, Vin and Cheng, "Start-time Fair Queueing", 1996).

use std::collections::{BTreeMap, BTreeSet};

use cortensor_router_model::{Gid, Timestamp};

/// Virtual time: token costs, scaled so that weights divide well.
pub(super) type Tag = u64;

/// One unit of cost at weight 1.
pub(super) const SCALE: u64 = 1_024;

/// The tasks that wait for one kind of work: a model, or any.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Bands, each in order of tags.
    bands: BTreeMap<u8, BTreeSet<(Tag, Gid)>>,
    /// All of them in order of arrival, to find one that starves.
    arrivals: BTreeSet<(Timestamp, Gid)>,
}

/// Where a task stands in its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) band: u8,
    pub(super) tag: Tag,
    pub(super) since: Timestamp,
}

impl Lane {
    pub(super) fn push(&mut self, gid: Gid, place: Place) {
        self.bands.entry(place.band).or_default().insert((place.tag, gid));
        self.arrivals.insert((place.since, gid));
    }

    pub(super) fn remove(&mut self, gid: Gid, place: Place) -> bool {
        self.arrivals.remove(&(place.since, gid));
        let Some(band) = self.bands.get_mut(&place.band) else { return false };
        let was = band.remove(&(place.tag, gid));
        if band.is_empty() {
            self.bands.remove(&place.band);
        }
        was
    }

    pub(super) fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
    }

    /// The tasks that are next: the one that starves, if any, then the highest band's first by tag.
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

    /// All of them, in order of arrival.
    pub(super) fn tasks(&self) -> impl Iterator<Item = Gid> + '_ {
        self.arrivals.iter().map(|(_, gid)| *gid)
    }

    /// How many tasks are served before one at that place.
    pub(super) fn position(&self, gid: Gid, place: Place) -> u64 {
        let higher: usize = self.bands.range(place.band + 1..).map(|(_, band)| band.len()).sum();
        let same = self.bands.get(&place.band).map_or(0, |band| band.range(..(place.tag, gid)).count());
        (higher + same) as u64
    }
}

impl Lane {
    /// The order among lanes: the higher band first, then the smaller tag.
    pub(super) fn first_rank(&self) -> Option<(std::cmp::Reverse<u8>, Tag, Gid)> {
        let (band, tasks) = self.bands.last_key_value()?;
        let (tag, gid) = tasks.first()?;
        Some((std::cmp::Reverse(*band), *tag, *gid))
    }
}
