//! A router that shares its store with others: it beats, sees what they changed, takes over the tasks of those that are
//! gone, and reads the tasks that it does not own over links to the others, or by their rows.
//!
//! Nothing of this exists where the store is one router's own ([`Store::fleet`](crate::store::Store::fleet)).

mod beat;
mod cancel;
mod changes;
mod deliveries;
mod elsewhere;
mod figures;
mod ids;
#[cfg(feature = "postgres")]
pub(super) mod link;
mod lookup;
mod quota;
mod reconcile;
#[cfg(test)]
mod rig;
mod shown;
mod takeover;
#[cfg(feature = "listener")]
mod upstreams;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use parking_lot::Mutex;
use tokio::sync::Notify;

use self::ids::IdPace;
use super::metrics::Metrics;
use super::shared::Shared;
use crate::Result;
use crate::model::{Gid, Timestamp};
use crate::store::{Fleet, Member, Recovery, Store};

/// A router's knowledge of the others, and the work that it is about to do for them.
pub(super) struct Membership {
    seen: Mutex<Seen>,
    /// Asks for a beat before it is due.
    due: Notify,
    pace: IdPace,
    /// Held while tasks of the store come into memory, so that none comes twice.
    restoring: tokio::sync::Mutex<()>,
    /// Whether work on other routers' tasks is under way.
    busy: AtomicBool,
    /// Tasks of others that no miner of this router serves, and when that was found out.
    declined: Mutex<HashMap<Gid, Instant>>,
    #[cfg(feature = "listener")]
    upstreams: upstreams::UpstreamLook,
    lease: Duration,
    figures: figures::FleetFigures,
    #[cfg(feature = "postgres")]
    links: Option<Arc<link::Links>>,
}

/// The state of the last beats.
struct Seen {
    /// The epochs of this process, the present one last.
    epochs: Vec<u64>,
    members: Vec<Member>,
    /// The time of the last beat that was answered.
    at: Instant,
    /// Whether the last beat failed.
    missed: bool,
    /// Whether the memory could not be compared with the store when it should have been.
    unmatched: bool,
    reconciled: Instant,
    /// The time until which the others may still write again what the store has lost.
    calm_until: Option<Instant>,
    beats: u64,
    /// Tasks that no miner could serve at the last beats, and since when.
    unattended: HashMap<Gid, Instant>,
}

impl Membership {
    /// The membership of a router whose store has others, too; `None`: it has none.
    pub(super) fn of(store: &Arc<dyn Store>, recovery: &Recovery, lease_ms: u64) -> Option<Self> {
        store.fleet()?;
        Some(Self {
            seen: Mutex::new(Seen {
                epochs: vec![recovery.epoch],
                members: Vec::new(),
                at: Instant::now(),
                missed: false,
                unmatched: false,
                reconciled: Instant::now(),
                calm_until: None,
                beats: 0,
                unattended: HashMap::new(),
            }),
            due: Notify::new(),
            pace: IdPace::default(),
            restoring: tokio::sync::Mutex::default(),
            busy: AtomicBool::new(false),
            declined: Mutex::default(),
            #[cfg(feature = "listener")]
            upstreams: upstreams::UpstreamLook::default(),
            lease: Duration::from_millis(lease_ms),
            figures: figures::FleetFigures::default(),
            #[cfg(feature = "postgres")]
            links: None,
        })
    }

    /// This membership with links to the others.
    #[cfg(feature = "postgres")]
    pub(super) fn linked(self, links: Option<Arc<link::Links>>) -> Self {
        Self { links, ..self }
    }

    /// Adds the figures of the fleet to those of the router.
    pub(super) fn register(&self, metrics: &Metrics) {
        metrics.extend(|registry| self.figures.register(registry));
    }

    /// The present epoch of this router.
    #[cfg(feature = "postgres")]
    fn epoch(&self) -> u64 {
        self.seen.lock().epochs.last().copied().unwrap_or_default()
    }

    /// Whether other routers are there.
    fn has_company(&self) -> bool {
        self.seen.lock().members.len() > 1
    }

    /// Whether another router takes work, so that this one need not keep what it cannot do.
    pub(super) fn has_heirs(&self) -> bool {
        let seen = self.seen.lock();
        let own = seen.epochs.last().copied();
        seen.members.iter().any(|member| Some(member.epoch) != own && member.state == crate::store::MemberState::Up)
    }

