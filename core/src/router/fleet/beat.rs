//! The beats of a router: once within a tenth of its lease, and at once when something is due.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::super::shared::Shared;
use crate::Result;
use crate::engine::Event;
use crate::model::Gid;
use crate::store::{Beat, MemberState};

/// The time between two comparisons of the memory with the store.
pub(super) const RECONCILE: Duration = Duration::from_mins(1);

/// The time from one beat to the next at least, however much there is to hear.
const PAUSE: Duration = Duration::from_millis(50);

/// The number of beats between two looks at the counts of the others.
const COUNTS: u64 = 5;

impl Shared {
    /// Beats until the router closes.
    pub(in crate::router) async fn keep_membership(self: Arc<Self>) {
        let Some((_, membership)) = self.fleet() else { return };
        let pause = membership.lease / 10;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = async {
                    tokio::time::sleep(PAUSE).await;
                    membership.due.notified().await;
                } => {}
                () = tokio::time::sleep(pause) => {}
            }
            if let Err(error) = self.beat().await {
                membership.seen.lock().missed = true;
                // Links do without the store.
                #[cfg(feature = "postgres")]
                self.tend_known();
                tracing::debug!(%error, "the other routers were not heard of");
            }
        }
    }

    /// Renews the lease, and acts on what is new.
    pub(in crate::router) async fn beat(self: &Arc<Self>) -> Result<()> {
        let Some((fleet, membership)) = self.fleet() else { return Ok(()) };
        let counts = {
            let seen = membership.seen.lock();
            seen.beats.is_multiple_of(COUNTS) && (seen.members.len() > 1 || seen.beats == 0)
        };
        let mut beat = fleet.beat(counts).await?;
        if beat.lost_ids {
            self.step(Event::IdsLost);
        }
        if let Some(counts) = beat.counts.take() {
            let elsewhere = counts.into_iter().map(|(session, taken, open)| (session, (taken, open))).collect();
            self.core.lock().elsewhere = elsewhere;
        }
        let reconciles = self.look(&mut beat);
        #[cfg(feature = "postgres")]
        self.tend_known();
        for gid in &beat.cancels {
            tracing::debug!(%gid, "a task is cancelled for another router");
            self.step(Event::Cancel(*gid));
        }
        self.take_changes(std::mem::take(&mut beat.changes), beat.now).await?;
        if counts && membership.has_company() {
            self.refresh_quotas().await?;
        }
        let hands_over = self.unattended();
        if reconciles || beat.orphans || beat.unsent || !hands_over.is_empty() {
            self.work_for_others(Chores { reconciles, orphans: beat.orphans, unsent: beat.unsent, hands_over });
        }
        Ok(())
    }

    /// Notes who is there. Gives whether the memory should be compared with the store.
    fn look(&self, beat: &mut Beat) -> bool {
        let Some(membership) = &self.membership else { return false };
        let mut seen = membership.seen.lock();
        let has_moved = seen.epochs.last() != Some(&beat.epoch);
        if has_moved {
            seen.epochs.push(beat.epoch);
            membership.figures.rejoined.inc();
        }
        let members = std::mem::take(&mut beat.members);
        for member in members.iter().filter(|member| !seen.epochs.contains(&member.epoch)) {
            match seen.members.iter().find(|known| known.epoch == member.epoch) {
                None => tracing::info!(router = member.name, epoch = member.epoch, "another router uses the database"),
                Some(known) if known.state != member.state && member.state == MemberState::Draining => {
                    tracing::info!(router = member.name, "another router drains");
                }
                Some(_) => {}
            }
        }
        for gone in seen.members.iter().filter(|known| members.iter().all(|member| member.epoch != known.epoch)) {
            if !seen.epochs.contains(&gone.epoch) {
                tracing::info!(router = gone.name, epoch = gone.epoch, "another router is gone");
            }
        }
        membership.figures.swept.inc_by(beat.swept.len() as u64);
        for name in &beat.swept {
            tracing::warn!(router = name, "a router did not renew its lease in time: its tasks are taken over");
        }
        seen.members = members;
        seen.at = Instant::now();
        seen.beats += 1;
        let reconciles = has_moved || seen.missed || seen.reconciled.elapsed() > RECONCILE;
        if reconciles {
            (seen.missed, seen.reconciled) = (false, Instant::now());
        }
        reconciles
    }

    /// Does in the background what may take longer than the time between two beats, unless the last time is not over.
    fn work_for_others(self: &Arc<Self>, chores: Chores) {
        let Chores { reconciles, orphans, unsent, hands_over } = chores;
        let Some(membership) = &self.membership else { return };
        if membership.busy.swap(true, Ordering::AcqRel) {
            // It is looked at again.
            membership.seen.lock().missed |= reconciles;
            return;
        }
        let shared = self.clone();
        self.attend(async move {
            let _idle = IdleOnDrop(&shared);
            if reconciles && let Err(error) = shared.compare_with_store().await {
                tracing::warn!(%error, "the tasks in memory could not be compared with those of the store");
                if let Some(membership) = &shared.membership {
                    membership.seen.lock().missed = true;
                }
            }
            if !hands_over.is_empty() {
                tracing::info!(
                    tasks = hands_over.len(),
                    "no miner here serves these tasks: other routers may take them"
                );
                shared.hand_over(hands_over).await;
            }
            if orphans && let Err(error) = shared.take_over().await {
                tracing::warn!(%error, "the tasks of routers that are gone could not be taken over");
            }
            if unsent && let Err(error) = shared.take_deliveries().await {
                tracing::warn!(%error, "the webhooks of routers that are gone could not be taken over");
            }
        });
    }

    async fn compare_with_store(self: &Arc<Self>) -> Result<()> {
        self.reconcile().await?;
        self.compare_deliveries().await
    }
}

/// The work that a beat found.
struct Chores {
    /// The memory should be compared with the store.
    reconciles: bool,
    /// Nobody owns some tasks.
    orphans: bool,
    /// Nobody sends some webhooks.
    unsent: bool,
    /// Tasks that no miner here serves.
    hands_over: Vec<Gid>,
}

/// Lets the next work begin, however this one ends.
struct IdleOnDrop<'a>(&'a Shared);

impl Drop for IdleOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(membership) = &self.0.membership {
            membership.busy.store(false, Ordering::Release);
        }
    }
}
