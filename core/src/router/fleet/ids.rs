//! Ids for the tasks of sessions, in blocks that no other router gets.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use parking_lot::Mutex;

use super::super::shared::Shared;
use crate::engine::Event;
use crate::model::{SessionId, TaskId};
use crate::store::{IdBlock, IdsWish};
use crate::{Error, Result};

/// The least and the greatest number of ids in a block.
const LEAST: u64 = 16;
const MOST: u64 = 4_096;

/// The time for which a block should last.
const LASTS: Duration = Duration::from_secs(2);

/// The sessions' last blocks, by which the next ones are sized, and the calls that are under way.
#[derive(Default)]
pub(super) struct IdPace(Mutex<HashMap<SessionId, Pace>>);

#[derive(Default)]
struct Pace {
    size: u64,
    at: Option<Instant>,
    /// Held while ids are asked for, so that callers who wait for the same ids ask once.
    asking: Arc<tokio::sync::Mutex<()>>,
}

impl IdPace {
    fn asking(&self, session: SessionId) -> Arc<tokio::sync::Mutex<()>> {
        self.0.lock().entry(session).or_default().asking.clone()
    }

    /// The size of the next block: as many ids as the session uses within two seconds.
    fn next(&self, session: SessionId) -> u64 {
        let mut paces = self.0.lock();
        let pace = paces.entry(session).or_default();
        let lasted = pace.at.replace(Instant::now()).map(|at| at.elapsed());
        pace.size = match lasted {
            Some(lasted) if lasted < LASTS => pace.size * 2,
            Some(lasted) if lasted > LASTS * 4 => pace.size / 2,
            _ => pace.size,
        }
        .clamp(LEAST, MOST);
        pace.size
    }

    fn forget(&self, session: SessionId) {
        self.0.lock().remove(&session);
    }
}

impl Shared {
    /// Forgets how fast deleted sessions used their ids.
    pub(in crate::router) fn forget_paces(&self, gone: &BTreeSet<SessionId>) {
        if let Some(membership) = &self.membership {
            for id in gone {
                membership.pace.forget(*id);
            }
        }
    }

    /// Gets ids for a session that has none left.
    ///
    /// # Errors
    /// The store's; `Conflict` if the session has had all tasks that it may have.
    pub(in crate::router) async fn await_ids(self: &Arc<Self>, session: SessionId) -> Result<()> {
        let Some((_, membership)) = self.fleet() else { return Ok(()) };
        let asking = membership.pace.asking(session);
        let _one_at_a_time = asking.lock().await;
        if !self.core.lock().engine.lacks_ids(session) {
            return Ok(());
        }
        let block = self.ask_ids(session).await?;
        if block.is_empty() {
            return Err(super::super::admit::exhausted(session));
        }
        Ok(())
    }

    /// Gets ids for a session before those that it has are used up.
    pub(in crate::router) fn fetch_ids(self: &Arc<Self>, session: SessionId) {
        let shared = self.clone();
        self.attend(async move {
            let Some((_, membership)) = shared.fleet() else { return };
            let asking = membership.pace.asking(session);
            let _one_at_a_time = asking.lock().await;
            if let Err(error) = shared.ask_ids(session).await {
                tracing::debug!(%session, %error, "a session got no ids");
            }
        });
    }

    async fn ask_ids(self: &Arc<Self>, session: SessionId) -> Result<IdBlock> {
        let Some((fleet, membership)) = self.fleet() else { return Err(Error::internal("there is no fleet")) };
        let most = self.core.lock().sessions.get(&session).and_then(|found| found.spec.max_task_execution_count);
        let wish = IdsWish {
            session,
            first: TaskId(self.settings.now().first_task_id),
            count: membership.pace.next(session),
            most: most.map(std::num::NonZeroU64::get),
        };
        let answer = fleet.ids(wish).await;
        let IdBlock { first, end } = *answer.as_ref().unwrap_or(&IdBlock { first: TaskId(0), end: TaskId(0) });
        // Without ids the engine asks again at the next task.
        self.step(Event::Ids { session, first, end });
        answer
    }

    /// Looks at the error of a task whose id another router used: this one was taken for gone for long, and its ids were
    /// given to others. The caller may try again.
    pub(in crate::router) fn reread_ids(self: &Arc<Self>, error: Error) -> Error {
        if self.membership.is_none() || error.code() != "task_id_in_use" {
            return error;
        }
        self.step(Event::IdsLost);
        Error::store("the task's id was given to another router meanwhile: try again")
    }
}
