//! Starts, watches and ends one model server, as its orders say.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::plan::Phase;
use super::state::Server;
use crate::miner::{ProbeReport, UpstreamMiner, UpstreamProbe};
use crate::model::MinerStatus;
use crate::router::metrics::ServerEvent;
use crate::router::miners::MinerHandle;
use crate::router::shared::Shared;

/// The time after which a server that starts is asked again whether it is ready. Each time it grows by a fourth, up to the
/// longest one. It is no setting: the question is cheap, and a start takes longer.
const ASK_AGAIN: Duration = Duration::from_millis(20);
const ASK_SELDOM: Duration = Duration::from_millis(500);

/// A keeper of one server.
pub(in crate::router) struct Keeper {
    shared: Arc<Shared>,
    server: Arc<Server>,
    miner: Arc<UpstreamMiner>,
    handle: MinerHandle,
    /// Cancelled when the upstream is gone.
    gone: CancellationToken,
}

/// The reason why a start or a run came to its end.
enum End {
    /// The router or the upstream goes.
    Gone,
    /// The server has the order to go.
    Ordered,
    /// It failed.
    Failed(String),
}

impl Keeper {
    /// Lets a keeper look after the server of that miner from now on.
    pub(in crate::router) fn begin(
        shared: &Arc<Shared>,
        server: Arc<Server>,
        miner: Arc<UpstreamMiner>,
        handle: MinerHandle,
        gone: CancellationToken,
    ) {
        if shared.servers.add(handle.key, server.clone()) {
            shared.background.spawn_on(shared.clone().keep_servers(), &shared.runtime);
        }
        let keeper = Self { shared: shared.clone(), server, miner, handle, gone };
        shared.background.spawn_on(keeper.keep(), &shared.runtime);
    }

    async fn keep(self) {
        let mut order = self.server.order.subscribe();
        loop {
            tokio::select! {
                () = self.gone.cancelled() => break,
                ordered = order.wait_for(|run| *run) => if ordered.is_err() { break },
            }
            let end = self.run(&mut order).await;
            self.server.port.store(0, Ordering::Relaxed);
            match end {
                End::Gone => break,
                End::Ordered => self.stopped(),
                End::Failed(cause) => self.failed(&cause),
            }
            self.shared.servers.stir();
        }
        self.shared.servers.remove(self.handle.key);
    }

    /// Starts the server, and watches over it until it has ended.
    async fn run(&self, order: &mut watch::Receiver<bool>) -> End {
        let (name, began) = (&*self.server.name, self.shared.clock.now());
        tracing::info!(upstream = name, "a model server starts");
        self.handle.set_on_call(true);
        let mut running = match self.server.launch.start().await {
            Ok(running) => running,
            Err(why) => return End::Failed(why),
        };
        self.server.port.store(running.port(), Ordering::Relaxed);
        tracing::debug!(upstream = name, port = running.port(), process = running.process(), "a model server runs");
        let ready = tokio::select! {
            ready = self.ready() => ready.map_err(End::Failed),
            how = running.ended() => return End::Failed(format!("{how}; it was not ready yet")),
            () = self.gone.cancelled() => Err(End::Gone),
        };
        let report = match ready {
            Ok(report) => report,
            Err(end) => {
                running.stop().await;
                return end;
            }
        };
        let now = self.shared.clock.now();
        self.server.standing.lock().took_ms = now.since(began);
        // The tasks that wait come to it at the moment at which it counts as ready. It could be stopped before otherwise.
        self.handle.take_report(report, || {
            if self.phase() == Phase::Starting {
                self.server.enter(Phase::Ready, "", now);
            }
            self.phase() == Phase::Ready
        });
        self.shared.metrics.of_server(name, ServerEvent::Ready);
        tracing::info!(upstream = name, took_ms = now.since(began), "a model server is ready");
        self.shared.servers.stir();
        let probe = self.miner.probe();
        let end = tokio::select! {
            how = running.ended() => return End::Failed(how),
            () = self.watch(probe) => End::Ordered,
            _ = order.wait_for(|run| !*run) => End::Ordered,
            () = self.gone.cancelled() => End::Gone,
        };
        if matches!(end, End::Ordered) {
            // The look has withheld all further tasks already.
            tokio::select! {
                _ = self.shared.until_idle(self.handle.key) => {}
                how = running.ended() => {
                    tracing::warn!(upstream = name, how, "a model server ended before it was stopped");
                    return end;
                }
                () = self.gone.cancelled() => {}
            }
        }
        running.stop().await;
        end
    }

    fn phase(&self) -> Phase {
        self.server.standing.lock().phase
    }

    /// Waits until the server is ready.
    async fn ready(&self) -> Result<ProbeReport, String> {
        let probe = self.miner.probe();
        let most = self.server.start_timeout;
        let mut last = String::new();
        let ready = async {
            let mut wait = ASK_AGAIN;
            loop {
                match probe.ready().await {
                    Ok(report) => return report,
                    Err(why) => last = why,
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 5 / 4).min(ASK_SELDOM);
            }
        };
        let in_time = tokio::time::timeout(most, ready).await;
        in_time.map_err(|_| format!("it was not ready within start_timeout_ms = {}: {last}", most.as_millis()))
    }

    /// Passes on what the probe of the server reports. Never returns.
    async fn watch(&self, probe: UpstreamProbe) {
        probe.run(|report| self.handle.take_report(report, || self.phase() == Phase::Ready)).await;
    }

    /// Notes that the server is stopped as it was ordered.
    fn stopped(&self) {
        let cause = std::mem::take(&mut self.server.standing.lock().cause);
        tracing::info!(upstream = &*self.server.name, cause, "a model server is stopped");
        self.shared.metrics.of_server(&self.server.name, ServerEvent::Stopped);
        self.server.enter(Phase::Stopped, cause, self.shared.clock.now());
    }

    /// Notes that the server failed. Tasks wait for it only after its first failure, and only if it was ready before: a
    /// server that never works must not hold them up.
    fn failed(&self, cause: &str) {
        // A look that finds that it may start again must not be undone.
        self.server.order.send_replace(false);
        let was_ready = self.server.status().is_none_or(|status| status == MinerStatus::Stopping);
        let (failures, retry_in_ms) = self.server.failed(cause, self.shared.clock.now());
        tracing::warn!(upstream = &*self.server.name, cause, failures, retry_in_ms, "a model server failed");
        self.shared.metrics.of_server(&self.server.name, ServerEvent::Failed);
        self.handle.set_on_call(was_ready && failures == 1);
        self.handle.set_up(false);
        self.handle.heard();
    }
}
