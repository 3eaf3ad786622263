//! Makes, lists and revokes API keys.

#[cfg(feature = "listener")]
use std::sync::Arc;

#[cfg(feature = "listener")]
use super::key_ring::KeyRing;
use super::shared::Router;
use crate::Result;
use crate::config::{KeyLimits, LimitsPatch};
use crate::model::Timestamp;
use crate::store::{Act, ApiKey, HOST};
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
    pub(super) async fn put_key(&self, key: ApiKey, act: Option<Act>) -> Result<()> {
        let shared = self.shared.clone();
        self.shared
            .see_through(async move {
                shared.store.put_key(key.clone(), act).await?;
                shared.keys.add(key);
                shared.tell_others();
                Ok(())
            })
            .await
    }

    /// Makes a key. The result holds its token, which cannot be read again later.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; the store's error.
    pub async fn create_key(&self, spec: &KeySpec) -> Result<NewKey> {
        self.make_key(spec, HOST).await
    }

    /// Makes a key for the caller with the key `by`.
    ///
    /// # Errors
    /// Those of [`create_key`](Self::create_key).
    pub(crate) async fn make_key(&self, spec: &KeySpec, by: &str) -> Result<NewKey> {
        let (record, made) = spec.mint(Timestamp::wall_clock())?;
        let act = Act::key_created(self.shared.clock.now(), by, &record);
        self.put_key(record, Some(act)).await?;
        let key = &made.key;
        tracing::info!(key = key.id, name = key.name, scopes = ?key.scopes, by, "a key is made");
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
        self.change_limits(id, patch, check, HOST).await
    }

    /// Changes the limits of a key for the caller with the key `by`.
    ///
    /// # Errors
    /// Those of [`limit_key`](Self::limit_key).
    pub(crate) async fn change_limits(
        &self,
        id: &str,
        patch: LimitsPatch,
        check: impl FnOnce(&KeyLimits) -> Result<()> + Send + 'static,
        by: &str,
    ) -> Result<Option<ApiKey>> {
        let (shared, id, by) = (self.shared.clone(), id.to_owned(), by.to_owned());
        self.shared
            .see_through(async move {
                let _no_changes = shared.keys.changing.lock().await;
                if let Some((fleet, _)) = shared.fleet()
                    && let Some(key) = fleet.key(id.clone()).await?
                {
                    // Another router may have changed it a moment ago.
                    shared.take_key(key).await?;
                }
                let Some(known) = shared.keys.get(&id) else { return Ok(None) };
                let mut key = ApiKey::clone(&known.key);
                key.limits = patch.applied_to(key.limits);
                check(&key.limits)?;
                let act = Act::key_limited(shared.clock.now(), &by, &known.key, &key);
                shared.store.put_key(key.clone(), Some(act)).await?;
                shared.keys.learn(&*shared.store, &key).await?;
                shared.keys.limit(key.clone());
                shared.tell_others();
                tracing::info!(key = key.id, by, "a key has other limits");
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
        self.revoke_key(id, HOST).await
    }

    /// Deletes a key for the caller with the key `by`.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn revoke_key(&self, id: &str, by: &str) -> Result<bool> {
        let known = self.shared.keys.get(id);
        let act = Act::key_revoked(self.shared.clock.now(), by, id, known.as_ref().map(|known| &*known.key));
        self.remove_key(id, Some(act)).await
    }

    /// Deletes a key. `false`: there was no such key.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn remove_key(&self, id: &str, act: Option<Act>) -> Result<bool> {
        let (shared, id) = (self.shared.clone(), id.to_owned());
        let by = act.as_ref().map(|act| act.key_id.clone());
        self.shared
            .see_through(async move {
                let _no_changes = shared.keys.changing.lock().await;
                let found = shared.store.delete_key(id.clone(), act).await?;
                shared.keys.remove(&id);
                shared.tell_others();
                if found {
                    tracing::info!(key = id, by, "a key is deleted");
                }
                Ok(found)
            })
            .await
    }
}
