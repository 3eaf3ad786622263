//! Finds out whether an upstream is up, which models it has, and how large their context is.

use std::fmt::Write as _;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::{StatusCode, Uri};
use tokio::time::Instant;

use super::link::{Link, Part};
use super::listing::{Listing, positive};
use super::pool::SendError;
use super::{Shared, upstream_name};
#[cfg(feature = "listener")]
use crate::model::Timestamp;

/// The first pause before a server that is down is probed again. Each further pause is twice as long, up to
/// `probe_interval_ms`.
const SOON: Duration = Duration::from_millis(250);

/// The result of a probe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeReport {
    /// Whether the upstream takes work.
    pub up: bool,
    /// The models to offer, under the names that clients use: the configured models, or else the listed ones, and the
    /// aliases whose models exist. Empty: unknown, and clients may ask for any model.
    pub models: Vec<String>,
    /// The maximum number of tokens of prompt and answer together, for the model with the largest context; `None`:
    /// unknown.
    pub max_context_tokens: Option<NonZeroU64>,
    /// Whether the upstream makes embeddings, as configured.
    pub embeddings: bool,
    /// The reason why the upstream is down; `None`: it is up.
    pub reason: Option<String>,
    /// The reason why the models are unknown although the upstream is up.
    pub warning: Option<String>,
}

/// The outcome of the last probe of an upstream. One bad answer does not change the upstream's state yet.
#[cfg(feature = "listener")]
#[derive(Debug, Clone)]
pub(crate) struct LastProbe {
    /// Its end.
    pub(crate) at: Timestamp,
    /// The reason in words why the upstream did not answer it well; `None`: it did.
    pub(crate) error: Option<String>,
}

/// Requests `/models` again and again. The first answer decides whether the upstream is up, and so does the first good
/// one. After that, only `probe_threshold` contrary answers in a row change the state. A server that is too busy to
/// answer in time counts as up if jobs were answered in the meantime. The content of the list does not matter here.
pub struct UpstreamProbe {
    shared: Arc<Shared>,
    answered: u64,
    against: u32,
    /// The last report; `None` before the first probe.
    report: Option<ProbeReport>,
    /// Whether the upstream was up at any time.
    has_lived: bool,
}

/// The reason why a probe failed.
enum Down {
    /// The upstream did not answer in time.
    Silent,
    /// The upstream could not be reached or answered with an error.
    Broken(String),
}

impl Down {
    fn words(self) -> String {
        match self {
            Self::Silent => "it does not answer in time".to_owned(),
            Self::Broken(why) => why,
        }
    }
}

/// A server's answer about its models. Each of them means that the server is up.
enum Found {
    /// The server lists its models.
    List(Listing),
    /// The server has no list, maybe with a warning.
    NoList(Option<String>),
    /// The answer says nothing about the models, maybe with a warning.
    Nothing(Option<String>),
}

