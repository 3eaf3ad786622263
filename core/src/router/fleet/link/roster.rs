//! The miners of this router, as others are told of them.

use std::collections::{BTreeMap, BTreeSet};

use super::frame::{Frame, RosterMiner};
use crate::model::{MinerInfo, MinerStatus};
use crate::router::shared::Shared;

/// The number of pulses after which figures that change all the time are told again.
const FIGURES_EVERY: u64 = 10;

/// The miners of which the other router was told.
#[derive(Default)]
pub(super) struct Told {
    miners: BTreeMap<u32, RosterMiner>,
    rounds: u64,
    has_begun: bool,
}

impl Told {
    /// The frame with what has changed; `None`: nothing has. `is_round`: a pulse is due.
    pub(super) fn news(&mut self, now: Vec<RosterMiner>, is_round: bool) -> Option<Frame> {
        self.rounds += u64::from(is_round);
        let whole = !std::mem::replace(&mut self.has_begun, true);
        let figures = is_round && self.rounds.is_multiple_of(FIGURES_EVERY);
        let indexes: BTreeSet<u32> = now.iter().map(|miner| miner.index).collect();
        let gone: BTreeSet<u32> = self.miners.keys().copied().filter(|index| !indexes.contains(index)).collect();
        let is_news = |miner: &RosterMiner| {
            self.miners.get(&miner.index).is_none_or(|told| {
                if figures { told != miner } else { lasting(told.clone()) != lasting(miner.clone()) }
            })
        };
        let changed: Vec<RosterMiner> = now.into_iter().filter(is_news).collect();
        self.miners.retain(|index, _| !gone.contains(index));
        self.miners.extend(changed.iter().map(|miner| (miner.index, miner.clone())));
        (whole || !gone.is_empty() || !changed.is_empty()).then_some(Frame::Roster { whole, miners: changed, gone })
    }
}

/// A miner without the figures that change with each task.
fn lasting(mut miner: RosterMiner) -> RosterMiner {
    let info = &mut miner.info;
    if info.status == MinerStatus::Busy {
        info.status = MinerStatus::Idle;
    }
    let none = MinerInfo::default();
    (info.in_flight, info.load, info.error_rate) = (none.in_flight, none.load, none.error_rate);
    (info.tokens_per_second, info.first_token_ms) = (none.tokens_per_second, none.first_token_ms);
    (info.completed, info.failed, info.last_seen) = (none.completed, none.failed, none.last_seen);
    (info.reputation, info.service_class) = (none.reputation, none.service_class);
    miner
}

impl Shared {
    /// Whether other routers may borrow this one's miners.
    pub(super) fn lends(&self) -> bool {
        self.settings.now().fleet.lend && self.takes_tasks()
    }

    /// The miners that other routers may borrow.
    pub(super) fn roster(&self) -> Vec<RosterMiner> {
        if !self.lends() {
            return Vec::new();
        }
        let core = self.core.lock();
        // Of a miner that was not heard yet nobody knows which models it has, and those that are kept for a session are
        // kept for its tasks here.
        let may_be_lent = core.own_miners().filter(|(_, slot)| !slot.retired && !slot.awaited);
        let all = may_be_lent.filter_map(|(key, slot)| {
            let (rules, view) = (core.engine.rules(*key)?, core.engine.miner(*key)?);
            let is_everybodys = !rules.last_resort && view.reserved.is_none();
            is_everybodys.then(|| RosterMiner {
                index: key.0,
                identity: rules.identity.to_string(),
                weight: slot.spec.weight,
                info: self.miner_info(slot, view),
            })
        });
        all.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miner(index: u32, in_flight: u32, credits: u32) -> RosterMiner {
        let info = MinerInfo::default().id(format!("m{index}")).in_flight(in_flight).credits(credits);
        RosterMiner { index, identity: format!("m{index}"), weight: 1, info }
    }

    #[test]
    fn only_news_is_told_and_figures_once_in_a_while() {
        let mut told = Told::default();
        let Some(Frame::Roster { whole: true, miners, .. }) = told.news(vec![miner(1, 0, 4)], true) else { panic!() };
        assert_eq!(miners.len(), 1);
        assert_eq!(told.news(vec![miner(1, 3, 4)], false), None, "it is only busy");
        let Some(Frame::Roster { whole: false, miners, gone }) = told.news(vec![miner(2, 0, 4)], false) else {
            panic!()
        };
        assert_eq!((miners[0].index, gone), (2, BTreeSet::from([1])));
        let Some(Frame::Roster { miners, .. }) = told.news(vec![miner(2, 0, 2)], false) else { panic!() };
        assert_eq!(miners[0].info.credits, 2);
        let rounds = (0..30).filter(|_| told.news(vec![miner(2, 0, 2)], true).is_some()).count();
        assert_eq!(rounds, 0, "nothing has changed");
        let mut busy = 0;
        let rounds = (0..30).filter(|_| {
            busy += 1;
            told.news(vec![miner(2, busy, 2)], true).is_some()
        });
        assert_eq!(rounds.count(), 3);
    }
}
