//! Information about the router itself: configuration, identity, state and metrics.

use std::sync::Arc;
use std::sync::atomic::Ordering;

#[cfg(feature = "listener")]
use arc_swap::Guard;
#[cfg(feature = "listener")]
use tokio_util::sync::CancellationToken;

#[cfg(feature = "listener")]
use super::in_force::Settings;
#[cfg(feature = "listener")]
use super::memory::Memory;
#[cfg(feature = "listener")]
use super::metrics::Metrics;
use super::sessions::listed_sessions;
use super::shared::Router;
use super::slot::MinerSlot;
#[cfg(feature = "listener")]
use super::totals::Totals;
use crate::config::Config;
#[cfg(feature = "listener")]
use crate::log::LogRing;
use crate::model::{FleetInfo, NodeInfo, NodeState, NodeStats, NodeStatus, address_of};
use crate::{Result, VERSION};

impl Router {
    /// The configuration in force: that with which the router was opened, or that of the last
    /// [`reload`](Self::reload).
    pub fn config(&self) -> Arc<Config> {
        self.shared.settings.now().config.clone()
    }

    /// The configuration in force, for a short look at it.
    #[cfg(feature = "listener")]
    pub(crate) fn settings(&self) -> Guard<Arc<Settings>> {
        self.shared.settings.now()
    }

    /// Publishes the URL at which this router listens, so that `cortensor-router key` finds it in the data directory.
    /// Does nothing for a router that keeps its tasks in memory.
    ///
    /// # Errors
    /// `Unavailable` if the data directory cannot be written.
    pub fn announce(&self, url: &str) -> Result<()> {
        self.shared.store.announce(url)
    }

    /// The count of the bytes that the router holds for its callers.
    #[cfg(feature = "listener")]
    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.shared.memory
    }

    /// The router's metrics.
    #[cfg(feature = "listener")]
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The counts of tasks and tokens since the router was opened.
    #[cfg(feature = "listener")]
    pub(crate) fn totals(&self) -> Totals {
        self.shared.metrics.totals()
    }

    /// The newest lines of the log.
    #[cfg(feature = "listener")]
    pub(crate) fn log_ring(&self) -> &Arc<LogRing> {
        &self.shared.log
    }

    /// Cancelled when the router closes.
    #[cfg(feature = "listener")]
    pub(crate) fn closing(&self) -> CancellationToken {
        self.shared.stop.clone()
    }

    /// All metrics as `OpenMetrics`, with gauges brought up to date.
    pub fn metrics_text(&self) -> String {
        let status = self.status();
        let metrics = &self.shared.metrics;
        metrics.stands(status.queued_tasks, status.running_tasks, self.shared.memory.used());
        metrics.show_miners(self.miners());
        self.shared.show_fleet();
        if let Some(commits) = &self.shared.commits {
            commits.show(&*self.shared.store);
        }
        if let Some(spans) = &self.shared.spans {
            metrics.exported(spans.sent(), spans.dropped());
        }
        metrics.encode()
    }

    /// The router's identity and abilities.
    pub fn info(&self) -> NodeInfo {
        let models = self.models();
        let embeddings = models.iter().any(|model| model.embeddings);
        let config = self.shared.settings.now();
        let core = self.shared.core.lock();
        let dedicated = core.miners.values().filter(|slot| slot.spec.dedicated).count() as u64;
        let total = core.miners.len() as u64;
        let mut capabilities =
            vec!["completions".to_owned(), "chat".to_owned(), "streaming".to_owned(), "sessions".to_owned()];
        if embeddings {
            capabilities.push("embeddings".to_owned());
        }
        NodeInfo::default()
            .active_sessions(listed_sessions(&core).filter(|session| session.active).count() as u64)
            .address(address_of(&config.name))
            .ip_address(config.external_address.clone().unwrap_or_default())
            .name(config.name.clone())
            .node_stats(
                NodeStats::default().dedicated_count(dedicated).ephemeral_count(total - dedicated).total_count(total),
            )
            .total_sessions(listed_sessions(&core).count() as u64)
            .version(VERSION.to_owned())
            .models(models.into_iter().map(|model| model.id).collect())
            .capabilities(capabilities)
            .max_context_tokens(core.miners.values().filter_map(|slot| slot.spec.max_context_tokens).max())
    }

    /// The router's present state. The figures of processor and memory are 0 here; the listener fills them in.
    pub fn status(&self) -> NodeStatus {
        let shared = &self.shared;
        let fleet = shared.fleet_status();
        let core = shared.core.lock();
        let (queued, running) = core.stands();
        let is_active =
            |(key, slot): &(&_, &MinerSlot)| core.engine.miner(**key).is_some_and(|view| slot.is_active(&view));
        let miners = core.own_miners().count() as u64;
        let active_miners = core.own_miners().filter(is_active).count() as u64;
        NodeStatus::default()
            .status(match (self.is_draining(), self.is_ready()) {
                (true, _) => NodeState::Draining,
                (false, false) => NodeState::StoreUnavailable,
                (false, true) => NodeState::Ok,
            })
            .active_sessions(listed_sessions(&core).filter(|session| session.active).count() as u64)
            .connected_miners(miners)
            .miner_count(miners)
            .active_miners(active_miners)
            .uptime(shared.clock.uptime_secs())
            .version(VERSION.to_owned())
            .queued_tasks(queued)
            .running_tasks(running)
            .durability(shared.store.durability())
            .store(shared.store.kind())
            .fleet(fleet)
    }

    /// The routers that share this router's database, as this one sees them.
    pub fn fleet(&self) -> FleetInfo {
        self.shared.fleet_info()
    }

    /// The number of answers that are being audited at present (`dispatch.audit_ratio`).
    pub fn audits(&self) -> u32 {
        self.shared.core.lock().engine.rechecks()
    }

    /// Whether the router takes tasks: it is neither draining nor closed, and its store works.
    pub fn is_ready(&self) -> bool {
        !self.is_draining() && self.shared.store.check().is_ok()
    }

    /// Whether the router is draining or closed.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Acquire)
    }
}
