//! The beats of a router: once within a tenth of its lease, and at once when something is due.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::super::shared::Shared;
use super::figures::Cause;
use crate::Result;
use crate::engine::Event;
use crate::model::Gid;
use crate::store::{Beat, MemberState};

/// The time between two comparisons of the memory with the store.
pub(super) const RECONCILE: Duration = Duration::from_mins(1);

/// The time from one beat to the next at least, however much there is to hear.
const PAUSE: Duration = Duration::from_millis(50);

/// The time after a failure of the store for which tasks that have no end there are not begun again. A router may hold such
/// an end, and has a connection again within this time.
pub(super) const CALM: Duration = Duration::from_secs(2);

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
        let matching = self.look(&mut beat);
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
        let orphans = beat.orphans && !membership.is_calm();
        if matching.is_some() || orphans || beat.unsent || !hands_over.is_empty() {
            self.work_for_others(Chores { matching, orphans, unsent: beat.unsent, hands_over });
        }
        Ok(())
    }

    /// Notes who is there. Gives the part of the memory that should be compared with the store.
    fn look(&self, beat: &mut Beat) -> Option<Matching> {
        let membership = self.membership.as_ref()?;
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
        membership.figures.takeover(Cause::Lease, beat.swept.len());
        membership.figures.takeover(Cause::Restart, usize::from(beat.replaced));
        for name in &beat.swept {
            tracing::warn!(router = name, "a router did not renew its lease in time: its tasks are taken over");
        }
        seen.members = members;
        seen.at = Instant::now();
        seen.beats += 1;
        let now = Instant::now();
        let is_back = std::mem::take(&mut seen.missed) || beat.anew;
        if is_back {
            seen.calm_until = Some(now + CALM);
        }
        let is_calm = seen.calm_until.is_some_and(|until| now < until);
        // Whatever the others have written again is seen when the calm is over.
        let is_over = !is_calm && seen.calm_until.take().is_some();
        let is_due = has_moved || is_back || is_over || seen.unmatched || seen.reconciled.elapsed() > RECONCILE;
        is_due.then(|| {
            (seen.unmatched, seen.reconciled) = (false, now);
            if is_calm { Matching::Ends } else { Matching::All }
        })
    }

    /// Does in the background what may take longer than the time between two beats, unless the last time is not over.
    fn work_for_others(self: &Arc<Self>, chores: Chores) {
        let Chores { matching, orphans, unsent, hands_over } = chores;
        let Some(membership) = &self.membership else { return };
        if membership.busy.swap(true, Ordering::AcqRel) {
            // It is looked at again.
            membership.seen.lock().unmatched |= matching.is_some();
            return;
        }
        let shared = self.clone();
        self.attend(async move {
            let _idle = IdleOnDrop(&shared);
            if let Some(part) = matching
                && let Err(error) = shared.compare_with_store(part).await
            {
                tracing::warn!(%error, "the tasks in memory could not be compared with those of the store");
                if let Some(membership) = &shared.membership {
                    membership.seen.lock().unmatched = true;
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

    async fn compare_with_store(self: &Arc<Self>, part: Matching) -> Result<()> {
        self.reconcile().await?;
        if part == Matching::All {
            self.run_strays().await?;
        }
        self.compare_deliveries().await
    }
}

/// The part of the memory that is compared with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matching {
    /// The tasks that the memory has, and their ends.
    Ends,
    /// Those that it lacks, too.
    All,
}

impl super::Membership {
    /// Whether another router may be about to write again what the store has lost.
    fn is_calm(&self) -> bool {
        self.seen.lock().calm_until.is_some()
    }
}

/// The work that a beat found.
struct Chores {
    /// The memory should be compared with the store.
    matching: Option<Matching>,
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
