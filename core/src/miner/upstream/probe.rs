//! Finds out whether an upstream is up, which models it has and how much they can read.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use http::{StatusCode, Uri};
use serde::Deserialize;
use tokio::time::MissedTickBehavior;

use super::pool::{SendError, chain};
use super::{Shared, upstream_name};

/// What a probe found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeReport {
    /// Whether it takes work.
    pub up: bool,
    /// The models to offer, under the names that clients use: the configured ones, else those it lists;
    /// and the aliases whose models are there. Empty where it does not say: any model may be asked for.
    pub models: Vec<String>,
    /// The most tokens of prompt and answer together, of the model that takes most; 0 where it does not say.
    pub max_context_tokens: u64,
    /// Whether it embeds, as configured.
    pub embeddings: bool,
    /// Why it is not up; else empty.
    pub reason: String,
}

/// Asks for `/models` again and again: the first answer decides, after that `probe_threshold` answers in
/// a row against what is believed are wanted. A server too busy to answer in time is up where jobs
/// were answered meanwhile.
pub struct UpstreamProbe {
    shared: Arc<Shared>,
    answered: u64,
    against: u32,
    /// What was reported last; `None` before the first probe.
    report: Option<ProbeReport>,
}

/// What one request found.
struct Found {
    models: Vec<Listed>,
    max_context_tokens: u64,
}

/// An entry of `/models`.
#[derive(Deserialize)]
struct Listed {
    id: String,
    /// vLLM, SGLang.
    max_model_len: Option<u64>,
    /// Brokers of hosted models.
    context_length: Option<u64>,
    /// llama.cpp.
    meta: Option<Meta>,
    owned_by: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    n_ctx: Option<u64>,
    n_ctx_train: Option<u64>,
}