    /// The time within which a router that has just died is declared gone, at most.
    pub(super) fn gone_after(&self) -> Duration {
        self.lease + self.lease / 5
    }

    /// Whether this router has heard nothing of the others for so long that what it knows of keys may be wrong.
    #[cfg(feature = "listener")]
    pub(super) fn is_stale(&self) -> bool {
        let seen = self.seen.lock();
        seen.members.len() > 1 && seen.at.elapsed() > self.lease
    }

    /// Lets beats look at the managed upstreams, which the router has read by now.
    #[cfg(feature = "listener")]
    pub(super) fn look_at_upstreams(&self) {
        self.upstreams.begin();
    }

    /// Asks for a beat at once.
    fn hurry(&self) {
        self.due.notify_one();
    }
}

impl Shared {
    /// The calls of the store for members, and what this one knows. `None`: the store is this router's own.
    pub(super) fn fleet(&self) -> Option<(&dyn Fleet, &Membership)> {
        Some((self.store.fleet()?, self.membership.as_ref()?))
    }

    /// Joins the others: tells them how this router is reached, and learns who they are.
    pub(super) async fn join_others(self: &Arc<Self>) -> Result<()> {
        #[cfg(feature = "postgres")]
        if let (Some((fleet, _)), Some(links)) = (self.fleet(), self.links()) {
            fleet.reach(links.reach()).await?;
        }
        self.beat().await
    }

    /// Tells the other routers at once that something has changed in the database. Without links they see it with their
    /// next beats.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unused_self, reason = "without links there is nothing to ask")
    )]
    pub(super) fn tell_others(&self) {
        #[cfg(feature = "postgres")]
        if let Some(links) = self.links() {
            links.tell_news();
        }
    }

    /// Whether that epoch is another router's that is there.
    fn is_member(&self, epoch: u64) -> bool {
        self.membership.as_ref().is_some_and(|known| {
            let seen = known.seen.lock();
            !seen.epochs.contains(&epoch) && seen.members.iter().any(|member| member.epoch == epoch)
        })
    }

    /// Whether this router reads the tasks of others over links.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unused_self, reason = "without links there is nothing to ask")
    )]
    fn has_links(&self) -> bool {
        #[cfg(feature = "postgres")]
        return self.links().is_some();
        #[cfg(not(feature = "postgres"))]
        false
    }

    /// The slots of this router's miners that other routers have.
    #[cfg_attr(not(feature = "postgres"), expect(clippy::unused_self, reason = "without links nothing is lent"))]
    pub(super) fn lent_slots(&self) -> u64 {
        #[cfg(feature = "postgres")]
        return self.lent();
        #[cfg(not(feature = "postgres"))]
        0
    }

    /// Whether tasks of the store may come into memory now.
    fn takes_tasks(&self) -> bool {
        !self.draining.load(Ordering::Acquire) && !self.closed.load(Ordering::Acquire)
    }

    /// Tells the other routers that this one takes no new work, and gives them the tasks that have not begun.
    pub(super) async fn retire(self: &Arc<Self>) {
        let Some((fleet, membership)) = self.fleet() else { return };
        if let Err(error) = fleet.retire().await {
            tracing::warn!(%error, "the other routers were not told that this one drains");
        }
        self.tell_others();
        #[cfg(feature = "postgres")]
        self.miners_changed();
        if membership.has_heirs() {
            let waiting = self.core.lock().engine.waiting(false);
            self.hand_over(waiting).await;
        }
    }

    /// The number before the first piece of a task that runs again under this number of a start or takeover.
    fn base_of(run: u64) -> u64 {
        run.saturating_sub(1) << 32
    }

    /// Waits until no other work brings tasks of the store into memory.
    pub(super) async fn restoring(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match &self.membership {
            Some(membership) => Some(membership.restoring.lock().await),
            None => None,
        }
    }

    /// The ids that are in memory and not in a whole list of the store, without those that came into memory after the
    /// list was read.
    fn missing<K: Ord + Clone>(here: impl Iterator<Item = (K, u64)>, there: &BTreeSet<K>, read: Timestamp) -> Vec<K> {
        let old = read.as_secs().saturating_sub(10);
        here.filter(|(id, made)| *made < old && !there.contains(id)).map(|(id, _)| id).collect()
    }
}
