//! The miners of this router, as others are told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::frame::{Frame, RosterMiner};
use crate::model::{MinerInfo, MinerStatus};
use crate::router::shared::Shared;

/// The time after which figures that change all the time are told again.
const FIGURES: Duration = Duration::from_secs(10);

/// The miners of this router, as all links tell them. It is made when a miner comes, goes or changes, and once in a while for
/// its figures. While nothing changes, no link has anything to do.
#[derive(Default)]
pub(super) struct Roster {
    figures_at: Option<Instant>,
    now: Edition,
}

/// One state of the roster.
#[derive(Debug, Clone, Default)]
pub(super) struct Edition {
    /// It grows when a miner comes, goes or changes.
    version: u64,
    /// It grows when the figures of a miner have changed.
    figures: u64,
    miners: Arc<Vec<RosterMiner>>,
}

impl Roster {
    /// The present edition. `is_stale`: a miner has come, gone or changed. `make` gives the miners, if they have to be
    /// looked at.
    fn edition(&mut self, is_stale: bool, make: impl FnOnce() -> Vec<RosterMiner>) -> Edition {
        let tells_figures = self.figures_at.is_none_or(|at| at.elapsed() >= FIGURES);
        if !is_stale && !tells_figures {
            return self.now.clone();
        }
        let (old, new) = (&self.now.miners, make());
        let is_same = |(a, b): (&RosterMiner, &RosterMiner)| lasting(a.clone()) == lasting(b.clone());
        let has_changed = old.len() != new.len() || !old.iter().zip(&new).all(is_same);
        let has_figures = tells_figures && **old != new;
        if tells_figures {
            self.figures_at = Some(Instant::now());
        }
        self.now.version += u64::from(has_changed);
        self.now.figures += u64::from(has_figures);
        if has_changed || has_figures {
            self.now.miners = Arc::new(new);
        }
        self.now.clone()
    }
}

/// The miners of which the other router was told.
#[derive(Default)]
pub(super) struct Told {
    miners: BTreeMap<u32, RosterMiner>,
    version: u64,
    figures: u64,
    has_begun: bool,
}

impl Told {
    /// The frame with what has changed; `None`: nothing has.
    pub(super) fn news(&mut self, edition: &Edition) -> Option<Frame> {
        let Edition { version, figures, miners: now } = edition;
        if self.has_begun && (self.version, self.figures) == (*version, *figures) {
            return None;
        }
        let whole = !std::mem::replace(&mut self.has_begun, true);
        let tells_figures = self.figures != *figures;
        (self.version, self.figures) = (*version, *figures);
        let indexes: BTreeSet<u32> = now.iter().map(|miner| miner.index).collect();
        let gone: BTreeSet<u32> = self.miners.keys().copied().filter(|index| !indexes.contains(index)).collect();
        let is_news = |miner: &&RosterMiner| {
            self.miners.get(&miner.index).is_none_or(|told| {
                if tells_figures { told != *miner } else { lasting(told.clone()) != lasting((*miner).clone()) }
            })
        };
        let changed: Vec<RosterMiner> = now.iter().filter(is_news).cloned().collect();
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

    /// The miners that other routers may borrow, as links tell them.
    pub(super) fn roster(&self, links: &super::Links) -> Edition {
        let is_stale = links.roster_is_stale.swap(false, Ordering::AcqRel);
        links.roster.lock().edition(is_stale, || self.lendable())
    }

    fn lendable(&self) -> Vec<RosterMiner> {
        if !self.settings.now().fleet.lend {
            return Vec::new();
        }
        // A router that drains lends no further slots, and those that are in use stay.
        let lends = self.takes_tasks();
        let core = self.core.lock();
        // Of a miner that was not heard yet nobody knows which models it has. Those that are kept for a session may be lent
        // to its tasks.
        let may_be_lent = core.own_miners().filter(|(_, slot)| !slot.retired && !slot.awaited);
        let all = may_be_lent.filter_map(|(key, slot)| {
            let (rules, view) = (core.engine.rules(*key)?, core.engine.miner(*key)?);
            (!rules.last_resort).then(|| {
                let mut info = self.miner_info(slot, view);
                info.credits = if lends { info.credits } else { 0 };
                let (identity, weight) = (rules.identity.to_string(), slot.spec.weight);
                RosterMiner { index: key.0, identity, weight, info, passes: true }
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
        RosterMiner { index, identity: format!("m{index}"), weight: 1, info, passes: true }
    }

    #[tokio::test(start_paused = true)]
    async fn only_news_is_told_and_figures_once_in_a_while() {
        let (mut roster, mut told) = (Roster::default(), Told::default());
        let mut tell = |stale: bool, miners: Vec<RosterMiner>| told.news(&roster.edition(stale, || miners));
        let Some(Frame::Roster { whole: true, miners, .. }) = tell(true, vec![miner(1, 0, 4)]) else { panic!() };
        assert_eq!(miners.len(), 1);
        assert_eq!(tell(true, vec![miner(1, 3, 4)]), None, "it is only busy");
        assert_eq!(tell(false, vec![miner(2, 0, 4)]), None, "nobody has said that it changed");
        let Some(Frame::Roster { whole: false, miners, gone }) = tell(true, vec![miner(2, 0, 4)]) else { panic!() };
        assert_eq!((miners[0].index, gone), (2, BTreeSet::from([1])));
        let Some(Frame::Roster { miners, .. }) = tell(true, vec![miner(2, 0, 2)]) else { panic!() };
        assert_eq!(miners[0].info.credits, 2);
        // A second has passed each time: figures are told with every tenth look.
        let (mut looks, mut busy) = (0, 0);
        let mut rounds = 0;
        for _ in 0..30 {
            tokio::time::advance(Duration::from_secs(1)).await;
            busy += 1;
            let news = told.news(&roster.edition(false, || {
                looks += 1;
                vec![miner(2, busy, 2)]
            }));
            rounds += usize::from(news.is_some());
        }
        assert_eq!((looks, rounds), (3, 3));
        // And while nothing changes, nothing is told.
        for _ in 0..30 {
            tokio::time::advance(Duration::from_secs(1)).await;
            assert_eq!(told.news(&roster.edition(false, || vec![miner(2, busy, 2)])), None);
        }
    }
}
