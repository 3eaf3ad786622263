//! Metrics for Prometheus. Names and labels are stable, and the number of label values is bounded.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::figures::{ByName, NAMES, OfMiner, OfModel};
use crate::model::{MinerInfo, MinerStatus, Outcome, Usage};

/// The outcomes of tasks.
pub(super) const OUTCOMES: [Outcome; 5] =
    [Outcome::Ok, Outcome::Disputed, Outcome::Failed, Outcome::Cancelled, Outcome::Expired];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ModelLabel {
    model: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabel {
    model: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabel {
    model: String,
    part: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MinerLabel {
    miner: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BreakerLabel {
    miner: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabel {
    verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerLabel {
    miner: String,
    event: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: String,
}

#[cfg(feature = "listener")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KeyLabel {
    key: String,
}

/// The labels of an HTTP request: the method, the route's template, and the class of the status.
#[cfg(feature = "listener")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) method: &'static str,
    pub(crate) route: String,
    pub(crate) status: &'static str,
}

/// The end of a task, as metrics count it.
pub(super) struct Ended<'a> {
    pub(super) outcome: Outcome,
    /// The milliseconds from the submission to the end, to the first attempt and to the first token.
    pub(super) took_ms: u64,
    pub(super) queued_ms: Option<u64>,
    pub(super) first_token_ms: Option<u64>,
    /// The model that answered.
    pub(super) answered_by: Option<&'a str>,
    /// The model that was asked for.
    pub(super) asked_for: Option<&'a str>,
    pub(super) usage: Option<Usage>,
}

/// The process's figures, which a listener sets. The names are those that all Prometheus clients use.
#[cfg(feature = "listener")]
#[derive(Default)]
struct Process {
    cpu_seconds: Counter<f64>,
    resident_bytes: Gauge,
    start_seconds: Gauge,
    open_fds: Gauge,
}

/// A thing that became of a model server that the router starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerEvent {
    /// It got ready.
    Ready,
    /// It was stopped by the router.
    Stopped,
    /// It ended by itself, or did not get ready.
    Failed,
}

impl ServerEvent {
    /// All of them, in the order of their numbers.
    const ALL: [&str; 3] = ["ready", "stopped", "failed"];
}

/// The metrics of one router, in its own registry.
pub(crate) struct Metrics {
    registry: parking_lot::Mutex<Registry>,
    /// The times to the first token alone, which [`Totals`](super::totals::Totals) reads.
    #[cfg(feature = "listener")]
    pub(super) first_tokens: Registry,
    pub(super) submitted: Counter,
    refused: Family<CodeLabel, Counter>,
    pub(super) retries: Counter,
    continued: Counter,
    hedges: Counter,
    audits: Counter,
    verdicts: Family<VerdictLabel, Counter>,
    pub(super) models: ByName<OfModel>,
    miners_by_name: ByName<OfMiner>,
    miner_up: Family<MinerLabel, Gauge>,
    miner_breaker: Family<BreakerLabel, Gauge>,
    miner_server: Family<BreakerLabel, Gauge>,
    servers: ByName<[Counter; 3]>,
    #[cfg(feature = "listener")]
    keys: ByName<Counter>,
    #[cfg(feature = "listener")]
    requests: Family<RequestLabels, Counter>,
    #[cfg(feature = "listener")]
    process: Process,
    duration: Histogram,
    store_write: Histogram,
    queued: Gauge,
    running: Gauge,
    miners: Gauge,
    held_bytes: Gauge,
    spans_sent: Counter,
    spans_dropped: Counter,
    webhook_tries: Family<ResultLabel, Counter>,
    webhooks_pending: Gauge,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Histograms of seconds, by model.
pub(super) type Times = Family<ModelLabel, Histogram>;

fn times(least: f64, buckets: u16) -> Histogram {
    Histogram::new(exponential_buckets(least, 2.0, buckets))
}

fn seconds(millis: u64) -> f64 {
    millis as f64 / 1_000.0
}

/// The figures of the process.
#[cfg(feature = "listener")]
fn register_process(root: &mut Registry) -> Process {
    let process = Process::default();
    root.register("process_cpu_seconds", "Processor time that was used", process.cpu_seconds.clone());
    root.register("process_resident_memory_bytes", "Resident memory", process.resident_bytes.clone());
    root.register("process_start_time_seconds", "Start of the process since 1970", process.start_seconds.clone());
    root.register("process_open_fds", "Open file descriptors", process.open_fds.clone());
    process
}

/// The figures of models, and the times to the first token among them.
fn register_models(r: &mut Registry) -> (ByName<OfModel>, Times) {
    let ended = Family::<EndLabel, Counter>::default();
    let tokens = Family::<TokenLabel, Counter>::default();
    let queue = Times::new_with_constructor(|| times(0.001, 18));
    let first_token = Times::new_with_constructor(|| times(0.001, 18));
    let per_token = Times::new_with_constructor(|| times(0.000_1, 16));
    r.register("tasks_ended", "Tasks that ended, by the model that answered and by outcome", ended.clone());
    r.register("tokens", "Tokens of answered tasks, by model: of prompts and of answers", tokens.clone());
    r.register("queue_seconds", "From submit to the first attempt, by model", queue.clone());
    r.register("first_token_seconds", "From submit to the first token, by model", first_token.clone());
    r.register("token_seconds", "Time for each token after the first, by model", per_token.clone());
    let first_tokens = first_token.clone();
    let models = ByName::new(move |name| {
        let model = || name.to_owned();
        let of_model = ModelLabel { model: model() };
        let part = |part| tokens.get_or_create_owned(&TokenLabel { model: model(), part });
        let end = |outcome: Outcome| ended.get_or_create_owned(&EndLabel { model: model(), outcome: outcome.as_str() });
        OfModel {
            ended: OUTCOMES.map(end),
            queue: queue.get_or_create_owned(&of_model),
            first_token: first_token.get_or_create_owned(&of_model),
            per_token: per_token.get_or_create_owned(&of_model),
            prompt_tokens: part("prompt"),
            answer_tokens: part("answer"),
        }
    });
    (models, first_tokens)
}

fn register_miners(r: &mut Registry) -> ByName<OfMiner> {
    let attempts = Family::<MinerLabel, Counter>::default();
    let failures = Family::<MinerLabel, Counter>::default();
    r.register("attempts", "Tasks that were given to a miner", attempts.clone());
    r.register("attempt_failures", "Attempts that failed, by miner", failures.clone());
    ByName::new(move |name| {
        let label = MinerLabel { miner: name.to_owned() };
        OfMiner { attempts: attempts.get_or_create_owned(&label), failures: failures.get_or_create_owned(&label) }
    })
}

fn register_servers(r: &mut Registry) -> ByName<[Counter; 3]> {
    let events = Family::<ServerLabel, Counter>::default();
    r.register(
        "server_events",
        "Model servers of the router's own that got ready, were stopped, or failed",
        events.clone(),
    );
    ByName::new(move |name| {
        ServerEvent::ALL.map(|event| events.get_or_create_owned(&ServerLabel { miner: name.to_owned(), event }))
    })
}

#[cfg(feature = "listener")]
fn register_keys(r: &mut Registry) -> ByName<Counter> {
    let requests = Family::<KeyLabel, Counter>::default();
    r.register("key_requests", "HTTP requests, by the id of the caller's key", requests.clone());
    ByName::new(move |name| requests.get_or_create_owned(&KeyLabel { key: name.to_owned() }))
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::default();
        #[cfg(feature = "listener")]
        let process = register_process(&mut registry);
        let r = registry.sub_registry_with_prefix("cortensor");
        r.register("build", "The version of the router", Info::new(vec![("version", crate::VERSION)]));
        #[cfg_attr(not(feature = "listener"), expect(unused_variables, reason = "the listener alone reads the totals"))]
        let (models, first_tokens) = register_models(r);
        let miners_by_name = register_miners(r);
        let servers = register_servers(r);
        #[cfg(feature = "listener")]
        let keys = register_keys(r);
        let metrics = Self {
            registry: parking_lot::Mutex::default(),
            #[cfg(feature = "listener")]
            first_tokens: super::totals::registry(first_tokens),
            submitted: Counter::default(),
            refused: Family::default(),
            retries: Counter::default(),
            continued: Counter::default(),
            hedges: Counter::default(),
            audits: Counter::default(),
            verdicts: Family::default(),
            models,
            miners_by_name,
            miner_up: Family::default(),
            miner_breaker: Family::default(),
            miner_server: Family::default(),
            servers,
            #[cfg(feature = "listener")]
            keys,
            #[cfg(feature = "listener")]
            requests: Family::default(),
            #[cfg(feature = "listener")]
            process,
            duration: times(0.001, 20),
            store_write: times(0.000_1, 16),
            queued: Gauge::default(),
            running: Gauge::default(),
            miners: Gauge::default(),
            held_bytes: Gauge::default(),
            spans_sent: Counter::default(),
            spans_dropped: Counter::default(),
            webhook_tries: Family::default(),
            webhooks_pending: Gauge::default(),
        };
        r.register("tasks_submitted", "Tasks that were accepted", metrics.submitted.clone());
        r.register("tasks_refused", "Tasks that were refused, by the code of the error", metrics.refused.clone());
        r.register("task_retries", "Attempts that were lost and queued again", metrics.retries.clone());
        r.register("tasks_continued", "Attempts that went on from another's text", metrics.continued.clone());
        r.register("task_hedges", "Second miners that raced a slow one", metrics.hedges.clone());
        r.register("task_audits", "Answers that were checked in the background", metrics.audits.clone());
        r.register("verdicts", "Comparisons of answers, by verdict", metrics.verdicts.clone());
        r.register("task_duration_seconds", "From submit to the end", metrics.duration.clone());
        r.register("store_write_seconds", "Until the store has acknowledged an end", metrics.store_write.clone());
        r.register("tasks_queued", "Tasks that wait for a miner", metrics.queued.clone());
        r.register("tasks_running", "Tasks that a miner works on", metrics.running.clone());
        r.register("miners", "Miners that are there", metrics.miners.clone());
        r.register(
            "miner_up",
            "Whether a miner can be reached, or starts when tasks wait for it: 1 or 0",
            metrics.miner_up.clone(),
        );
        r.register(
            "miner_server",
            "1 for the state of a model server of the router's own that is not ready",
            metrics.miner_server.clone(),
        );
        r.register("miner_breaker", "1 for the state of a miner's breaker", metrics.miner_breaker.clone());
        r.register("held_bytes", "Bytes held for callers, against limits.max_memory_bytes", metrics.held_bytes.clone());
        r.register("spans_sent", "Spans that the collector has taken", metrics.spans_sent.clone());
        r.register("webhook_tries", "Messages that were sent to webhooks, by result", metrics.webhook_tries.clone());
        r.register("webhooks_pending", "Messages that wait for their webhooks", metrics.webhooks_pending.clone());
        r.register("spans_dropped", "Spans that were lost", metrics.spans_dropped.clone());
        #[cfg(feature = "listener")]
        r.register("http_requests", "HTTP requests, by method, route and class of status", metrics.requests.clone());
        *metrics.registry.lock() = registry;
        metrics
    }

    /// Counts a try of a webhook: `delivered`, `failed` (it is sent again) or `given_up`.
    pub(super) fn webhook_tried(&self, result: &'static str) {
        self.webhook_tries.get_or_create(&ResultLabel { result }).inc();
    }

    /// Sets the number of messages that wait for their webhooks.
    pub(super) fn webhooks_pending(&self, count: usize) {
        self.webhooks_pending.set(count as i64);
    }

    /// Adds further metrics.
    pub(super) fn extend(&self, with: impl FnOnce(&mut Registry)) {
        with(&mut self.registry.lock());
    }

    /// All metrics as `OpenMetrics`.
    pub(super) fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut out, &self.registry.lock());
        out
    }

    /// Sets the counts of tasks and bytes at present.
    pub(super) fn stands(&self, queued: u64, running: u64, held_bytes: u64) {
        self.queued.set(queued as i64);
        self.running.set(running as i64);
        self.held_bytes.set(held_bytes as i64);
    }

    /// Sets the counts of exported spans.
    pub(super) fn exported(&self, sent: u64, dropped: u64) {
        self.spans_sent.inner().store(sent, Ordering::Relaxed);
        self.spans_dropped.inner().store(dropped, Ordering::Relaxed);
    }

    /// Sets the states of the miners at present. The busiest ones are shown.
    pub(super) fn show_miners(&self, mut miners: Vec<MinerInfo>) {
        self.miners.set(miners.len() as i64);
        miners.sort_by_key(|miner| std::cmp::Reverse(miner.completed + miner.failed));
        miners.truncate(NAMES);
        self.miner_up.clear();
        self.miner_breaker.clear();
        self.miner_server.clear();
        for info in miners {
            let up = !matches!(info.status, MinerStatus::Down | MinerStatus::Failed);
            if matches!(
                info.status,
                MinerStatus::Stopped | MinerStatus::Starting | MinerStatus::Stopping | MinerStatus::Failed
            ) {
                let label = BreakerLabel { miner: info.id.clone(), state: info.status.as_str() };
                self.miner_server.get_or_create(&label).set(1);
            }
            let (miner, state) = (info.id, info.breaker.as_str());
            self.miner_breaker.get_or_create(&BreakerLabel { miner: miner.clone(), state }).set(1);
            self.miner_up.get_or_create(&MinerLabel { miner }).set(i64::from(up));
        }
    }

    /// Sets the figures of the process.
    #[cfg(feature = "listener")]
    pub(crate) fn show_process(
        &self,
        cpu_seconds: f64,
        resident_bytes: u64,
        start_seconds: u64,
        open_fds: Option<usize>,
    ) {
        self.process.cpu_seconds.inner().store(cpu_seconds.to_bits(), Ordering::Relaxed);
        self.process.resident_bytes.set(resident_bytes as i64);
        self.process.start_seconds.set(start_seconds as i64);
        self.process.open_fds.set(open_fds.map_or(0, |count| count as i64));
    }

    /// The counts of HTTP requests, which all listeners of the router share.
    #[cfg(feature = "listener")]
    pub(crate) fn requests(&self) -> Family<RequestLabels, Counter> {
        self.requests.clone()
    }

    /// Counts an HTTP request of a key.
    #[cfg(feature = "listener")]
    pub(crate) fn requested_by(&self, key: &str) {
        self.keys.of(key).inc();
    }

    /// Counts a thing that became of a model server.
    pub(super) fn of_server(&self, name: &str, event: ServerEvent) {
        self.servers.of(name)[event as usize].inc();
    }

    pub(super) fn submitted(&self) {
        self.submitted.inc();
    }

    pub(super) fn refused(&self, code: &str) {
        self.refused.get_or_create(&CodeLabel { code: code.to_owned() }).inc();
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

    /// The figures of the miner with that name.
    pub(super) fn miner(&self, name: &str) -> Arc<OfMiner> {
        self.miners_by_name.of(name)
    }

    /// Counts the time that the store took to acknowledge an end.
    pub(super) fn stored(&self, took: std::time::Duration) {
        self.store_write.observe(took.as_secs_f64());
    }

    pub(super) fn ended(&self, end: &Ended<'_>) {
        let model = match end.answered_by {
            Some(model) => self.models.of(model),
            None => self.models.of_stranger(end.asked_for),
        };
        if let Some(at) = OUTCOMES.iter().position(|outcome| *outcome == end.outcome) {
            model.ended[at].inc();
        }
        if let Some(millis) = end.queued_ms {
            model.queue.observe(seconds(millis));
        }
        if let Some(millis) = end.first_token_ms {
            model.first_token.observe(seconds(millis));
        }
        if let Some(usage) = end.usage {
            let first = end.first_token_ms.unwrap_or(end.took_ms);
            model.answered(usage, seconds(end.took_ms.saturating_sub(first)));
        }
        self.duration.observe(seconds(end.took_ms));
    }
}
