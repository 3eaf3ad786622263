//! Compares the tasks in memory with those of the store, after a time without the store and once in a while.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::live::Live;
use super::super::shared::Shared;
use super::takeover::is_held;
use crate::Result;
use crate::model::{Gid, Task, TaskState, Timestamp};

/// The time for which an end may be lost with a database. A failover loses less.
const LATELY: Duration = Duration::from_mins(2);

/// The greatest number of ended tasks that are looked at.
const MOST: usize = 4_096;

impl Shared {
    /// Writes again what the store has lost: tasks that this router has, and ends that it gave. Gives up the tasks that have
    /// become others', or that another router has ended.
    pub(super) async fn reconcile(self: &Arc<Self>) -> Result<()> {
        let Some((fleet, membership)) = self.fleet() else { return Ok(()) };
        // The look into memory comes first: what comes later is not missing in the store.
        let held: Vec<Arc<Live>> = {
            let core = self.core.lock();
            core.live.values().filter(|live| is_held(live)).cloned().collect()
        };
        let ended = self.ended_lately();
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
                    membership.figures.reconcile("let_go");
                    self.depart(&live);
                    if placed.task.state == TaskState::Ended {
                        self.show_stored_end(&live, placed.task);
                    }
                }
                Some(_) => {}
                None => {
                    tracing::warn!(%gid, "the store has lost a task that it had: it is written again");
                    self.store.accept(live.spec.clone()).await?;
                    membership.figures.reconcile("written_again");
                }
            }
        }
        self.end_again(ended).await
    }

    /// The tasks that have ended here a short while ago, with their rows as the store had them.
    fn ended_lately(&self) -> Vec<(Arc<Live>, Arc<Task>)> {
        let since = Timestamp(self.clock.now().0.saturating_sub(LATELY.as_millis() as u64));
        let core = self.core.lock();
        let ended = core.recent.newest().map_while(|gid| {
            let Some(live) = core.live.get(&gid) else { return Some(None) };
            let state = live.state.lock();
            if state.ended_at.is_some_and(|at| at < since) {
                return None;
            }
            let is_written = state.unwritten.is_none() && !state.followed && state.end.is_some();
            let end = state.closed.as_ref().filter(|_| is_written);
            Some(end.map(|end| (live.clone(), end.row.clone())))
        });
        ended.flatten().take(MOST).collect()
    }

    /// Writes the ends again that the store has lost, and the tasks of which it has no row any more. A task that was deleted
    /// is not here any more.
    ///
    /// An end that was given counts, whoever has the task now: the store may have lost that it became this router's. Whoever
    /// runs it again finds that its own end is not taken.
    async fn end_again(self: &Arc<Self>, ended: Vec<(Arc<Live>, Arc<Task>)>) -> Result<()> {
        let Some((fleet, membership)) = self.fleet() else { return Ok(()) };
        let gids: Vec<Gid> = ended.iter().map(|(live, _)| live.spec.gid).collect();
        let known: HashMap<Gid, bool> =
            if gids.is_empty() { HashMap::new() } else { fleet.known(gids).await?.into_iter().collect() };
        for (live, row) in ended {
            let gid = live.spec.gid;
            if !self.core.lock().live.contains_key(&gid) {
                continue;
            }
            let has_end = known.get(&gid).copied();
            if has_end == Some(true) {
                continue;
            }
            // Another router that had the task before may write it again at this moment.
            if has_end.is_none() && self.store.record(live.spec.clone(), row.clone()).await? {
                tracing::warn!(%gid, "the store has lost a task that has ended: it is written again");
                membership.figures.reconcile("written_again");
            } else if fleet.end_again(row).await? {
                tracing::warn!(%gid, "the store has lost the end of a task: it is written again");
                membership.figures.reconcile("ended_again");
            }
        }
        Ok(())
    }

    /// Forgets ended tasks that somebody has deleted at another router.
    pub(super) fn forget_deleted(&self, gone: &[Gid]) {
        let mut core = self.core.lock();
        let is_ended = |live: &Arc<Live>| live.state.lock().end.is_some();
        let forgotten: Vec<Arc<Live>> = gone
            .iter()
            .filter_map(|gid| core.live.get(gid).is_some_and(is_ended).then_some(*gid))
            .collect::<Vec<Gid>>()
            .into_iter()
            .filter_map(|gid| core.forget_ended(gid))
            .collect();
        drop(core);
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::sleep;

    use super::super::rig::{member, says};
    use crate::model::{MinerSpec, Outcome, SessionId, TaskRequest, TaskState};
    use crate::store::{Fleet as _, MemberStore, SharedMemory, Store as _, StoreFault};
    use crate::task::TaskSpec;
    use crate::{Config, Router, SubmitOptions};

    const LEASE: Duration = Duration::from_secs(2);

    async fn open(database: &SharedMemory, name: &str) -> (Router, Arc<MemberStore>) {
        let (builder, store) = member(database, name, LEASE, Config::default().echo(true));
        (builder.open().await.unwrap(), store)
    }

    /// A router whose miner answers with the router's name, after that time.
    async fn named(database: &SharedMemory, name: &'static str, pause: Duration) -> (Router, Arc<MemberStore>) {
        let (builder, store) = member(database, name, LEASE, Config::default());
        (builder.miner(MinerSpec::new("worker", 4), says(name, pause)).open().await.unwrap(), store)
    }

    /// A failover has lost an end that a client was given, and that the task had become another router's. That end counts,
    /// whoever has the task then.
    #[tokio::test(start_paused = true)]
    async fn an_end_that_was_given_counts_whoever_has_the_task_then() {
        let database = SharedMemory::new(LEASE);
        let (gave, gave_store) = named(&database, "gave", Duration::ZERO).await;
        let (runs, runs_store) = named(&database, "runs", Duration::from_secs(5)).await;
        // Another living router has it, nobody does, or one that never was. The router with the end is there at once, or comes
        // back when another one has begun.
        let owners = [runs_store.epoch(), 0, 99];
        for (owner, is_late) in owners.into_iter().flat_map(|owner| [(owner, false), (owner, true)]) {
            let request = TaskRequest::completion("whose answer?");
            let task = gave.submit(SessionId(0), request, SubmitOptions::default().detach(true)).await.unwrap();
            let ids = (task.session_id(), task.task_id());
            assert_eq!(task.result().await.unwrap().text(), "gave");
            if is_late {
                gave_store.set_fault(StoreFault::Away);
            }
            assert!(database.reopen(task.gid(), owner));
            let reader = runs.attach(ids.0, ids.1).await.unwrap();
            if is_late {
                sleep(super::super::beat::CALM + LEASE).await;
                assert_eq!(database.open(), [(task.gid(), runs_store.epoch())], "owner {owner}");
                gave_store.set_fault(StoreFault::None);
            }
            assert_eq!(reader.result().await.unwrap().text(), "gave", "owner {owner}, late {is_late}");
            let stored = database.task(ids.0, ids.1).unwrap();
            assert_eq!(
                (stored.state, stored.text.as_str()),
                (TaskState::Ended, "gave"),
                "owner {owner}, late {is_late}"
            );
            // The other one's own end comes, and is not taken.
            sleep(Duration::from_secs(10)).await;
            assert_eq!(database.task(ids.0, ids.1).unwrap().text, "gave", "owner {owner}, late {is_late}");
        }
        assert!(gave.metrics_text().contains(r#"cortensor_fleet_reconciled_total{what="ended_again"} 6"#));
        gave.close().await;
        runs.close().await;
    }

    /// A failover that loses a restart brings back the start before. The router that runs joins again.
    #[tokio::test(start_paused = true)]
    async fn a_lost_restart_does_not_end_the_router() {
        let database = SharedMemory::new(LEASE);
        let (first, _) = open(&database, "one").await;
        first.close().await;
        let (router, store) = open(&database, "one").await;
        let was = store.epoch();
        assert!(database.forget_router("one"));
        sleep(LEASE).await;
        assert!(store.epoch() > was);
        let task = router.submit(SessionId(0), TaskRequest::completion("on"), SubmitOptions::default()).await.unwrap();
        assert!(task.result().await.unwrap().text().contains("on"));
        router.close().await;
    }

    /// Ends that a failover has lost are written again, with their tasks or without, but not those of tasks that somebody has
    /// deleted.
    #[tokio::test(start_paused = true)]
    async fn what_a_failover_has_lost_is_written_again() {
        let database = SharedMemory::new(LEASE);
        let (router, store) = open(&database, "one").await;
        let (other, elsewhere) = open(&database, "two").await;
        let mut specs = Vec::new();
        for n in 0..4 {
            let request = TaskRequest::completion(format!("task {n}"));
            let task = router.submit(SessionId(0), request, SubmitOptions::default().detach(true)).await.unwrap();
            task.result().await.unwrap();
            specs.push(TaskSpec::of_stored(&database.task(task.session_id(), task.task_id()).unwrap()));
        }
        // The first is lost whole, the second has lost its end alone, the third was deleted by somebody.
        assert!(database.lose(specs[0].gid) && database.lose(specs[1].gid));
        store.accept(Arc::new(specs[1].clone())).await.unwrap();
        assert!(elsewhere.delete_task(specs[2].gid).await.unwrap());
        assert_eq!(database.open().len(), 1);
        sleep(super::super::beat::RECONCILE + LEASE).await;
        for (n, spec) in specs.iter().enumerate() {
            let found = database.task(spec.session_id, spec.id);
            if n == 2 {
                assert!(found.is_none(), "{found:?}");
                continue;
            }
            let task = found.unwrap();
            assert_eq!((task.state, task.outcome), (TaskState::Ended, Some(Outcome::Ok)), "task {n}");
            assert!(task.text.contains(&format!("task {n}")), "{:?}", task.text);
        }
        let figures = router.metrics_text();
        for line in [r#"what="written_again"} 1"#, r#"what="ended_again"} 1"#] {
            assert!(figures.contains(&format!("cortensor_fleet_reconciled_total{{{line}")), "{figures}");
        }
        assert_eq!(store.known(vec![specs[0].gid, specs[2].gid]).await.unwrap(), [(specs[0].gid, true)]);
        router.close().await;
        other.close().await;
    }
}
