//! Compares the tasks in memory with those of the store, after a time without the store and once in a while.

use std::collections::HashSet;
use std::sync::Arc;

use super::super::live::Live;
use super::super::shared::Shared;
use super::takeover::is_held;
use crate::Result;
use crate::model::{Gid, TaskState};

impl Shared {
    /// Runs the tasks again that the store has as this router's and the memory has not, and gives up those that have
    /// become others'. A task that the store has lost is written again.
    pub(super) async fn reconcile(self: &Arc<Self>) -> Result<()> {
        let Some((fleet, membership)) = self.fleet() else { return Ok(()) };
        // The look into memory comes first: what comes later is not missing in the store.
        let held: Vec<Arc<Live>> = {
            let core = self.core.lock();
            core.live.values().filter(|live| is_held(live)).cloned().collect()
        };
        let own: HashSet<Gid> = self.store.unfinished().await?.into_iter().collect();
        for live in held.into_iter().filter(|live| !own.contains(&live.spec.gid)) {
            if !is_held(&live) {
                continue;
            }
            let gid = live.spec.gid;
            match fleet.place(gid).await? {
                Some(placed) if placed.is_own && placed.task.state != TaskState::Ended => {}
                Some(placed) if self.let_go(&live) => {
                    tracing::warn!(%gid, owner = placed.owner, "a task of this router has become another's");
                    self.depart(&live);
                    if placed.task.state == TaskState::Ended {
                        self.show_stored_end(&live, placed.task);
                    }
                }
                Some(_) => {}
                None => {
                    tracing::warn!(%gid, "the store has lost a task that it had: it is written again");
                    self.store.accept(live.spec.clone()).await?;
                    membership.figures.written_again.inc();
                }
            }
        }
        self.run_strays().await
    }
}
