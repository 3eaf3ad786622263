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
use crate::store::{ClaimWish, Claimed, MOST_MOVES, Pending};
use crate::task::TaskEnd;
use crate::{Error, ErrorKind, Result};

/// The greatest number of tasks of one claim.
const PORTION: u64 = 256;

/// The time for which a task that this router cannot run is left to the others. It ends when a miner comes.
const DECLINED: Duration = Duration::from_secs(10);

/// The time after which a task that no miner serves is given to the others.
const HANDOVER: Duration = Duration::from_secs(2);

/// The number of claims that others were faster at before the rest is left to them until the next beat.
const MISSES: u32 = 3;

impl Shared {
    /// Claims tasks that nobody owns and that miners of this router serve, as many as there are free slots for. All of them
    /// if no other router is there.
    pub(super) async fn take_over(self: &Arc<Self>) -> Result<()> {
        let Some((fleet, membership)) = self.fleet() else { return Ok(()) };
        let _one_at_a_time = membership.restoring.lock().await;
        let mut missed = 0;
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
            // Whoever has time ends the tasks whose deadlines are over.
            let only_expired = limit == 0;
            let limit = if limit == 0 { PORTION } else { limit };
            let mut wish = ClaimWish { limit, only_expired, ..ClaimWish::default() };
            if !alone {
                wish.except = membership.declined();
                // A claim takes one of the numbers of starts, which are not endless. Tasks that this router cannot run are
                // therefore looked at first.
                let found = fleet.orphans(wish.clone()).await?;
                if found.is_empty() {
                    return Ok(());
                }
                let now = self.clock.now();
                let (own, others): (Vec<Task>, Vec<Task>) =
                    found.into_iter().partition(|task| task.deadline <= now || self.serves(task));
                membership.decline(others.iter().map(|task| task.gid));
                wish.among = own.into_iter().map(|task| task.gid).collect();
                if wish.among.is_empty() {
                    continue;
                }
            }
            let claimed = fleet.claim(wish).await?;
            let count = claimed.tasks.len() + claimed.quarantined.len();
            self.take_claimed(claimed).await;
            // Where several routers claim the same tasks, one of them gets all.
            missed = if count == 0 { missed + 1 } else { 0 };
            if only_expired || missed > if alone { 0 } else { MISSES } {
                return Ok(());
            }
        }
    }

    /// Runs tasks that this router has claimed.
    async fn take_claimed(self: &Arc<Self>, claimed: Claimed) {
        let Claimed { tasks, quarantined, run } = claimed;
        for task in quarantined {
            self.quarantine(task).await;
        }
        for (task, band) in &tasks {
            self.restore(task, Some(*band), Self::base_of(run));
        }
        if !tasks.is_empty() {
            if let Some(membership) = &self.membership {
                membership.figures.claimed.inc_by(tasks.len() as u64);
            }
            tracing::info!(tasks = tasks.len(), "tasks that no router had run here");
        }
    }

    /// Ends a task that was taken over too often: it may be what its routers died of.
    pub(in crate::router) async fn quarantine(self: &Arc<Self>, task: Task) {
        let gid = task.gid;
        let words = format!(
            "the router that had this task died more than {MOST_MOVES} times: the task is not run again; ask again if it \
             was not the cause"
        );
        let error = Error::new(ErrorKind::MinerFailed, words).with_code("task_quarantined");
        match self.end_unrun(task, Outcome::Failed, error, |end| self.store.finish(end)).await {
            Ok(_) => tracing::error!(%gid, "a task ends as failed, because its router died too often"),
            Err(error) => tracing::error!(%gid, %error, "the end of a task could not be written"),
        }
    }

    /// Ends a task of the store that does not run here. Gives whether the store has taken this end.
    pub(super) async fn end_unrun(
        &self,
        task: Task,
        outcome: Outcome,
        error: Error,
        write: impl FnOnce(Arc<Task>) -> Pending<bool>,
    ) -> Result<bool> {
        let (gid, now) = (task.gid, self.clock.now());
        let mut task = task.state(TaskState::Ended).outcome(Some(outcome)).error(Some(error));
        (task.committed_at, task.ended_at) = (Some(now), Some(now));
        task.bytes = crate::store::traffic(&task);
        if let Some(webhook) = &task.request.webhook {
            let message = self.message_id(task.session_id, task.id);
            task.webhook = Some(Box::new(delivery(message, webhook, now)));
        }
        let (delivery, session) = (task.webhook.as_deref().cloned(), task.session_id);
        let retention = self.core.lock().sessions.get(&session).map(|session| session.spec.retention);
        let is_ended = write(TaskEnd::new(task, retention.unwrap_or_default()).row).await?;
        if let Some(delivery) = delivery.filter(|_| is_ended) {
            self.post(gid, delivery);
        }
        Ok(is_ended)
    }

    /// The tasks that no miner has served for a while, not one of another router either, and that others may take.
    pub(super) fn unattended(&self) -> Vec<Gid> {
        let Some(membership) = self.membership.as_ref().filter(|membership| membership.has_heirs()) else {
            return Vec::new();
        };
        let waiting: HashSet<Gid> = self.core.lock().engine.waiting(true).into_iter().collect();
        let now = Instant::now();
        let mut due: Vec<Gid> = {
            let mut seen = membership.seen.lock();
            seen.unattended.retain(|gid, _| waiting.contains(gid));
            for gid in waiting {
                seen.unattended.entry(gid).or_insert(now);
            }
            seen.unattended.iter().filter(|(_, since)| now - **since >= HANDOVER).map(|(gid, _)| *gid).collect()
        };
        // A caller that waits gets an answer of this router.
        due.retain(|gid| {
            let live = self.core.lock().live.get(gid).cloned();
            live.is_some_and(|live| live.detached.load(Ordering::Acquire))
        });
        due.sort_unstable();
        due
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
        membership.decline(moved.iter().copied());
        let released = fleet.release(moved).await;
        self.tell_others();
        if let Err(error) = released {
            // They are this router's, and come back with the next comparison.
            membership.seen.lock().unmatched = true;
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
    fn declined(&self) -> Vec<Gid> {
        let mut declined = self.declined.lock();
        declined.retain(|_, at| at.elapsed() < DECLINED);
        declined.keys().copied().collect()
    }

    fn decline(&self, gids: impl Iterator<Item = Gid>) {
        let now = Instant::now();
        self.declined.lock().extend(gids.map(|gid| (gid, now)));
    }

    /// Looks at all tasks of others again, because a miner has come that may serve some.
    pub(in crate::router) fn reconsider(&self) {
        self.declined.lock().clear();
    }
}
