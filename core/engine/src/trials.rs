//! The miners that tried a task in vain.

use smallvec::SmallVec;

use super::rules::MinerKey;

type Keys = SmallVec<[MinerKey; 2]>;

/// The miners that got a task and gave no answer, each of them once, and why they gave none.
#[derive(Debug, Default)]
pub(super) struct Trials {
    all: Keys,
    /// Those that would refuse the task again.
    refused: Keys,
    /// Those that declined the offer.
    declined: Keys,
}

impl Trials {
    /// Notes that the miner gave no answer. `declined`: it never took the offer.
    pub(super) fn note(&mut self, miner: MinerKey, declined: bool) {
        add(&mut self.all, miner);
        if declined {
            add(&mut self.declined, miner);
        }
    }

    /// Notes that the miner would refuse the task again.
    pub(super) fn note_refusal(&mut self, miner: MinerKey) {
        add(&mut self.refused, miner);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether the miner got the task and gave no answer.
    pub(super) fn has(&self, miner: MinerKey) -> bool {
        self.all.contains(&miner)
    }

    /// Whether the miner would refuse the task again.
    pub(super) fn is_refused_by(&self, miner: MinerKey) -> bool {
        self.refused.contains(&miner)
    }

    /// Whether some miner would refuse the task again.
    pub(super) fn is_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// Whether the miner declined the offer.
    pub(super) fn is_declined_by(&self, miner: MinerKey) -> bool {
        self.declined.contains(&miner)
    }

    /// Whether some miner declined the offer.
    pub(super) fn is_declined(&self) -> bool {
        !self.declined.is_empty()
    }
}

fn add(keys: &mut Keys, miner: MinerKey) {
    if !keys.contains(&miner) {
        keys.push(miner);
    }
}
