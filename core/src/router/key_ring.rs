//! The API keys of the store, in memory for every request of every listener.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use crate::model::Scope;
use crate::store::ApiKey;

/// The keys of the store, in memory.
#[derive(Default)]
pub(crate) struct KeyRing {
    ring: RwLock<Ring>,
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
    pub(crate) revoked: CancellationToken,
}

impl KeyRing {
    pub(super) fn new(keys: Vec<ApiKey>) -> Arc<Self> {
        let ring = Self::default();
        for key in keys {
            ring.add(key);
        }
        Arc::new(ring)
    }

    pub(super) fn add(&self, key: ApiKey) {
        let id: Arc<str> = key.id.as_str().into();
        let known = Known {
            #[cfg(feature = "listener")]
            id: id.clone(),
            key: Arc::new(key),
            revoked: CancellationToken::new(),
        };
        self.replace(&id, Some(known));
    }

    pub(super) fn remove(&self, id: &str) {
        self.replace(id, None);
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
    #[cfg(feature = "listener")]
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
