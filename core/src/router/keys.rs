//! Makes, lists and revokes API keys.

#[cfg(feature = "listener")]
use std::sync::Arc;

#[cfg(feature = "listener")]
use super::key_ring::KeyRing;
use super::meters::spent;
use super::shared::Router;
use crate::Result;
use crate::config::{KeyLimits, LimitsPatch};
use crate::model::Timestamp;
use crate::store::ApiKey;
use crate::token::{KeySpec, NewKey};

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
        let key = &made.key;
        tracing::info!(key = key.id, name = key.name, scopes = ?key.scopes, "a key is made");
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

    /// Changes the limits of a key, which count from now on. Gives its record, without its hash; `None`: there is no
    /// such key.
    ///
    /// # Errors
    /// The store's; that of `check`, which sees the new limits.
    pub async fn limit_key(
        &self,
        id: &str,
        patch: LimitsPatch,
        check: impl FnOnce(&KeyLimits) -> Result<()> + Send + 'static,
    ) -> Result<Option<ApiKey>> {
        let (shared, id, today) = (self.shared.clone(), id.to_owned(), self.today());
        self.shared
            .see_through(async move {
                let _no_changes = shared.keys.changing.lock().await;
                let Some(known) = shared.keys.get(&id) else { return Ok(None) };
                let mut key = ApiKey::clone(&known.key);
                key.limits = patch.applied_to(key.limits);
                check(&key.limits)?;
                shared.store.put_key(key.clone()).await?;
                let spent = if shared.keys.is_counted(&id) {
                    None
                } else {
                    spent(&*shared.store, today, Some(&id)).await?.remove(&id)
                };
                shared.keys.limit(key.clone(), spent);
                key.hash.clear();
                Ok(Some(key))
            })
            .await
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
                let _no_changes = shared.keys.changing.lock().await;
                let found = shared.store.delete_key(id.clone()).await?;
                shared.keys.remove(&id);
                if found {
                    tracing::info!(key = id, "a key is deleted");
                }
                Ok(found)
            })
            .await
    }
}
