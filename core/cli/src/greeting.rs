//! The text that `serve` prints when it is ready: its address, an example call, and the open surfaces.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use cortensor_router::Config;
use cortensor_router::Router;
use cortensor_router::config::Durability;
use cortensor_router::config::{DEFAULT_DEV_TOKEN, UpstreamConfig};
use cortensor_router::internals::NOT_HEARD;
use cortensor_router::listener::Listener;
use cortensor_router::model::{MinerInfo, MinerKind, MinerStatus, Scope};
use serde_json::json;

use crate::client::DEFAULT_URL;
use crate::exit::Done;
use crate::logging::LogFormat;
use crate::neighbours::{self, Neighbour};
use crate::output;
use crate::printable::printable;

/// The time that the text waits for the upstreams to answer or fail. It is no setting: a server that is not there is
/// noticed within it, and one that is slow is told by the log.
const FIRST_WORDS: Duration = Duration::from_millis(500);

/// The facts that the text shows.
pub(crate) struct Greeting {
    url: String,
    /// Whether the router accepts the development token.
    dev_token: bool,
    token: Option<String>,
    upstreams: Vec<String>,
    /// The upstreams that are down at the start, each with the reason.
    down: Vec<(String, String)>,
    /// The model servers of the router's own that are not ready yet, each with the reason.
    waiting: Vec<(String, String)>,
    /// The model servers that listen on this machine and are not used.
    found: Vec<Neighbour>,
    /// Whether the built-in echo answers.
    echo: bool,
    store: String,
    /// Whether a browser finds the console at the address.
    console: bool,
    posture: Vec<String>,
}

impl Greeting {
    pub(crate) fn new(config: &Config, router: &Router, listener: &Listener) -> Self {
        let durability = config.storage.effective_durability();
        let place = match (&config.storage.url, &config.storage.data_dir) {
            (Some(_), _) => Some(format!("PostgreSQL, schema {}", config.storage.schema)),
            (None, Some(dir)) => Some(dir.display().to_string()),
            (None, None) => None,
        };
        let store = match place {
            Some(place) if durability != Durability::Memory => {
                let survives = if durability == Durability::Full {
                    "power loss"
                } else {
                    "the end of the process, not power loss"
                };
                format!("{place} (durability {}: an accepted task survives {survives})", durability.as_str())
            }
            _ => "in memory (durability memory: tasks are lost with the process)".to_owned(),
        };
        let may_submit = |scopes: &[Scope]| scopes.is_empty() || scopes.contains(&Scope::Submit);
        let configured = config.listen.tokens.iter().find(|token| may_submit(&token.scopes));
        Self {
            url: listener.url(),
            dev_token: listener.accepts_dev_token(),
            token: configured.and_then(|token| token.secret().ok()),
            upstreams: config.upstreams.iter().map(UpstreamConfig::miner_name).collect(),
            down: Vec::new(),
            waiting: Vec::new(),
            found: Vec::new(),
            echo: router.miners().iter().any(|miner| miner.id == "echo" && miner.kind == MinerKind::Local),
            store,
            console: config.listen.console,
            posture: listener.posture(),
        }
    }

