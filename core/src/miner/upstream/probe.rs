//! Finds out whether an upstream is up, which models it has and how much they can read.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use http::{StatusCode, Uri};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::listing::{Listing, positive};
use super::pool::{Link, SendError, chain, coding_of};
use super::{Shared, upstream_name};

/// The first wait before a server that is down is asked again; each further wait is twice as long, up to
/// `probe_interval_ms`.
const SOON: Duration = Duration::from_millis(250);
/// The most further pages of a list that are read.
const MOST_PAGES: usize = 32;

/// The result of a probe.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeReport {
    /// Whether it takes work.
    pub up: bool,
    /// The models to offer, under the names that clients use: the configured ones, or else those that it lists, and
    /// the aliases whose models exist. Empty if it does not say: any model may be asked for.
    pub models: Vec<String>,
    /// The most tokens of prompt and answer together, of the model that takes most; 0 if it does not say.
    pub max_context_tokens: u64,
    /// Whether it makes embeddings, as configured.
    pub embeddings: bool,
    /// The reason why it is not up, or empty.
    pub reason: String,
    /// The reason why it lists no models although it is up, or empty.
    pub warning: String,
}

/// Asks for `/models` again and again. The first answer decides, and so does the first good one. After that
/// `probe_threshold` answers in a row must contradict the present belief. A server that is too busy to answer in time
/// is up if jobs were answered meanwhile. Its list decides nothing about its life.
pub struct UpstreamProbe {
    shared: Arc<Shared>,
    answered: u64,
    against: u32,
    /// The last report; `None` before the first probe.
    report: Option<ProbeReport>,
    /// Whether it was up before.
    has_lived: bool,
}

/// The reason why it is down.
enum Down {
    /// It did not answer in time.
    Silent,
    Broken(String),
}

/// A living server's answer about its models.
enum Found {
    /// It lists them.
    List(Listing),
    /// It has no list; the warning says why, if that is odd.
    NoList(String),
    /// Nothing new is known except that it lives; the warning says why, if that is odd.
    Nothing(String),
}

