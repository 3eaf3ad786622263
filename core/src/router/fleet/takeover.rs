//! Takes over the tasks of routers that are gone, and gives up those that no miner of this router serves.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::super::live::Live;
use super::super::outbox::delivery;
use super::super::shared::Shared;
use crate::engine::Event;
use crate::model::{Gid, Outcome, Task, TaskState};
use crate::store::{ClaimWish, Claimed, MOST_MOVES};
use crate::{Error, ErrorKind, Result};

/// The greatest number of tasks of one claim.
const PORTION: u64 = 256;

/// The time for which a task that this router gave up is left to the others.
const DECLINED: Duration = Duration::from_secs(10);

impl Shared {
    /// Claims tasks that nobody owns, as many as there are free slots for; all of them if no other router is there.
    pub(super) async fn take_over(self: &Arc<Self>) -> Result<()> {
        let Some((fleet, membership)) = self.fleet() else { return Ok(()) };
        let _one_at_a_time = membership.restoring.lock().await;
        loop {
            if !self.takes_tasks() {
                return Ok(());
            }
            let alone = !membership.has_heirs();
            let free = {
                let core = self.core.lock();
                core.engine.free_slots().saturating_sub(core.engine.queued())
            };
            let limit = if alone { PORTION } else { free.min(PORTION) };
            let except = membership.declined(alone);
            // Whoever has time ends the tasks whose deadlines are over.
            let wish = ClaimWish { limit: if limit == 0 { PORTION } else { limit }, only_expired: limit == 0, except };
            let claimed = fleet.claim(wish).await?;
            let count = claimed.tasks.len() + claimed.quarantined.len();
            self.take_claimed(claimed, alone).await?;
            if count == 0 || limit == 0 {
                return Ok(());
            }
        }
    }

    /// Runs tasks that this router has claimed. Those that no miner here serves go back, unless nobody else is there.
    async fn take_claimed(self: &Arc<Self>, claimed: Claimed, alone: bool) -> Result<()> {
        let Claimed { tasks, quarantined, run } = claimed;
        for task in quarantined {
            self.quarantine(task).await;
        }
        let (mut taken, mut back) = (0_usize, Vec::new());
        let now = self.clock.now();
        for (task, band) in tasks {
            if alone || task.deadline <= now || self.serves(&task) {
                self.restore(&task, Some(band), Self::base_of(run));
                taken += 1;
            } else {
                back.push(task.gid);
            }
        }
        if taken > 0 {
            if let Some(membership) = &self.membership {
                membership.figures.claimed.inc_by(taken as u64);
            }
            tracing::info!(tasks = taken, "tasks of a router that is gone run here");
        }
        if back.is_empty() {
            return Ok(());
        }
        let Some((fleet, membership)) = self.fleet() else { return Ok(()) };
        membership.decline(&back);
        fleet.release(back).await.map(drop)
    }

    /// Ends a task that was taken over too often: it may be what its routers died of.
    pub(in crate::router) async fn quarantine(self: &Arc<Self>, task: Task) {
        let (gid, now) = (task.gid, self.clock.now());
        let words = format!(
            "the router that had this task died more than {MOST_MOVES} times: the task is not run again; ask again if it \
             was not the cause"
        );
        let error = Error::new(ErrorKind::MinerFailed, words).with_code("task_quarantined");
        let mut task = task.state(TaskState::Ended).outcome(Some(Outcome::Failed)).error(Some(error));
        (task.committed_at, task.ended_at) = (Some(now), Some(now));
        task.bytes = crate::store::traffic(&task);
        if let Some(webhook) = &task.request.webhook {
            let message = self.message_id(task.session_id, task.id);
            task.webhook = Some(Box::new(delivery(message, webhook, now)));
        }
        let delivery = task.webhook.as_deref().cloned();
        match self.store.finish(Arc::new(task)).await {
            Ok(is_ended) => {
                tracing::error!(%gid, "a task ends as failed, because its router died too often");
                if let Some(delivery) = delivery.filter(|_| is_ended) {
                    self.post(gid, delivery);
                }
            }
            Err(error) => tracing::error!(%gid, %error, "the end of a task could not be written"),
        }
    }

    /// The tasks that no miner here could serve at this beat and the one before, and that others may take.
    pub(super) fn unattended(&self) -> Vec<Gid> {
        let Some(membership) = self.membership.as_ref().filter(|membership| membership.has_heirs()) else {
            return Vec::new();
        };
        let now: HashSet<Gid> = self.core.lock().engine.waiting(true).into_iter().collect();
        let before = std::mem::replace(&mut membership.seen.lock().unattended, now);
        let seen = membership.seen.lock();
        let mut again: Vec<Gid> = before.intersection(&seen.unattended).copied().collect();
        drop(seen);
        // A caller that waits gets an answer of this router.
        again.retain(|gid| {
            let live = self.core.lock().live.get(gid).cloned();
            live.is_some_and(|live| live.detached.load(Ordering::Acquire))
        });
        again.sort_unstable();
        again
    }

    /// Takes a task out of the engine, unless it has an end. Its miners are told to stop.
    pub(super) fn let_go(self: &Arc<Self>, live: &Live) -> bool {
        let mut is_gone = false;
        // Under the lock, under which ends come about.
        self.step_with(self.clock.now(), |_| {
            is_gone = is_held(live);
            is_gone.then(|| {
                live.state.lock().followed = true;
                Event::Moved(live.spec.gid)
            })
        });
        is_gone
    }

    /// Gives up tasks that have not begun. Whoever waits for one follows it by its row.
    pub(super) async fn hand_over(self: &Arc<Self>, gids: Vec<Gid>) {
        let Some((fleet, membership)) = self.fleet() else { return };
        let mut moved = Vec::new();
        for gid in gids {
            let live = self.core.lock().live.get(&gid).cloned();
            if let Some(live) = live.filter(|live| self.let_go(live)) {
                self.depart(&live);
                moved.push(gid);
            }
        }
        if moved.is_empty() {
            return;
        }
        membership.figures.handed_over.inc_by(moved.len() as u64);
        membership.decline(&moved);
        let released = fleet.release(moved).await;
        self.tell_others();
        if let Err(error) = released {
            // They are this router's, and come back with the next comparison.
            membership.seen.lock().missed = true;
            tracing::warn!(%error, "tasks could not be given to other routers");
        }
    }
}

/// Whether the task runs here, the store has it, and it has no end.
pub(super) fn is_held(live: &Live) -> bool {
    let state = live.state.lock();
    !live.spec.shadow
        && state.accepted == Some(Ok(()))
        && !state.row_waits
        && state.outcome.is_none()
        && state.end.is_none()
        && !state.followed
}

impl super::Membership {
    /// The tasks that this router leaves to others at present.
    fn declined(&self, alone: bool) -> Vec<Gid> {
        let mut declined = self.declined.lock();
        declined.retain(|_, at| !alone && at.elapsed() < DECLINED);
        declined.keys().copied().collect()
    }

    fn decline(&self, gids: &[Gid]) {
        let now = Instant::now();
        self.declined.lock().extend(gids.iter().map(|gid| (*gid, now)));
    }
}