    /// Waits for the first words of the upstreams, for at most [`FIRST_WORDS`], and keeps those of upstreams that are
    /// down.
    pub(crate) async fn hear(&mut self, router: &Router) {
        let until = Instant::now() + FIRST_WORDS;
        loop {
            let upstreams: Vec<_> =
                router.miners().into_iter().filter(|miner| miner.kind == MinerKind::Upstream).collect();
            let is_unheard =
                |miner: &MinerInfo| miner.status == MinerStatus::Starting || miner.reason.as_deref() == Some(NOT_HEARD);
            if Instant::now() >= until || !upstreams.iter().any(is_unheard) {
                for MinerInfo { id, status, reason, .. } in upstreams {
                    match status {
                        MinerStatus::Down | MinerStatus::Failed => self.down.push((id, reason.unwrap_or_default())),
                        MinerStatus::Stopped | MinerStatus::Starting => {
                            self.waiting.push((id, reason.unwrap_or_default()));
                        }
                        _ => {}
                    }
                }
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Looks for model servers on this machine, if the router has no other miner than its own echo.
    pub(crate) async fn look_around(&mut self, router: &Router, own: u16) {
        if self.echo && router.miners().len() == 1 {
            self.found = neighbours::found(&neighbours::USUAL, own).await;
        }
    }

    /// The URL at which clients on this machine reach the router.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A token that the router accepts.
    pub(crate) fn token(&self) -> Option<String> {
        if self.dev_token { Some(DEFAULT_DEV_TOKEN.to_owned()) } else { self.token.clone() }
    }

    /// Prints the text in the format of the logs.
    pub(crate) fn print(&self, format: LogFormat) -> Done {
        match format {
            LogFormat::Text => output::write(&self.text()),
            LogFormat::Json => {
                let mut facts = json!({
                    "event": "listening", "url": self.url, "version": cortensor_router::VERSION,
                    "store": self.store, "posture": self.posture,
                });
                if !self.down.is_empty() {
                    facts["down"] = self.down.iter().map(|(name, why)| json!({"id": name, "reason": why})).collect();
                }
                if !self.waiting.is_empty() {
                    facts["waiting"] =
                        self.waiting.iter().map(|(name, why)| json!({"id": name, "reason": why})).collect();
                }
                if !self.found.is_empty() {
                    facts["found"] =
                        self.found.iter().map(|one| json!({"url": one.url, "models": one.models})).collect();
                }
                output::json(&facts)
            }
        }
    }

    fn text(&self) -> String {
        let mut out = String::new();
        let token = if self.dev_token { DEFAULT_DEV_TOKEN } else { "$CORTENSOR_TOKEN" };
        let url = &self.url;
        let _ = writeln!(out, "cortensor-router {} listens on {url}\n\nTry it:", cortensor_router::VERSION);
        let _ = writeln!(
            out,
            "  curl -sN {url}/api/v1/completions -H \"Authorization: Bearer {token}\" -H \"Content-Type: application/json\" -d '{{\"prompt\":\"Hello, router!\",\"stream\":true}}'"
        );
        let command = if cfg!(feature = "terminal") { "chat" } else { "submit 'Hello, router!'" };
        let place = if self.url == DEFAULT_URL { String::new() } else { format!(" --url {url}") };
        let _ = writeln!(out, "  cortensor-router {command}{place}");
        let _ = writeln!(out, "OpenAI clients: base URL {url}/v1, API key {token}\n");
        let _ = writeln!(out, "  data     {}", self.store);
        let _ = match self.upstreams.as_slice() {
            [] => {
                let now = if self.echo { "the built-in echo" } else { "none yet" };
                writeln!(
                    out,
                    "  miners   {now}; attach a model with --upstream http://127.0.0.1:8080/v1, or let miners dial in"
                )
            }
            upstreams => writeln!(out, "  miners   {}", upstreams.join(", ")),
        };
        for Neighbour { url, usual, models } in &self.found {
            let first = models.first().map_or("", String::as_str);
            let more = if models.len() > 1 { format!(" and {} more", models.len() - 1) } else { String::new() };
            let _ = writeln!(out, "  found    {}{more} at {url} ({usual}'s usual port)", printable(first));
            let _ = writeln!(out, "           use it with --upstream {url}");
        }
        for (name, why) in self.down.iter().chain(&self.waiting) {
            let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
            let _ = writeln!(out, "           {name}: {}", printable(&why));
        }
        if self.console {
            let _ = writeln!(out, "  console  {}/ in a browser", self.url);
        }
        for line in &self.posture {
            let _ = writeln!(out, "  access   {line}");
        }
        out.push('\n');
        out
    }
}
