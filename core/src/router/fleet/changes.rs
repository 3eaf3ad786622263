//! Brings into memory what other routers, and programs that are none, changed in the store.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::sessions::STANDING;
use super::super::shared::Shared;
use crate::Result;
use crate::engine::Event;
use crate::model::{Session, SessionId, Timestamp};
use crate::store::{ApiKey, Changes, MinerRecord, SessionName};

impl Shared {
    /// Takes the changes that a beat read at that time.
    pub(super) async fn take_changes(self: &Arc<Self>, changes: Changes, read: Timestamp) -> Result<()> {
        let Changes { whole, sessions, keys, miners, upstreams, gone_tasks, .. } = changes;
        let Changes { mut gone_sessions, mut gone_keys, mut gone_miners, .. } = changes;
        if !gone_tasks.is_empty() {
            self.forget_deleted(&gone_tasks);
        }
        if whole {
            let ids = sessions.iter().map(|session| session.id).collect();
            let core = self.core.lock();
            let here = core.sessions.values().filter(|session| !STANDING.contains(&session.id));
            gone_sessions = Self::missing(here.map(|session| (session.id, session.updated_at)), &ids, read);
            drop(core);
            let ids: BTreeSet<String> = keys.iter().map(|key| key.id.clone()).collect();
            gone_keys = Self::missing(self.keys.made().into_iter(), &ids, read);
            let ids: BTreeSet<String> = miners.iter().map(|miner| miner.id.clone()).collect();
            let here = self.known.lock();
            gone_miners = Self::missing(here.values().map(|miner| (miner.id.clone(), miner.created_at)), &ids, read);
        }
        self.take_sessions(sessions, gone_sessions).await;
        self.take_keys(keys, gone_keys).await?;
        self.take_miners(miners, &gone_miners);
        #[cfg(feature = "listener")]
        self.follow_upstreams(upstreams);
        #[cfg(not(feature = "listener"))]
        let _ = upstreams;
        Ok(())
    }

    async fn take_sessions(self: &Arc<Self>, sessions: Vec<Session>, gone: Vec<SessionId>) {
        if sessions.is_empty() && gone.is_empty() {
            return;
        }
        // A change of this router that is under way comes after what the store says of it.
        let _no_changes = self.session_changes.lock().await;
        let changed: BTreeSet<SessionId> = sessions.iter().map(|session| session.id).collect();
        let gone: BTreeSet<SessionId> = gone.into_iter().filter(|id| !changed.contains(id)).collect();
        for mut session in sessions {
            // A change of this router within the same second may be newer than the beat that read the row.
            if self.known_since(&session) == Some(session.updated_at)
                && let Some((fleet, _)) = self.fleet()
                && let Ok(Some((present, _))) = fleet.session(SessionName::Id(session.id)).await
            {
                session = present;
            }
            if self.known_since(&session).is_some_and(|at| at <= session.updated_at) {
                tracing::debug!(session = %session.id, "another router changed a session");
                self.adopt_session(session);
            }
        }
        if !gone.is_empty() {
            self.forget_sessions(gone);
        }
    }

    /// The time in seconds at which the session was changed that this router knows in place of a row; 0: it knows none.
    /// `None`: it knows the row.
    fn known_since(&self, row: &Session) -> Option<u64> {
        let core = self.core.lock();
        let Some(known) = core.sessions.get(&row.id) else { return Some(0) };
        (known.spec != row.spec || known.active != row.active).then_some(known.updated_at)
    }

    async fn take_keys(self: &Arc<Self>, keys: Vec<ApiKey>, gone: Vec<String>) -> Result<()> {
        if keys.is_empty() && gone.is_empty() {
            return Ok(());
        }
        let _no_changes = self.keys.changing.lock().await;
        for id in gone.iter().filter(|id| keys.iter().all(|key| key.id != **id)) {
            if self.keys.get(id).is_some() {
                tracing::info!(key = id, "another router deleted a key");
                self.keys.remove(id);
            }
        }
        for key in keys {
            self.take_key(key).await?;
        }
        Ok(())
    }

    /// Brings a key of the store into memory. The caller holds the lock on changes.
    pub(in crate::router) async fn take_key(self: &Arc<Self>, key: ApiKey) -> Result<()> {
        let known = self.keys.get(&key.id);
        if known.as_ref().is_some_and(|known| *known.key == key) {
            return Ok(());
        }
        // All that the key has used up so far must count from the first task on.
        self.keys.learn(&*self.store, &key).await?;
        let limits = key.limits;
        match known {
            // Requests under way go on if only the limits changed.
            Some(known) if (ApiKey { limits, ..ApiKey::clone(&known.key) }) == key => self.keys.limit(key),
            _ => self.keys.add(key),
        }
        Ok(())
    }

    fn take_miners(self: &Arc<Self>, miners: Vec<MinerRecord>, gone: &[String]) {
        for miner in miners {
            let (moved, revoked) = {
                let mut known = self.known.lock();
                let before = known.insert(miner.id.clone(), miner.clone());
                let was = before.as_ref().map_or(1.0, |before| before.reputation);
                let moved = (was - miner.reputation).abs() > f64::EPSILON;
                (moved, miner.revoked && before.is_some_and(|before| !before.revoked))
            };
            if moved {
                self.step(Event::Reputation(Arc::from(miner.id.as_str()), miner.reputation));
            }
            #[cfg(feature = "listener")]
            if revoked {
                super::super::shared::Router { shared: self.clone() }.dismiss(&miner.id);
            }
            #[cfg(not(feature = "listener"))]
            let _ = revoked;
        }
        let mut known = self.known.lock();
        for id in gone {
            known.remove(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::model::{SessionId, SessionPatch, SessionSpec};
    use crate::store::{Changes, SharedMemory};
    use crate::{Config, Router};

    /// A beat that has read a session before this router changed it takes nothing back.
    #[tokio::test(start_paused = true)]
    async fn a_row_that_was_read_before_a_change_of_this_router_is_not_news() {
        let database = SharedMemory::new(Duration::from_mins(1));
        let mut config = Config::default();
        config.storage.lease_ms = 60_000;
        let store = Arc::new(database.join("one").unwrap());
        let router = Router::builder().config(config).store(store).open().await.unwrap();
        let read = router.create_session(SessionSpec::default().name("a")).await.unwrap();
        let id: SessionId = read.id;
        router.update_session(id, SessionPatch::default().name(Some("b".into()))).await.unwrap();
        let changes = Changes { sessions: vec![read], ..Changes::default() };
        router.shared.take_changes(changes, router.shared.clock.now()).await.unwrap();
        assert_eq!(router.session(id).unwrap().spec.name, "b");
        router.close().await;
    }
}
