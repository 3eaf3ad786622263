//! The API keys of the store, in memory for every request of every listener.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::meters::Meters;
use super::quota::Meter;
use super::spent::Spent;
use crate::Result;
#[cfg(feature = "listener")]
use crate::config::KeyLimits;
use crate::model::Day;
use crate::model::Scope;
use crate::store::{ApiKey, Store};

/// The keys of the store, in memory, and the meters of all keys and tokens with limits.
pub(crate) struct KeyRing {
    ring: RwLock<Ring>,
    meters: Meters,
    /// Held from reading a key until its change is in the store and in memory, so that no change undoes another.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// The number of changes so far. It grows before a change has returned.
    changes: AtomicU64,
}

#[derive(Default)]
struct Ring {
    by_id: HashMap<String, Known>,
    /// The number of keys with the scope `admin`.
    admins: usize,
}

impl Ring {
    /// Sets the key with this id; `None` removes it. Returns the old key.
    fn replace(&mut self, id: &str, key: Option<Known>) -> Option<Known> {
        let administers = |known: &Known| usize::from(known.key.scopes.contains(&Scope::Admin));
        self.admins += key.as_ref().map_or(0, administers);
        let before = match key {
            Some(key) => self.by_id.insert(id.to_owned(), key),
            None => self.by_id.remove(id),
        };
        self.admins -= before.as_ref().map_or(0, administers);
        before
    }
}

/// A key, and the signal that it was replaced or deleted.
#[derive(Clone)]
pub(crate) struct Known {
    /// The key's id, which its tasks carry.
    #[cfg(feature = "listener")]
    pub(crate) id: Arc<str>,
    pub(crate) key: Arc<ApiKey>,
    /// The count of what the key uses; `None`: it has no limits.
    pub(crate) meter: Option<Arc<Meter>>,
    pub(crate) revoked: CancellationToken,
}

impl KeyRing {
    pub(super) fn new(keys: Vec<ApiKey>, meters: Meters) -> Arc<Self> {
        let (changing, changes) = (tokio::sync::Mutex::default(), AtomicU64::new(0));
        let ring = Self { ring: RwLock::default(), meters, changing, changes };
        for key in keys {
            ring.add(key);
        }
        Arc::new(ring)
    }

    pub(super) fn add(&self, key: ApiKey) {
        let id: Arc<str> = key.id.as_str().into();
        let meter = self.meters.of(&id, &key.limits);
        let known = Known {
            #[cfg(feature = "listener")]
            id: id.clone(),
            key: Arc::new(key),
            meter,
            revoked: CancellationToken::new(),
        };
        self.replace(&id, Some(known));
    }

    pub(super) fn remove(&self, id: &str) {
        self.replace(id, None);
        self.meters.forget(id);
    }

    /// Gives a key other limits. Its requests under way go on.
    pub(super) fn limit(&self, key: ApiKey) {
        let meter = self.meters.of(&key.id, &key.limits);
        let mut ring = self.ring.write();
        if let Some(known) = ring.by_id.get_mut(&key.id) {
            known.meter = meter;
            known.key = Arc::new(key);
        }
        drop(ring);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// The keys, and when they were made.
    pub(super) fn made(&self) -> Vec<(String, u64)> {
        self.ring.read().by_id.iter().map(|(id, known)| (id.clone(), known.key.created_at)).collect()
    }

    /// Reads from the store what a key has used up that had no limits so far, and that has some from now on.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn learn(&self, store: &dyn Store, key: &ApiKey) -> Result<()> {
        self.meters.learn(store, &key.id, &key.limits).await
    }

    /// Whether a key or a token has a limit for a day or a month.
    pub(super) fn has_quotas(&self) -> bool {
        self.meters.has_quotas()
    }

    /// Sets what keys and tokens with limits have used up until `today`.
    pub(super) fn set_spent(&self, spent: &HashMap<String, Spent>, today: Day) {
        self.meters.set_spent(spent, today);
    }

    /// The meter of a token of the configuration, which has these limits.
    #[cfg(feature = "listener")]
    pub(crate) fn meter(&self, name: &str, limits: &KeyLimits) -> Option<Arc<Meter>> {
        self.meters.of(name, limits)
    }

    /// Counts the tokens of a task that an earlier start admitted.
    pub(super) fn count(&self, key: &str, tokens: u64) {
        self.meters.count(key, tokens);
    }

    fn replace(&self, id: &str, key: Option<Known>) {
        let before = self.ring.write().replace(id, key);
        self.changes.fetch_add(1, Ordering::AcqRel);
        if let Some(before) = before {
            before.revoked.cancel();
        }
    }

    /// The number of changes so far. A decision that was made from the keys holds as long as the number, which must
    /// have been read before the decision, is the same.
    #[cfg(feature = "listener")]
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The key with this id.
    pub(crate) fn get(&self, id: &str) -> Option<Known> {
        self.ring.read().by_id.get(id).cloned()
    }

    #[cfg(feature = "listener")]
    pub(crate) fn is_empty(&self) -> bool {
        self.ring.read().by_id.is_empty()
    }

    /// Whether there is a key with the scope `admin`.
    #[cfg(feature = "listener")]
    pub(crate) fn has_admin(&self) -> bool {
        self.ring.read().admins > 0
    }
}
