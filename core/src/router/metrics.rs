//! Metrics in Prometheus' text format. Names and labels are stable, and each label has few values.

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::model::Outcome;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabel {
    verdict: &'static str,
}

/// The metrics of one router, in its own registry.
pub(crate) struct Metrics {
    registry: parking_lot::Mutex<Registry>,
    submitted: Counter,
    refused: Counter,
    retries: Counter,
    continued: Counter,
    hedges: Counter,
    audits: Counter,
    verdicts: Family<VerdictLabel, Counter>,
    ended: Family<OutcomeLabel, Counter>,
    first_token: Histogram,
    duration: Histogram,
    pub(super) queued: Gauge,
    pub(super) running: Gauge,
    pub(super) miners: Gauge,
    pub(super) held_bytes: Gauge,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    pub(super) fn new() -> Self {
        let metrics = Self {
            registry: parking_lot::Mutex::new(Registry::with_prefix("cortensor")),
            submitted: Counter::default(),
            refused: Counter::default(),
            retries: Counter::default(),
            continued: Counter::default(),
            hedges: Counter::default(),
            audits: Counter::default(),
            verdicts: Family::default(),
            ended: Family::default(),
            first_token: Histogram::new(exponential_buckets(0.001, 2.0, 16)),
            duration: Histogram::new(exponential_buckets(0.001, 2.0, 20)),
            queued: Gauge::default(),
            running: Gauge::default(),
            miners: Gauge::default(),
            held_bytes: Gauge::default(),
        };
        metrics.registry(|r| {
            r.register("tasks_submitted", "Tasks that were accepted", metrics.submitted.clone());
            r.register("tasks_refused", "Tasks that were refused", metrics.refused.clone());
            r.register("task_retries", "Attempts that were lost and queued again", metrics.retries.clone());
            r.register("tasks_continued", "Attempts that went on from another's text", metrics.continued.clone());
            r.register("task_hedges", "Second miners that raced a slow one", metrics.hedges.clone());
            r.register("task_audits", "Answers that were checked in the background", metrics.audits.clone());
            r.register("verdicts", "Comparisons of answers, by verdict", metrics.verdicts.clone());
            r.register("tasks_ended", "Tasks that ended, by outcome", metrics.ended.clone());
            r.register("first_token_seconds", "From submit to the first token", metrics.first_token.clone());
            r.register("task_duration_seconds", "From submit to the end", metrics.duration.clone());
            r.register("tasks_queued", "Tasks that wait for a miner", metrics.queued.clone());
            r.register("tasks_running", "Tasks that a miner works on", metrics.running.clone());
            r.register("miners", "Miners that are there", metrics.miners.clone());
            r.register(
                "held_bytes",
                "Bytes held for callers, against limits.max_memory_bytes",
                metrics.held_bytes.clone(),
            );
        });
        metrics
    }

    /// Gives access to the registry, so that more metrics can be registered.
    pub(crate) fn registry(&self, with: impl FnOnce(&mut Registry)) {
        with(&mut self.registry.lock());
    }

    /// All metrics as text.
    pub(super) fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut out, &self.registry.lock());
        out
    }

    pub(super) fn submitted(&self) {
        self.submitted.inc();
    }

    pub(super) fn refused(&self) {
        self.refused.inc();
    }

    pub(super) fn retried(&self) {
        self.retries.inc();
    }

    pub(super) fn continued(&self) {
        self.continued.inc();
    }

    pub(super) fn hedged(&self) {
        self.hedges.inc();
    }

    pub(super) fn audited(&self) {
        self.audits.inc();
    }

    pub(super) fn verdict(&self, verdict: &'static str) {
        self.verdicts.get_or_create(&VerdictLabel { verdict }).inc();
    }

    pub(super) fn first_token(&self, millis: u64) {
        self.first_token.observe(millis as f64 / 1_000.0);
    }

    pub(super) fn ended(&self, outcome: Outcome, millis: u64) {
        self.ended.get_or_create(&OutcomeLabel { outcome: outcome.as_str() }).inc();
        self.duration.observe(millis as f64 / 1_000.0);
    }
}
