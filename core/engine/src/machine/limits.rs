//! Decides which miners a session may have, by their number and its service class.

use super::Engine;
use crate::lane::LaneKey;
use crate::miner::MinerEntry;
use crate::session::SessionEntry;

/// The rules that one decision for a session's lane must keep.
pub(super) struct Limits<'a> {
    session: &'a SessionEntry,
    /// Whether a miner of the session's service class exists. The session then gets no other miner.
    strict: bool,
    crowded: bool,
}

impl Limits<'_> {
    pub(super) fn allow(&self, miner: &MinerEntry) -> bool {
        (!self.crowded || self.session.employs(miner.key())) && (!self.strict || miner.meets(self.session.rules().sla))
    }
}

/// The session of a lane gets no miner at all at present.
pub(super) struct Barred;

impl Engine {
    /// The rules for the tasks of that lane; `None`: every miner that serves the lane may have them.
    pub(super) fn limits(&self, lane: &LaneKey) -> Result<Option<Limits<'_>>, Barred> {
        let Some(session) = lane.ruled_by() else { return Ok(None) };
        let entry = self.sessions.get(session).ok_or(Barred)?;
        let rules = entry.rules();
        if rules.min_miners > 0 && self.able(lane, rules.min_miners) < rules.min_miners {
            return Err(Barred);
        }
        let crowded = entry.is_crowded();
        let strict = rules.sla > 0
            && self.fleet.of_lane(lane).any(|miner| miner.takes_part() && miner.serves(lane) && miner.meets(rules.sla));
        Ok(Some(Limits { session: entry, strict, crowded }))
    }

    /// The number of miners that could serve the tasks of that lane, now or when they have come up for them. The count
    /// stops at `most`.
    pub(super) fn able(&self, lane: &LaneKey, most: u32) -> u32 {
        let able = self.fleet.of_lane(lane).filter(|miner| miner.is_there() && miner.serves(lane));
        able.take(most as usize).count() as u32
    }
}
