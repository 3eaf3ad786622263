//! Deletes ended tasks that are older or larger than the retention allows, then old closed sessions without tasks, old
//! usage, and old entries of the audit log.
//!
//! A session is deleted from the store first and from memory second. After a crash in between, the next start does not
//! find it. If the store fails, the session stays in memory and the next round tries again.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::sessions::STANDING;
use super::shared::Shared;
use crate::Result;
use crate::model::{Day, SessionId, Timestamp};
use crate::store::Purge;

/// The maximum number of tasks that one transaction deletes, so that other writes need not wait long.
const TASKS: u64 = 1_000;
/// The maximum number of sessions that are looked at under one lock.
const SESSIONS: usize = 1_000;

impl Shared {
    /// Deletes old tasks and sessions every `retention.interval_secs`, until the router closes.
    pub(super) async fn keep_house(self: Arc<Self>) {
        loop {
            let interval = Duration::from_secs(self.settings.now().retention.interval_secs.max(1));
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(interval) => {}
            }
            let settings = self.settings.kept();
            if let Err(error) = self.purge_tasks().await {
                tracing::warn!(%error, "old tasks could not be deleted");
            }
            if let Err(error) = self.purge_sessions().await {
                tracing::warn!(%error, "closed sessions could not be deleted");
            }
            let today = Day::of(self.clock.now());
            if let Err(error) = self.store.forget_usage(today.before(settings.retention.usage_days)).await {
                tracing::warn!(%error, "old usage could not be deleted");
            }
            let kept_ms = settings.retention.audit_days.saturating_mul(24 * 3_600 * 1_000);
            let first = Timestamp(self.clock.now().0.saturating_sub(kept_ms));
            if let Err(error) = self.store.forget_audit(first).await {
                tracing::warn!(%error, "old entries of the audit log could not be deleted");
            }
        }
    }

    async fn purge_tasks(&self) -> Result<()> {
        let settings = self.settings.kept();
        let retention = &settings.retention;
        let max_age_ms = retention.max_age_secs.saturating_mul(1_000);
        let ended_before = Timestamp(self.clock.now().0.saturating_sub(max_age_ms));
        let purge = Purge { ended_before, max_bytes: retention.max_bytes.map_or(0, u64::from), limit: TASKS };
        while self.store.purge(purge).await? >= TASKS && !self.stop.is_cancelled() {
            tokio::task::yield_now().await;
        }
        // The memory shows no task that the store has no more.
        loop {
            let forgotten = self.core.lock().forget_older(ended_before, TASKS as usize);
            if forgotten.len() < TASKS as usize || self.stop.is_cancelled() {
                return Ok(());
            }
            drop(forgotten);
            tokio::task::yield_now().await;
        }
    }

    async fn purge_sessions(&self) -> Result<()> {
        let closed_before =
            self.clock.now().as_secs().saturating_sub(self.settings.now().retention.closed_session_secs);
        let mut from = Bound::Unbounded;
        while !self.stop.is_cancelled() {
            // A concurrent change would write a deleted session again.
            let _no_changes = self.session_changes.lock().await;
            let (due, last) = due_sessions(&self.core.lock(), from, closed_before);
            let asked: Vec<_> = due.into_iter().map(|id| (id, self.store.delete_session(id))).collect();
            let mut gone = BTreeSet::new();
            for (id, answer) in asked {
                if answer.await? {
                    gone.insert(id);
                }
            }
            if !gone.is_empty() {
                self.forget_sessions(gone);
            }
            let Some(last) = last else { return Ok(()) };
            from = Bound::Excluded(last);
        }
        Ok(())
    }

    /// Forgets sessions that the store has no more.
    pub(super) fn forget_sessions(&self, gone: BTreeSet<SessionId>) {
        self.forget_paces(&gone);
        for id in &gone {
            self.session_meters.forget(&id.to_string());
        }
        // The parts that they leave are freed outside the lock.
        let forgotten = self.core.lock().forget_sessions(gone);
        drop(forgotten);
    }
}

/// The sessions from `from` on that were closed by the second `closed_before` and have no unfinished tasks, and the
/// last session that was looked at; `None`: there are no more.
fn due_sessions(core: &Core, from: Bound<SessionId>, closed_before: u64) -> (Vec<SessionId>, Option<SessionId>) {
    let mut due = Vec::new();
    let mut last = None;
    for (count, session) in core.sessions.range((from, Bound::Unbounded)).map(|(_, session)| session).enumerate() {
        // The sessions that always exist would come back open at the next start.
        if !session.active
            && session.updated_at <= closed_before
            && !STANDING.contains(&session.id)
            && core.engine.active_tasks(session.id) == 0
        {
            due.push(session.id);
        }
        if count + 1 == SESSIONS {
            last = Some(session.id);
            break;
        }
    }
    (due, last)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Task, TaskRequest};
    use crate::{Config, ErrorKind, Router, SubmitOptions};

    /// A task that has ended, and of which the memory has more than the store. The retention is over for it.
    async fn ended(router: &Router) -> Task {
        let options = SubmitOptions::default().idempotency_key("k").scope("test");
        let task = router.submit(SessionId(0), TaskRequest::completion("hi"), options).await.unwrap();
        task.result().await.unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        router.task(SessionId(0), task.task_id()).await.unwrap()
    }

    async fn open() -> Router {
        let mut config = Config::default().echo(true);
        config.retention.max_age_secs = 1;
        Router::open(config).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_forgets_a_task_when_the_store_does() {
        let router = open().await;
        let task = ended(&router).await;
        router.shared.purge_tasks().await.unwrap();
        assert_eq!(router.task(SessionId(0), task.id).await.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(router.shared.core.lock().live.is_empty());
        router.close().await;
    }

    #[cfg(feature = "listener")]
    #[tokio::test(start_paused = true)]
    async fn a_task_that_only_the_memory_has_can_be_deleted_once() {
        let router = open().await;
        let task = ended(&router).await;
        let ended_before = router.shared.clock.now();
        let purge = Purge { ended_before, max_bytes: 0, limit: TASKS };
        assert_eq!(router.shared.store.purge(purge).await.unwrap(), 1);
        router.delete_task(SessionId(0), task.id).await.unwrap();
        assert_eq!(router.task(SessionId(0), task.id).await.unwrap_err().kind(), ErrorKind::NotFound);
        let again = router.delete_task(SessionId(0), task.id).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NotFound);
        router.close().await;
    }
}
