//! Finds the routers whose miners may serve a lane, without a look at each of their miners.

use super::Engine;
use super::limits::Limits;
use crate::lane::LaneKey;
use crate::miner::MinerEntry;
use crate::names::Placed;
use crate::rules::MinerKey;
use crate::sorted::Sorted;

/// Another router, as one whose miners may serve a lane.
#[derive(Clone, Copy)]
pub(super) struct Host<'a> {
    miners: &'a Sorted<Placed>,
    /// Its first miner that serves the lane.
    first: Placed,
}

impl Host<'_> {
    /// The number of the router.
    pub(super) fn number(&self) -> u32 {
        self.first.0
    }

    /// Its miners from the first one on.
    pub(super) fn miners(&self) -> impl Iterator<Item = Placed> {
        let miners = self.miners;
        std::iter::successors(Some(self.first), move |(host, key)| {
            let next = miners.at_least(&(*host, MinerKey(key.0.checked_add(1)?)))?;
            (next.0 == *host).then_some(*next)
        })
    }
}

impl Engine {
    /// The routers whose miners serve a lane at present, each with the first of them. One miner mostly answers for its router,
    /// so that the cost grows with the number of routers and not with that of their miners.
    pub(super) fn hosts(&self, lane: &LaneKey, limits: Option<&Limits<'_>>) -> Vec<Host<'_>> {
        let mut hosts = Vec::new();
        for miners in self.fleet.placed_of_lane(lane) {
            let mut next = Some((1, MinerKey(0)));
            while let Some(first) = next.and_then(|from| miners.at_least(&from)) {
                let host = Host { miners, first: *first };
                let serving = host.miners().find(|(_, key)| self.lends(*key, lane, limits).is_some());
                hosts.extend(serving.map(|first| Host { miners, first }));
                next = first.0.checked_add(1).map(|number| (number, MinerKey(0)));
            }
        }
        hosts
    }

    /// A miner of another router, if it serves the lane at present.
    pub(super) fn lends(&self, key: MinerKey, lane: &LaneKey, limits: Option<&Limits<'_>>) -> Option<&MinerEntry> {
        self.fleet
            .get(key)
            .filter(|miner| miner.takes_part() && miner.serves(lane) && limits.is_none_or(|limits| limits.allow(miner)))
    }
}