impl UpstreamProbe {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, answered: 0, against: 0, report: None, has_lived: false }
    }

    /// Probes at once and then every `probe_interval_ms`, or sooner while the upstream is down. Calls `report` after
    /// the first probe and whenever the report has changed. Never returns; drop the future to stop it.
    pub async fn run(mut self, mut report: impl FnMut(ProbeReport)) {
        let interval = Duration::from_millis(self.shared.config.probe_interval_ms);
        let mut wait = SOON.min(interval);
        loop {
            if let Some(news) = self.once().await {
                report(news);
            }
            let down = self.report.as_ref().is_some_and(|report| !report.up);
            if down && self.against == 0 {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(interval);
            } else if down {
                // The last probe succeeded, so the upstream seems to be back: probe again soon.
                tokio::time::sleep(SOON.min(interval)).await;
            } else {
                tokio::time::sleep(interval).await;
                wait = SOON.min(interval);
            }
        }
    }

    /// Probes once. Returns the report if it differs from the last one.
    async fn once(&mut self) -> Option<ProbeReport> {
        self.shared.pool.prune();
        let answered = self.shared.answered.load(Ordering::Relaxed);
        let alive = std::mem::replace(&mut self.answered, answered) != answered;
        let limit = Duration::from_millis(self.shared.config.connect_timeout_ms);
        let found = match self.find(Instant::now() + limit).await {
            Err(Down::Silent) if alive => Ok(Found::Nothing(None)),
            Err(Down::Silent) => {
                Err(format!("/models did not answer within connect_timeout_ms = {}", limit.as_millis()))
            }
            Err(Down::Broken(why)) => Err(why),
            Ok(found) => Ok(found),
        };
        #[cfg(feature = "listener")]
        self.note(found.as_ref().err());
        let news = self.judge(found)?;
        if self.report.as_ref() == Some(&news) {
            return None;
        }
        let before = self.report.as_ref().and_then(|report| report.warning.as_ref());
        if let Some(warning) = news.warning.as_ref().filter(|warning| news.up && before != Some(*warning)) {
            tracing::warn!(upstream = %self.shared.name, %warning, "the upstream is up, but its models are not known");
        } else if news.up {
            tracing::info!(upstream = %self.shared.name, models = ?news.models, "the upstream is up");
        } else {
            tracing::warn!(upstream = %self.shared.name, reason = news.reason, "the upstream is down");
        }
        self.report = Some(news.clone());
        Some(news)
    }

    /// Keeps the outcome of a probe.
    #[cfg(feature = "listener")]
    fn note(&self, error: Option<&String>) {
        *self.shared.last_probe.lock() = Some(LastProbe { at: Timestamp::wall_clock(), error: error.cloned() });
    }

    /// The new report after a probe; `None`: the result contradicts the present state, but not often enough yet.
    fn judge(&mut self, found: Result<Found, String>) -> Option<ProbeReport> {
        let was_up = self.report.as_ref().map(|report| report.up);
        self.has_lived |= was_up == Some(true);
        if was_up.is_some_and(|up| up == found.is_ok()) {
            self.against = 0;
        } else {
            self.against += 1;
            // For an upstream that was never up, one good answer is enough.
            let new = !self.has_lived && (was_up.is_none() || found.is_ok());
            if !new && self.against < self.shared.config.probe_threshold {
                return None;
            }
            self.against = 0;
        }
        let last = || self.report.clone().unwrap_or_else(|| self.report_of(&Listing::default()));
        match found {
            Ok(Found::Nothing(warning)) => Some(ProbeReport { up: true, reason: None, warning, ..last() }),
            Ok(Found::NoList(warning)) => Some(ProbeReport { warning, ..self.report_of(&Listing::default()) }),
            Ok(Found::List(listing)) => Some(self.report_of(&listing)),
            Err(reason) => Some(ProbeReport { up: false, reason: Some(reason), warning: None, ..last() }),
        }
    }

    fn report_of(&self, listing: &Listing) -> ProbeReport {
        let config = &self.shared.config;
        let listed = &listing.models;
        let mut models = if config.models.is_empty() { listed.clone() } else { config.models.clone() };
        if config.models.is_empty()
            && let Some(first) = models.first()
        {
            *self.shared.default_model.write() = Some(Arc::from(upstream_name(config, first)));
        }
        for (alias, model) in &config.aliases {
            let is_there = listed.is_empty() || listed.contains(model);
            if is_there && !models.contains(alias) {
                models.push(alias.clone());
            }
        }
        ProbeReport {
            up: true,
            models,
            max_context_tokens: listing.max_context_tokens,
            embeddings: config.makes_embeddings(),
            ..ProbeReport::default()
        }
    }

    /// Asks once, and logs nothing.
    ///
    /// # Errors
    /// The reason in words why it is down.
    pub async fn ask(&self) -> Result<ProbeReport, String> {
        let limit = Duration::from_millis(self.shared.config.connect_timeout_ms);
        match self.find(Instant::now() + limit).await.map_err(Down::words)? {
            Found::List(listing) => Ok(self.report_of(&listing)),
            Found::NoList(warning) | Found::Nothing(warning) => {
                Ok(ProbeReport { warning, ..self.report_of(&Listing::default()) })
            }
        }
    }

    /// The report of a server that the router has started, once it is ready.
    ///
    /// # Errors
    /// The reason in words why it is not.
    pub(crate) async fn ready(&self) -> Result<ProbeReport, String> {
        let report = self.health().await;
        #[cfg(feature = "listener")]
        self.note(report.as_ref().err());
        report
    }

    async fn health(&self) -> Result<ProbeReport, String> {
        let config = &self.shared.config;
        let by = Instant::now() + Duration::from_millis(config.connect_timeout_ms);
        let path = &config.health_path;
        let (status, _) = self.get(&self.shared.pool.endpoint().health, by).await.map_err(Down::words)?;
        match status.as_u16() {
            // A server that loads its model may list it already.
            200..300 | 404 | 405 | 501 => self.ask().await,
            _ => Err(format!("{path} answered {status}")),
        }
    }

    /// Requests the list once. Every status below 500 means that the server is up, and so does 501: many servers have
    /// no list, or do not show it.
    async fn find(&self, by: Instant) -> Result<Found, Down> {
        let path = &self.shared.pool.endpoint().models;
        let (status, body) = self.get(path, by).await?;
        match status.as_u16() {
            200..300 => {}
            404 | 405 | 410 | 501 => return Ok(Found::NoList(None)),
            401 | 403 => {
                return Ok(Found::Nothing(Some(format!(
                    "it does not list its models to the router's key ({status}): check api_key or api_key_env, or name them with models = [...]"
                ))));
            }
            429 => return Ok(Found::Nothing(None)),
            500.. => return Err(Down::Broken(format!("/models answered {status}"))),
            _ => {
                return Ok(Found::Nothing(Some(format!(
                    "/models answered {status}: name its models with models = [...]"
                ))));
            }
        }
        let listing = match body {
            Ok(body) => Listing::of(&body).ok_or("/models is no list of models".to_owned()),
            Err(why) => Err(why),
        };
        let mut listing = match listing {
            Ok(listing) => listing,
            Err(why) => return Ok(Found::Nothing(Some(format!("{why}: name its models with models = [...]")))),
        };
        for _ in 0..self.shared.config.max_model_pages {
            let Some((parameter, value)) = listing.next.take() else { break };
            let Some(page) = with_parameter(path, parameter, &value) else { break };
            let Ok((StatusCode::OK, Ok(body))) = self.get(&page, by).await else { break };
            if !Listing::of(&body).is_some_and(|page| listing.append(page)) {
                break;
            }
        }
        if listing.llama
            && let Some(of_slot) = self.llama_context(by).await
        {
            listing.max_context_tokens = Some(of_slot);
        }
        Ok(Found::List(listing))
    }

    /// The context size of one slot of a llama.cpp server, in tokens. The server's list contains only the context size
    /// of the model's training.
    async fn llama_context(&self, by: Instant) -> Option<NonZeroU64> {
        let (status, body) = self.get(&self.shared.pool.endpoint().props, by).await.ok()?;
        let body = body.ok().filter(|_| status == StatusCode::OK)?;
        let props: serde_json::Value = serde_json::from_slice(&body).ok()?;
        positive(props.get("default_generation_settings")?.get("n_ctx")?)
    }

    /// Requests a path. Returns the status, and the body or the reason why it could not be read.
    async fn get(&self, path: &Uri, by: Instant) -> Result<(StatusCode, Result<Vec<u8>, String>), Down> {
        let pool = &self.shared.pool;
        let Ok(sent) = tokio::time::timeout_at(by, pool.send(pool.endpoint().get(path), &|| true)).await else {
            return Err(Down::Silent);
        };
        let (link, head) = match sent {
            Ok(answer) => answer,
            Err(SendError::Unreachable(why) | SendError::Garbage(why)) => return Err(Down::Broken(why)),
        };
        if let Some(coding) = head.coding {
            return Ok((
                head.status,
                Err(format!("/models came in the coding {coding}, which the router had not asked for")),
            ));
        }
        let body = match tokio::time::timeout_at(by, self.read(link)).await {
            Ok(body) => body,
            Err(_) => Err("/models did not end within connect_timeout_ms".to_owned()),
        };
        Ok((head.status, body))
    }

    async fn read(&self, mut link: Box<Link>) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let most = self.shared.config.max_models_bytes;
        loop {
            let most_bytes = usize::try_from(most).unwrap_or(usize::MAX);
            match link.append(&mut bytes, most_bytes).await.map_err(|e| format!("/models broke off: {e}"))? {
                Part::Data => {}
                Part::End => break,
                Part::TooLong => return Err(format!("/models answered more than max_models_bytes = {most} bytes")),
            }
        }
        self.shared.pool.put(link);
        Ok(bytes)
    }
}

/// The path with one more parameter in its query; `None`: the result is not a valid URI.
fn with_parameter(path: &Uri, name: &str, value: &str) -> Option<Uri> {
    let encoded: String = value.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    });
    format!("{path}{}{name}={encoded}", if path.query().is_some() { '&' } else { '?' }).parse().ok()
}