impl UpstreamProbe {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, answered: 0, against: 0, report: None, has_lived: false }
    }

    /// Probes every `probe_interval_ms`, at once first, and reports what changed; the first report always
    /// comes. One that is down is asked again sooner. Never ends: drop it to stop it.
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
                // It seems to be back, so the next probe comes soon.
                tokio::time::sleep(SOON.min(interval)).await;
            } else {
                tokio::time::sleep(interval).await;
                wait = SOON.min(interval);
            }
        }
    }

    /// Probes once. Gives the report if it differs from the last one.
    async fn once(&mut self) -> Option<ProbeReport> {
        self.shared.pool.prune();
        let answered = self.shared.answered.load(Ordering::Relaxed);
        let alive = std::mem::replace(&mut self.answered, answered) != answered;
        let limit = Duration::from_millis(self.shared.config.connect_timeout_ms);
        let found = match self.find(Instant::now() + limit).await {
            Err(Down::Silent) if alive => Ok(Found::Nothing(String::new())),
            Err(Down::Silent) => {
                Err(format!("/models did not answer within connect_timeout_ms = {}", limit.as_millis()))
            }
            Err(Down::Broken(why)) => Err(why),
            Ok(found) => Ok(found),
        };
        let news = self.judge(found)?;
        if self.report.as_ref() == Some(&news) {
            return None;
        }
        let warning = self.report.as_ref().map_or("", |report| &report.warning);
        if news.up && !news.warning.is_empty() && news.warning != warning {
            tracing::warn!(upstream = %self.shared.name, warning = %news.warning, "the upstream is up, but its models are not known");
        } else if news.up {
            tracing::info!(upstream = %self.shared.name, models = ?news.models, "the upstream is up");
        } else {
            tracing::warn!(upstream = %self.shared.name, reason = %news.reason, "the upstream is down");
        }
        self.report = Some(news.clone());
        Some(news)
    }

    /// The new belief after that answer; `None` if belief does not change yet.
    fn judge(&mut self, found: Result<Found, String>) -> Option<ProbeReport> {
        let was_up = self.report.as_ref().map(|report| report.up);
        self.has_lived |= was_up == Some(true);
        if was_up.is_some_and(|up| up == found.is_ok()) {
            self.against = 0;
        } else {
            self.against += 1;
            // One good answer brings a new upstream in.
            let new = !self.has_lived && (was_up.is_none() || found.is_ok());
            if !new && self.against < self.shared.config.probe_threshold {
                return None;
            }
            self.against = 0;
        }
        let last = || self.report.clone().unwrap_or_else(|| self.report_of(&Listing::default()));
        match found {
            Ok(Found::Nothing(warning)) => Some(ProbeReport { up: true, reason: String::new(), warning, ..last() }),
            Ok(Found::NoList(warning)) => Some(ProbeReport { warning, ..self.report_of(&Listing::default()) }),
            Ok(Found::List(listing)) => Some(self.report_of(&listing)),
            Err(reason) => Some(ProbeReport { up: false, reason, warning: String::new(), ..last() }),
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
            embeddings: config.embeddings,
            ..ProbeReport::default()
        }
    }

    /// Asks once. Every answer of an HTTP server below 500 means that it lives: many have no list, or show it to
    /// nobody.
    async fn find(&self, by: Instant) -> Result<Found, Down> {
        let path = &self.shared.pool.endpoint().models;
        let (status, body) = self.get(path, by).await?;
        match status.as_u16() {
            200..300 => {}
            404 | 405 | 410 | 501 => return Ok(Found::NoList(String::new())),
            401 | 403 => {
                return Ok(Found::Nothing(format!(
                    "it does not list its models to the router's key ({status}): check api_key or api_key_env, or name them with models = [...]"
                )));
            }
            429 => return Ok(Found::Nothing(String::new())),
            500.. => return Err(Down::Broken(format!("/models answered {status}"))),
            _ => return Ok(Found::Nothing(format!("/models answered {status}: name its models with models = [...]"))),
        }
        let listing = match body {
            Ok(body) => Listing::of(&body).ok_or("/models is no list of models".to_owned()),
            Err(why) => Err(why),
        };
        let mut listing = match listing {
            Ok(listing) => listing,
            Err(why) => return Ok(Found::Nothing(format!("{why}: name its models with models = [...]"))),
        };
        for _ in 0..MOST_PAGES {
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
            listing.max_context_tokens = of_slot;
        }
        Ok(Found::List(listing))
    }

    /// The number of tokens that one slot of a llama.cpp server reads: its list only says what the model was trained
    /// for.
    async fn llama_context(&self, by: Instant) -> Option<u64> {
        let (status, body) = self.get(&self.shared.pool.endpoint().props, by).await.ok()?;
        let body = body.ok().filter(|_| status == StatusCode::OK)?;
        let props: serde_json::Value = serde_json::from_slice(&body).ok()?;
        positive(props.get("default_generation_settings")?.get("n_ctx")?)
    }

    /// The status, and the body or the error.
    async fn get(&self, path: &Uri, by: Instant) -> Result<(StatusCode, Result<BytesMut, String>), Down> {
        let make = |endpoint: &Endpoint| endpoint.get(path);
        let Ok(sent) = tokio::time::timeout_at(by, self.shared.pool.send(&make, &|| true)).await else {
            return Err(Down::Silent);
        };
        let (link, response) = match sent {
            Ok(answer) => answer,
            Err(SendError::Unreachable(why) | SendError::Garbage(why)) => return Err(Down::Broken(why)),
        };
        let status = response.status();
        if let Some(coding) = coding_of(response.headers()) {
            return Ok((
                status,
                Err(format!("/models came in the coding {coding}, which the router had not asked for")),
            ));
        }
        let body = match tokio::time::timeout_at(by, self.read(link, response.into_body())).await {
            Ok(body) => body,
            Err(_) => Err("/models did not end within connect_timeout_ms".to_owned()),
        };
        Ok((status, body))
    }

    async fn read(&self, mut link: Box<Link>, mut body: Incoming) -> Result<BytesMut, String> {
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
        Ok(bytes)
    }
}

/// That path with one more parameter in its query; `None` if it cannot be made.
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
