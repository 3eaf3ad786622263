//! The metrics of a store that writes in batches.

use prometheus_client::metrics::gauge::Gauge;

use super::metrics::Metrics;
use crate::store::Store;

/// The figures of the store at present. Those of its batches count by themselves.
pub(super) struct OfStore {
    waiting: Gauge,
    up: Gauge,
}

impl OfStore {
    /// Adds the figures to those of the router. `None`: the store writes each thing at once.
    pub(super) fn register(metrics: &Metrics, store: &dyn Store) -> Option<Self> {
        let commits = store.figures()?.commits;
        let (waiting, up) = (Gauge::default(), Gauge::default());
        metrics.extend(|root| {
            let r = root.sub_registry_with_prefix("cortensor_store");
            r.register("commit_seconds", "A batch of writes, until its commit is answered", commits.seconds);
            r.register("batch_operations", "Writes that one commit made durable together", commits.operations);
            r.register("waiting", "Writes that the store has not answered yet", waiting.clone());
            r.register("up", "Whether the store takes writes: 1 or 0", up.clone());
        });
        Some(Self { waiting, up })
    }

    /// Brings the figures up to date.
    pub(super) fn show(&self, store: &dyn Store) {
        self.waiting.set(store.figures().map_or(0, |figures| figures.waiting.cast_signed()));
        self.up.set(i64::from(store.check().is_ok()));
    }
}
