//! Miners that the router remembers, connected or not: enrolled keys, allowed models, reputations.

use std::sync::Arc;

use super::shared::{Router, Shared};
use crate::Result;
use crate::engine::Event;
#[cfg(feature = "listener")]
use crate::store::Pending;
use crate::store::{Act, HOST, MinerRecord};

impl Shared {
    /// Writes down a miner's new reputation, so that a miner cannot restore it by leaving, nor does a restart.
    pub(super) fn reputed(self: &Arc<Self>, name: &str, reputation: f64) {
        tracing::debug!(miner = name, reputation, "a miner's reputation moved");
        let router = Router { shared: self.clone() };
        if router.change_miner(name, |record| record.reputation = reputation) {
            return;
        }
        {
            let mut known = self.known.lock();
            // The engine remembers this many reputations, too.
            if known.len() as u64 >= 2 * self.settings.now().limits.max_miners {
                return;
            }
            known.entry(name.to_owned()).or_insert_with(|| self.record_of(name));
        }
        router.change_miner(name, |record| record.reputation = reputation);
    }

    /// Makes sure that the store remembers at least one miner.
    pub(super) fn remember_first(self: &Arc<Self>, name: &str) {
        {
            let mut known = self.known.lock();
            if !known.is_empty() {
                return;
            }
            known.insert(name.to_owned(), self.record_of(name));
        }
        Router { shared: self.clone() }.change_miner(name, |_| {});
    }

    fn record_of(&self, name: &str) -> MinerRecord {
        MinerRecord {
            id: name.to_owned(),
            name: name.to_owned(),
            created_at: self.clock.now().as_secs(),
            ..MinerRecord::default()
        }
    }

    /// Gives the remembered reputations to the engine.
    pub(super) fn tell_reputations(self: &Arc<Self>) {
        let known: Vec<(Arc<str>, f64)> = self
            .known
            .lock()
            .values()
            .filter(|record| record.reputation < 1.0)
            .map(|record| (Arc::from(record.id.as_str()), record.reputation))
            .collect();
        for (name, reputation) in known {
            self.step(Event::Reputation(name, reputation));
        }
    }
}

impl Router {
    /// All miners that the router remembers, in the order of their ids.
    pub fn known_miners(&self) -> Vec<MinerRecord> {
        self.shared.known.lock().values().cloned().collect()
    }

    /// The record of the miner with this id.
    #[cfg(feature = "listener")]
    pub(crate) fn known_miner(&self, id: &str) -> Option<MinerRecord> {
        self.shared.known.lock().get(id).cloned()
    }

    /// Writes the record of an enrolled miner.
    ///
    /// # Errors
    /// The store's error; the old record then stays in force.
    #[cfg(feature = "listener")]
    pub(super) async fn remember_miner(&self, record: MinerRecord, act: Act) -> Result<()> {
        self.shared.store.put_miner(record.clone(), Some(act)).await?;
        self.shared.tell_others();
        self.shared.known.lock().insert(record.id.clone(), record);
        Ok(())
    }

    /// Marks an enrolled miner as revoked. Returns the store's pending write; later changes of the record keep the
    /// mark. `None`: no such miner is enrolled.
    #[cfg(feature = "listener")]
    pub(super) fn revoke_known(&self, id: &str, by: &str) -> Option<Pending<()>> {
        let mut known = self.shared.known.lock();
        let record = known.get_mut(id).filter(|record| record.public_key.is_some())?;
        record.revoked = true;
        // The lock is held while the write is queued, so that no older state is written later.
        let act = Act::miner_revoked(self.shared.clock.now(), by, record);
        Some(self.shared.store.put_miner(record.clone(), Some(act)))
    }

    /// Changes the record of a miner and writes it in the background; writes keep the order of the changes. `false`:
    /// there is no such record.
    pub(super) fn change_miner(&self, id: &str, change: impl FnOnce(&mut MinerRecord)) -> bool {
        let mut known = self.shared.known.lock();
        let Some(record) = known.get_mut(id) else { return false };
        let before = record.reputation;
        change(record);
        // The lock is held while the write is queued, so that the newest change is the last one in the store.
        let written = match self.shared.fleet() {
            Some((fleet, _)) => fleet.merge_miner(record.clone(), before),
            None => self.shared.store.put_miner(record.clone(), None),
        };
        drop(known);
        let id = id.to_owned();
        self.shared.background.spawn_on(
            async move {
                if let Err(error) = written.await {
                    tracing::warn!(miner = %id, %error, "what is known of a miner could not be written");
                }
            },
            &self.shared.runtime,
        );
        true
    }

    /// Deletes the record of a miner. `false`: there was no such record.
    ///
    /// # Errors
    /// The store's.
    pub async fn forget_miner(&self, id: &str) -> Result<bool> {
        let known = self.shared.known.lock().get(id).cloned();
        let act = Act::miner_forgotten(self.shared.clock.now(), HOST, id, known.as_ref());
        let found = self.shared.store.delete_miner(id.to_owned(), Some(act)).await?;
        self.shared.tell_others();
        self.shared.known.lock().remove(id);
        if found {
            tracing::info!(miner = id, by = HOST, "a miner's record is deleted");
        }
        Ok(found)
    }
}