impl UpstreamProbe {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, answered: 0, against: 0, report: None }
    }

    /// Probes every `probe_interval_ms`, at once first, and reports what changed; the first report always
    /// comes. Never ends: drop it to stop it.
    pub async fn run(mut self, mut report: impl FnMut(ProbeReport)) {
        let mut ticks = tokio::time::interval(Duration::from_millis(self.shared.config.probe_interval_ms));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(news) = self.once().await {
                report(news);
            }
        }
    }

    /// Probes once; answers the report where it differs from the last.
    async fn once(&mut self) -> Option<ProbeReport> {
        self.shared.pool.prune();
        let answered = self.shared.answered.load(Ordering::Relaxed);
        let alive = std::mem::replace(&mut self.answered, answered) != answered;
        let limit = Duration::from_millis(self.shared.config.connect_timeout_ms);
        let found = match tokio::time::timeout(limit, self.find()).await {
            Ok(found) => found.map(Some),
            Err(_) if alive => Ok(None),
            Err(_) => Err(format!("/models did not answer within connect_timeout_ms = {}", limit.as_millis())),
        };
        let news = self.judge(found)?;
        if self.report.as_ref() == Some(&news) {
            return None;
        }
        if news.up {
            tracing::info!(upstream = %self.shared.name, models = ?news.models, "the upstream is up");
        } else {
            tracing::warn!(upstream = %self.shared.name, reason = %news.reason, "the upstream is down");
        }
        self.report = Some(news.clone());
        Some(news)
    }

    /// What to believe after that answer; `None` where belief does not change yet.
    fn judge(&mut self, found: Result<Option<Found>, String>) -> Option<ProbeReport> {
        let was_up = self.report.as_ref().map(|report| report.up);
        if was_up.is_some_and(|up| up == found.is_ok()) {
            self.against = 0;
        } else {
            self.against += 1;
            if was_up.is_some() && self.against < self.shared.config.probe_threshold {
                return None;
            }
            self.against = 0;
        }
        match found {
            // Too busy to list: nothing new is known but that it lives.
            Ok(None) => {
                let last = self.report.clone().unwrap_or_else(|| self.report_of(&[], 0));
                Some(ProbeReport { up: true, reason: String::new(), ..last })
            }
            Ok(Some(found)) => Some(self.report_of(&found.models, found.max_context_tokens)),
            Err(reason) => {
                let last = self.report.clone().unwrap_or_else(|| self.report_of(&[], 0));
                Some(ProbeReport { up: false, reason, ..last })
            }
        }
    }

    fn report_of(&self, listed: &[Listed], max_context_tokens: u64) -> ProbeReport {
        let config = &self.shared.config;
        let mut models: Vec<String> = if config.models.is_empty() {
            listed.iter().map(|model| model.id.clone()).collect()
        } else {
            config.models.clone()
        };
        if config.models.is_empty()
            && let Some(first) = models.first()
        {
            *self.shared.default_model.write() = Some(Arc::from(upstream_name(config, first)));
        }
        for (alias, model) in &config.aliases {
            let is_there = listed.is_empty() || listed.iter().any(|listed| listed.id == *model);
            if is_there && !models.contains(alias) {
                models.push(alias.clone());
            }
        }
        ProbeReport { up: true, models, max_context_tokens, embeddings: config.embeddings, reason: String::new() }
    }

    /// Asks once. A server without `/models` is up all the same.
    async fn find(&self) -> Result<Found, String> {
        /// Ollama's list is `null` while it has no model.
        #[derive(Deserialize)]
        struct List {
            data: Option<Vec<Listed>>,
        }
        let (status, body) = self.get(&self.shared.pool.endpoint().models).await?;
        match status.as_u16() {
            200 => {}
            404 | 405 | 501 => return Ok(Found { models: Vec::new(), max_context_tokens: 0 }),
            401 | 403 => {
                return Err(format!("it refuses the router's key ({status}): check api_key or api_key_env"));
            }
            _ => return Err(format!("/models answered {status}")),
        }
        let list: List = serde_json::from_slice(&body).map_err(|e| format!("/models is no list of models: {e}"))?;
        let models = list.data.unwrap_or_default();
        let mut context = models.iter().filter_map(Listed::context).max().unwrap_or(0);
        if models.iter().any(|model| model.owned_by.as_deref() == Some("llamacpp"))
            && let Some(of_slot) = self.llama_context().await
        {
            context = of_slot;
        }
        Ok(Found { models, max_context_tokens: context })
    }

    /// What one slot of a llama.cpp server can read: its list only says what the model was trained for.
    async fn llama_context(&self) -> Option<u64> {
        #[derive(Deserialize)]
        struct Props {
            default_generation_settings: Settings,
        }
        #[derive(Deserialize)]
        struct Settings {
            n_ctx: u64,
        }
        let (status, body) = self.get(&self.shared.pool.endpoint().props).await.ok()?;
        let props: Props = serde_json::from_slice(&body).ok().filter(|_| status == StatusCode::OK)?;
        Some(props.default_generation_settings.n_ctx).filter(|tokens| *tokens > 0)
    }

    async fn get(&self, path: &Uri) -> Result<(StatusCode, BytesMut), String> {
        let (mut link, response) = match self.shared.pool.send(&|endpoint| endpoint.get(path)).await {
            Ok(answer) => answer,
            Err(SendError::Unreachable(why) | SendError::Garbage(why)) => return Err(why),
        };
        let status = response.status();
        let mut body = response.into_body();
        let mut bytes = BytesMut::new();
        let most = self.shared.config.max_models_bytes;
        while let Some(frame) = link.frame(&mut body).await {
            let frame = frame.map_err(|e| format!("/models broke off: {}", chain(&e)))?;
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data);
            }
            if bytes.len() as u64 > most {
                return Err(format!("/models answered more than max_models_bytes = {most} bytes"));
            }
        }
        self.shared.pool.put(link).await;
        Ok((status, bytes))
    }
}

impl Listed {
    fn context(&self) -> Option<u64> {
        let meta = self.meta.as_ref();
        self.max_model_len.or(self.context_length).or_else(|| meta?.n_ctx).or_else(|| meta?.n_ctx_train)
    }
}
