//! Looks after all servers that the router starts: which are called for, and which have nothing to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::plan::{Decision, Phase, Seen, plan};
use super::state::Server;
use crate::engine::{Event, MinerKey};
use crate::model::Timestamp;
use crate::router::core::Core;
use crate::router::drive::Deeds;
use crate::router::shared::Shared;

/// The time between two looks. Starting a server takes far longer, and a busy router looks no more often.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// The servers of a router.
#[derive(Default)]
pub(in crate::router) struct Servers {
    all: Mutex<Vec<(MinerKey, Arc<Server>)>>,
    /// Their number, which every step of the engine reads.
    count: AtomicUsize,
    changed: Notify,
    is_looked_after: AtomicBool,
}

impl Servers {
    /// Adds the server of a miner. `true`: it is the first one, so that somebody must look after them from now on.
    pub(super) fn add(&self, key: MinerKey, server: Arc<Server>) -> bool {
        let mut all = self.all.lock();
        all.push((key, server));
        self.count.store(all.len(), Ordering::Release);
        drop(all);
        self.changed.notify_one();
        !self.is_looked_after.swap(true, Ordering::AcqRel)
    }

    /// Forgets a server that has ended for good.
    pub(super) fn remove(&self, key: MinerKey) {
        let mut all = self.all.lock();
        all.retain(|(other, _)| *other != key);
        self.count.store(all.len(), Ordering::Release);
        drop(all);
        self.changed.notify_one();
    }

    /// Notes that something has happened that may change the plan.
    pub(in crate::router) fn stir(&self) {
        if self.count.load(Ordering::Relaxed) > 0 {
            self.changed.notify_one();
        }
    }
}

impl Shared {
    /// Looks after the servers as long as the router is open.
    pub(in crate::router) async fn keep_servers(self: Arc<Self>) {
        loop {
            let next = self.look_after_servers();
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.clock.until(next) => {}
                () = self.servers.changed.notified() => tokio::time::sleep(BETWEEN_LOOKS).await,
            }
        }
    }

    /// Gives each server the order that fits what is there to do. Returns the time of the next look.
    fn look_after_servers(self: &Arc<Self>) -> Option<Timestamp> {
        let all = self.servers.all.lock().clone();
        if all.is_empty() {
            return None;
        }
        let now = self.clock.now();
        let (mut withheld, mut started) = (Vec::new(), Vec::new());
        let next = {
            // One lock, so that no task goes to a server between the look and its end.
            let mut core = self.core.lock();
            let seen = see(&core, &all, now);
            let (decisions, next) = plan(&seen, now);
            for decision in decisions {
                let (Decision::Start(key) | Decision::Rest(key) | Decision::GiveWay(key, _)) = &decision;
                let Some((_, server)) = all.iter().find(|(other, _)| other == key) else { continue };
                let cause = match &decision {
                    Decision::Start(_) => {
                        server.enter(Phase::Starting, "", now);
                        started.push(server.clone());
                        continue;
                    }
                    Decision::Rest(_) => format!("it had no task for idle_stop_ms = {}", server.idle_stop_ms),
                    Decision::GiveWay(_, other) => format!("tasks wait for {other}, which is in its group"),
                };
                server.enter(Phase::Stopping, cause, now);
                withheld.push((server.clone(), self.withhold(&mut core, *key, now)));
            }
            next
        };
        for server in started {
            server.order.send_replace(true);
        }
        for (server, deeds) in withheld {
            tracing::info!(upstream = &*server.name, cause = server.standing.lock().cause, "a model server goes");
            for deeds in deeds {
                self.perform(deeds);
            }
            server.order.send_replace(false);
        }
        next
    }

    /// Gives a server no more tasks. Tasks for it wait, since it comes up again for them.
    fn withhold(self: &Arc<Self>, core: &mut Core, key: MinerKey, now: Timestamp) -> [Deeds; 2] {
        if let Some(slot) = core.miners.get_mut(&key) {
            slot.up = false;
        }
        [Event::OnCall(key, true), Event::Credits(key, 0)].map(|event| {
            let effects = core.engine.step(event, now);
            self.apply(core, effects, now)
        })
    }
}

/// The servers as the plan sees them.
fn see(core: &Core, all: &[(MinerKey, Arc<Server>)], now: Timestamp) -> Vec<Seen> {
    let (mut absent, mut coming) = (Vec::new(), Vec::new());
    for (key, server) in all {
        match server.standing.lock().phase {
            Phase::Stopped | Phase::Failed => absent.push(*key),
            Phase::Starting => coming.push(*key),
            Phase::Ready | Phase::Stopping => {}
        }
    }
    let called = core.engine.called(&absent, &coming);
    let seen = all.iter().map(|(key, server)| {
        let (view, slot) = (core.engine.miner(*key), core.miners.get(key));
        let mut standing = server.standing.lock();
        let (in_flight, attempts) = view.map_or((0, 0), |view| (view.in_flight, view.served));
        // A task that has ended since the last look was there until now, as far as the router knows.
        let was_busy = std::mem::replace(&mut standing.was_busy, in_flight > 0);
        if was_busy || in_flight > 0 || attempts != standing.attempts {
            (standing.busy_at, standing.attempts) = (now, attempts);
        }
        Seen {
            key: *key,
            name: server.name.clone(),
            group: server.group.clone(),
            on_demand: server.on_demand,
            phase: standing.phase,
            since: standing.since,
            called: called.iter().find(|(other, _)| other == key).map(|(_, since)| *since),
            in_flight,
            busy_at: standing.busy_at,
            took_ms: standing.took_ms,
            idle_stop_ms: server.idle_stop_ms,
            min_stay_ms: server.min_stay_ms,
            retry_at: standing.retry_at,
            retired: slot.is_none_or(|slot| slot.retired) || view.is_none_or(|view| view.draining),
        }
    });
    seen.collect()
}
