//! Cancels a task that another router owns: the wish is written down, and its owner, whoever that is or will be, finds it
//! with its next beat. A task that no living router owns is ended here.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::shared::Shared;
use crate::engine::EndCause;
use crate::model::{Gid, Outcome, SessionId, Task, TaskId, TaskState};
use crate::task::{TaskSpec, error_of};
use crate::{Error, Result};

/// The time between two looks at the row.
const LOOK: Duration = Duration::from_millis(200);

impl Shared {
    /// Asks the owner of a task to cancel it, in the background.
    pub(in crate::router) fn ask_cancel_of(self: &Arc<Self>, spec: &TaskSpec) {
        let (shared, gid, ids) = (self.clone(), spec.gid, (spec.session_id, spec.id));
        self.attend(async move {
            if let Err(error) = shared.cancel_elsewhere(gid, ids).await {
                tracing::warn!(%gid, %error, "a task of another router is not cancelled yet");
            }
        });
    }

    /// Asks the owner to cancel a task, and waits for the task's end. The wait is as long as it takes to declare an owner
    /// gone that has just died.
    ///
    /// # Errors
    /// The store's; `Unavailable` if the task has not ended by then. It is never said to be cancelled before it is.
    pub(in crate::router) async fn cancel_elsewhere(
        self: &Arc<Self>,
        gid: Gid,
        (session, id): (SessionId, TaskId),
    ) -> Result<()> {
        let Some((fleet, membership)) = self.fleet() else { return Ok(()) };
        // Whoever takes the task over before it is ended here finds the wish, too.
        fleet.ask_cancel(gid).await?;
        membership.hurry();
        self.tell_others();
        let until = Instant::now() + membership.gone_after();
        loop {
            match fleet.place(gid).await? {
                Some(placed) if placed.task.state != TaskState::Ended => {
                    let is_orphan = !placed.is_own && !self.is_member(placed.owner);
                    if is_orphan && self.end_orphan(placed.task).await? {
                        return Ok(());
                    }
                }
                _ => return Ok(()),
            }
            if Instant::now() >= until {
                return Err(Error::store(
                    "the router that has the task was asked to cancel it and has not done so yet: ask again later",
                )
                .with_ids(session, Some(id)));
            }
            tokio::select! {
                () = self.stop.cancelled() => return Err(Self::closed_error()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Ends a task that no living router owns as cancelled. The store alone says whether that is so: this router may not
    /// have heard of the owner yet. Gives whether the store has taken this end.
    async fn end_orphan(&self, task: Task) -> Result<bool> {
        let Some((fleet, _)) = self.fleet() else { return Ok(false) };
        let (gid, error) = (task.gid, error_of(EndCause::Cancelled, None));
        let is_ended = self.end_unrun(task, Outcome::Cancelled, error, |end| fleet.end_orphan(end)).await?;
        if is_ended {
            tracing::info!(%gid, "a task that no router had is cancelled");
        }
        Ok(is_ended)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::super::rig::{member, says};
    use crate::model::{MinerSpec, Outcome, SessionId, TaskRequest, TaskState};
    use crate::store::{Fleet as _, MemberStore, SharedMemory, StoreFault};
    use crate::{Config, ErrorKind, Router, SubmitOptions};

    const LEASE: Duration = Duration::from_secs(4);

    /// A router whose miner serves that model, and answers after that time.
    async fn open(
        database: &SharedMemory,
        name: &str,
        model: &'static str,
        pause: Duration,
    ) -> (Router, Arc<MemberStore>) {
        let (builder, store) = member(database, name, LEASE, Config::default());
        let spec = MinerSpec::new("worker", 4).models([model]);
        (builder.miner(spec, says("late", pause)).open().await.unwrap(), store)
    }

    /// The owner is dead, and no other router serves the task: whoever is asked ends it itself, once the owner is declared gone.
    #[tokio::test(start_paused = true)]
    async fn a_task_of_a_router_that_is_gone_is_ended_by_the_one_that_is_asked() {
        let database = SharedMemory::new(LEASE);
        let (owner, dead) = open(&database, "owner", "own", Duration::from_mins(5)).await;
        let (asked, _) = open(&database, "asked", "other", Duration::ZERO).await;
        let request = TaskRequest::completion("never mind").model("own");
        let task = owner.submit(SessionId(0), request, SubmitOptions::default().detach(true)).await.unwrap();
        task.accepted().await.unwrap();
        let ids = (task.session_id(), task.task_id());
        // A lease that is not over protects it.
        sleep(LEASE * 2).await;
        dead.set_fault(StoreFault::Dead);
        let killed = Instant::now();
        let ended = asked.cancel(ids.0, ids.1).await.unwrap();
        assert_eq!((ended.state, ended.outcome), (TaskState::Ended, Some(Outcome::Cancelled)));
        assert_eq!(ended.error.as_ref().map(crate::Error::kind), Some(ErrorKind::Cancelled));
        assert!(killed.elapsed() > LEASE / 2, "{:?}", killed.elapsed());
        let stored = database.task(ids.0, ids.1).unwrap();
        assert_eq!((stored.outcome, stored.ended_at.is_some()), (Some(Outcome::Cancelled), true));
        // A second time it changes nothing.
        assert_eq!(asked.cancel(ids.0, ids.1).await.unwrap().ended_at, ended.ended_at);
        assert!(asked.metrics_text().contains(r#"cortensor_fleet_takeovers_total{cause="lease"} 1"#));
        std::mem::forget(owner);
        asked.close().await;
    }

    /// A task that its router gave up is nobody's, and ends at once. A router that lives and does nothing keeps its task, and
    /// nobody hears that it is cancelled.
    #[tokio::test(start_paused = true)]
    async fn a_task_of_nobody_ends_at_once_and_that_of_a_living_router_is_its_own() {
        let database = SharedMemory::new(LEASE);
        let (owner, store) = open(&database, "owner", "own", Duration::from_mins(5)).await;
        let (asked, _) = open(&database, "asked", "other", Duration::ZERO).await;
        let mut tasks = Vec::new();
        for prompt in ["left", "kept"] {
            let request = TaskRequest::completion(prompt).model("own");
            let task = owner.submit(SessionId(0), request, SubmitOptions::default().detach(true)).await.unwrap();
            task.accepted().await.unwrap();
            tasks.push(task);
        }
        let gid = tasks[0].gid();
        assert_eq!(store.release(vec![gid]).await.unwrap(), [gid]);
        let ids = (tasks[0].session_id(), tasks[0].task_id());
        let from = Instant::now();
        assert_eq!(asked.cancel(ids.0, ids.1).await.unwrap().outcome, Some(Outcome::Cancelled));
        assert!(from.elapsed() < Duration::from_secs(1), "{:?}", from.elapsed());
        // Its own router's end comes too late.
        assert_eq!(database.task(ids.0, ids.1).unwrap().outcome, Some(Outcome::Cancelled));
        let other = (tasks[1].session_id(), tasks[1].task_id());
        assert_eq!(database.task(other.0, other.1).unwrap().outcome, None);
        // The owner carries the wish out.
        assert_eq!(asked.cancel(other.0, other.1).await.unwrap().outcome, Some(Outcome::Cancelled));
        let figures = owner.metrics_text();
        assert!(figures.contains(r#"outcome="cancelled"} 1"#), "{figures}");
        owner.close().await;
        asked.close().await;
    }

    /// Two starts of one name: the second takes the place of the first, which is told once.
    #[tokio::test(start_paused = true)]
    async fn a_start_that_takes_the_place_of_a_dead_one_counts_as_a_takeover() {
        let database = SharedMemory::new(LEASE);
        let (first, dead) = open(&database, "one", "own", Duration::ZERO).await;
        let text = r#"cortensor_fleet_takeovers_total{cause="restart"}"#;
        assert!(first.metrics_text().contains(&format!("{text} 0")));
        dead.set_fault(StoreFault::Dead);
        sleep(LEASE * 2).await;
        let (second, _) = open(&database, "one", "own", Duration::ZERO).await;
        sleep(LEASE).await;
        assert!(second.metrics_text().contains(&format!("{text} 1")), "{}", second.metrics_text());
        std::mem::forget(first);
        second.close().await;
    }
}
