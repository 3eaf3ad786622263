//! API keys: the store keeps them, and a copy in memory serves every request of every listener.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use super::shared::Router;
use crate::Result;
use crate::model::Timestamp;
use crate::store::ApiKey;
use crate::token::{KeySpec, NewKey};

/// The keys of the store, in memory.
#[derive(Default)]
pub(crate) struct KeyRing(RwLock<Ring>);

#[derive(Default)]
struct Ring {
    by_id: HashMap<String, Known>,
    /// The number of keys with the scope `admin`.
    admins: usize,
}

impl Ring {
    /// Sets the key with this id; `None` removes it. Returns the old key.
    fn replace(&mut self, id: &str, key: Option<Known>) -> Option<Known> {
        let administers = |known: &Known| usize::from(known.key.scopes.iter().any(|scope| scope == "admin"));
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

    fn add(&self, key: ApiKey) {
        let known = Known { key: Arc::new(key), revoked: CancellationToken::new() };
        let id = known.key.id.clone();
        self.replace(&id, Some(known));
    }

    fn remove(&self, id: &str) {
        self.replace(id, None);
    }

    fn replace(&self, id: &str, key: Option<Known>) {
        let before = self.0.write().replace(id, key);
        if let Some(before) = before {
            before.revoked.cancel();
        }
    }

    /// The key with this id.
    #[cfg(feature = "listener")]
    pub(crate) fn get(&self, id: &str) -> Option<Known> {
        self.0.read().by_id.get(id).cloned()
    }

    #[cfg(feature = "listener")]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.read().by_id.is_empty()
    }

    /// Whether there is a key with the scope `admin`.
    #[cfg(feature = "listener")]
    pub(crate) fn has_admin(&self) -> bool {
        self.0.read().admins > 0
    }
}

impl Router {
    /// The keys against which requests are checked.
    #[cfg(feature = "listener")]
    pub(crate) fn key_ring(&self) -> Arc<KeyRing> {
        self.shared.keys.clone()
    }

    /// Writes a new or changed key. Every listener of this router accepts it from now on.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn put_key(&self, key: ApiKey) -> Result<()> {
        let shared = self.shared.clone();
        self.shared
            .see_through(async move {
                shared.store.put_key(key.clone()).await?;
                shared.keys.add(key);
                Ok(())
            })
            .await
    }

    /// Makes a key. The result holds its token, which cannot be read again later.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; the store's error.
    pub async fn create_key(&self, spec: &KeySpec) -> Result<NewKey> {
        let (record, made) = spec.mint(Timestamp::wall_clock())?;
        self.put_key(record).await?;
        Ok(made)
    }

    /// All keys, without their hashes.
    ///
    /// # Errors
    /// The store's.
    pub async fn keys(&self) -> Result<Vec<ApiKey>> {
        let mut keys = self.shared.store.keys().await?;
        for key in &mut keys {
            key.hash.clear();
        }
        Ok(keys)
    }

    /// Deletes a key. Every listener refuses it from now on and ends its open requests and connections. `false`: there
    /// was no such key.
    ///
    /// # Errors
    /// The store's.
    pub async fn delete_key(&self, id: &str) -> Result<bool> {
        let (shared, id) = (self.shared.clone(), id.to_owned());
        self.shared
            .see_through(async move {
                let found = shared.store.delete_key(id.clone()).await?;
                shared.keys.remove(&id);
                Ok(found)
            })
            .await
    }
}
