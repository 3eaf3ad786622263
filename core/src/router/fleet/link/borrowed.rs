//! Miners of other routers, as miners of this one.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::frame::{Frame, RosterMiner};
use super::partner::{Partner, refuse};
use crate::engine::{Effect, Event, MinerKey};
use crate::miner::{Job, Miner};
use crate::model::{Gid, MinerInfo, MinerSpec, NodeKind, SessionId};
use crate::router::fleet::figures::LoanEnd;
use crate::router::shared::Shared;
use crate::router::slot::{Abroad, Entrance};

/// A miner of another router.
pub(super) struct Foreign {
    key: MinerKey,
    identity: String,
    weight: u32,
    miner: Arc<Borrowable>,
}

/// Passes jobs on to the miner, on slots that its router has lent.
struct Borrowable {
    partner: Weak<Partner>,
    slots: Mutex<Vec<u64>>,
}

impl Miner for Borrowable {
    fn offer(&self, job: Job) {
        let slot = self.slots.lock().pop();
        match (self.partner.upgrade(), slot) {
            (Some(partner), Some(slot)) => partner.use_slot(slot, job),
            _ => refuse(job, "the router of the miner is gone"),
        }
    }
}

/// The slots of a miner that others may borrow.
fn slots_of(info: &MinerInfo) -> u32 {
    if info.active { info.credits } else { 0 }
}

fn spec_of(miner: &RosterMiner) -> MinerSpec {
    let info = &miner.info;
    MinerSpec::new(info.id.clone(), info.capacity.max(1))
        .kind(info.kind)
        .models(info.models.clone())
        .weight(miner.weight.clamp(1, 100))
        .owner(info.owner.clone().unwrap_or_default())
        .dedicated(info.node_type == NodeKind::Dedicated)
        .embeddings(info.embeddings)
        .max_context_tokens(info.max_context_tokens)
        .features(info.features.clone())
}

impl Shared {
    /// Takes the miners of another router, or those of them that have changed.
    pub(super) fn take_roster(
        self: &Arc<Self>,
        partner: &Arc<Partner>,
        whole: bool,
        miners: Vec<RosterMiner>,
        gone: &BTreeSet<u32>,
    ) {
        if partner.is_over() {
            return;
        }
        let mut left: Vec<MinerKey> = Vec::new();
        {
            let mut foreign = partner.foreign.lock();
            foreign.retain(|index, known| {
                let now = miners.iter().find(|miner| miner.index == *index);
                let stays = match now {
                    Some(now) => now.identity == known.identity && now.weight == known.weight,
                    None => !whole && !gone.contains(index),
                };
                if !stays {
                    left.push(known.key);
                }
                stays
            });
        }
        for key in left {
            self.see_foreign_off(key);
        }
        for miner in miners {
            let known = partner.foreign.lock().get(&miner.index).map(|known| known.key);
            match known {
                Some(key) => self.update_foreign(key, miner.info),
                None => self.enlist_foreign(partner, miner),
            }
        }
    }

    fn enlist_foreign(self: &Arc<Self>, partner: &Arc<Partner>, miner: RosterMiner) {
        let borrowable = Arc::new(Borrowable { partner: Arc::downgrade(partner), slots: Mutex::default() });
        let spec = spec_of(&miner);
        let slots = slots_of(&miner.info);
        let RosterMiner { index, identity, weight, info, passes } = miner;
        let kept_for = info.reserved_for;
        let abroad = Abroad { host: partner.number, router: partner.name.clone(), info: Box::new(info), passes };
        let entrance = Entrance { up: slots > 0, ..Entrance::default() };
        match self.enlist_from(&identity, spec, borrowable.clone(), entrance, Some(abroad)) {
            Ok(enlisted) => {
                let foreign = Foreign { key: enlisted.key, identity, weight, miner: borrowable };
                let key = foreign.key;
                partner.foreign.lock().insert(index, foreign);
                self.bring_in(enlisted);
                self.step(Event::KeptElsewhere(key, kept_for));
                self.step(Event::Credits(key, slots));
            }
            Err(error) => {
                tracing::debug!(router = &*partner.name, %error, "a miner of another router cannot be borrowed");
            }
        }
    }

    fn update_foreign(self: &Arc<Self>, key: MinerKey, info: MinerInfo) {
        let slots = slots_of(&info);
        self.step(Event::KeptElsewhere(key, info.reserved_for));
        let mut models = None;
        self.step_with(self.clock.now(), |core| {
            let slot = core.miners.get_mut(&key)?;
            if slot.spec.models != info.models {
                models = Some(info.models.clone());
            }
            slot.up = slots > 0;
            if let Some(abroad) = &mut slot.abroad {
                *abroad.info = info;
            }
            Some(Event::Credits(key, slots))
        });
        if let Some(models) = models {
            self.miner(key).set_models(models);
        }
    }

    fn see_foreign_off(self: &Arc<Self>, key: MinerKey) {
        if let Some(gone) = self.dismiss(key) {
            self.see_off(gone);
        }
    }

    /// Asks for no slots of a router to which there is no link.
    pub(super) fn hide(self: &Arc<Self>, partner: &Partner) {
        let keys: Vec<MinerKey> = partner.foreign.lock().values().map(|foreign| foreign.key).collect();
        for key in keys {
            self.step_with(self.clock.now(), |core| {
                core.miners.get_mut(&key)?.up = false;
                Some(Event::Credits(key, 0))
            });
        }
    }

    /// Removes the miners of a router that is gone. Their tasks are tried again.
    pub(super) fn dismiss_foreign(self: &Arc<Self>, partner: &Partner) {
        let foreign = std::mem::take(&mut *partner.foreign.lock());
        for foreign in foreign.into_values() {
            self.see_foreign_off(foreign.key);
        }
    }

    /// Gives a slot that another router lends to the task that needs it most, or gives it back.
    /// `only`: the slot is for that session's tasks alone.
    pub(super) fn take_loan(
        self: &Arc<Self>,
        partner: &Arc<Partner>,
        (slot, only): (u64, Option<SessionId>),
        index: u32,
        task: Gid,
    ) {
        let found = partner.foreign.lock().get(&index).map(|foreign| (foreign.key, foreign.miner.clone()));
        let is_used = found.is_some_and(|(key, miner)| {
            let now = self.clock.now();
            let (is_used, deeds) = {
                let mut core = self.core.lock();
                let effects = core.engine.step(Event::Borrow { miner: key, only }, now);
                let is_offer = |effect: &Effect| matches!(effect, Effect::Offer { miner, .. } if *miner == key);
                let is_used = effects.iter().any(is_offer);
                if is_used {
                    miner.slots.lock().push(slot);
                }
                (is_used, self.apply(&mut core, effects, now))
            };
            self.perform(deeds);
            is_used
        });
        if is_used {
            if let Some(links) = self.links() {
                links.loan_came(task, self);
            }
            self.count_loan("borrowed", LoanEnd::Used);
        } else {
            partner.post(&Frame::Return { slot });
            self.count_loan("borrowed", LoanEnd::Returned);
        }
    }
}
