//! `miner`: works for a router with an OpenAI-compatible server behind it, until a signal ends it.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::client::without_api;
use crate::exit::{Done, Exit};
use crate::keys::duration;
use crate::logging::{LogFormat, Logging};
use crate::miner_health;
use crate::output;
use crate::runtime;
use crate::signals::{Hangups, Signals};
use cortensor_router::config::{DEFAULT_DEV_TOKEN, LimitsConfig, UpstreamConfig};
use cortensor_router::miner::client::{MinerClient, MinerClientConfig, MinerClientStats};
use cortensor_router::miner::{EchoMiner, ProbeReport, UpstreamMiner};
use cortensor_router::model::ModelDetails;

const EXAMPLES: &str = "\
Examples:
  cortensor-router miner --backend http://127.0.0.1:8080/v1
                                               llama.cpp, vLLM, Ollama ... for the router on this machine
  cortensor-router miner --router wss://router.example --backend http://127.0.0.1:8000/v1 \\
      --name gpu-1 --capacity 16 --key-file /var/lib/miner/key.pem --token \"$ENROLMENT\"
                                               with a key of its own, enrolled once by `miner-token create`
  cortensor-router miner --router wss://a.example --router wss://b.example --backend ... --token \"$TOKEN\"
                                               one router at a time, the next where one fails
  cortensor-router miner --echo                no model: gives the prompt back, to try a router

It dials out and needs no open port. A connection that breaks is made again, and answers go on where they were.
SIGTERM and Ctrl-C drain: no new tasks, what runs is finished; a second one ends it at once.";

/// The arguments of `miner`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Miner {
    /// The router: ws://HOST:PORT, or wss:// with TLS (repeatable)
    #[arg(
        long = "router",
        value_name = "URL",
        env = "CORTENSOR_MINER_ROUTER",
        value_delimiter = ',',
        default_value = "ws://127.0.0.1:5010"
    )]
    routers: Vec<String>,
    /// The server that does the work: any that speaks OpenAI's API
    #[arg(long, value_name = "URL", required_unless_present = "echo", conflicts_with = "echo")]
    backend: Option<String>,
    /// The key that the backend wants
    #[arg(long, value_name = "KEY", env = "CORTENSOR_BACKEND_KEY", hide_env_values = true)]
    backend_key: Option<String>,
    /// Use no backend: give the prompt back
    #[arg(long)]
    echo: bool,
    /// The miner's name, unique at its router; this machine's name and a number where none is given
    #[arg(long)]
    name: Option<String>,
    /// The number of tasks at a time
    #[arg(long, default_value_t = 4)]
    capacity: u32,
    /// The models to offer (repeatable); where none is given, those that the backend lists
    #[arg(long = "models", visible_alias = "model", value_name = "MODEL", value_delimiter = ',')]
    models: Vec<String>,
    /// A token with the scope miner; with --key-file, the one-time token that enrols the key
    #[arg(long, value_name = "TOKEN", env = "CORTENSOR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The file with the miner's own key; created if it is missing
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The person or company that runs the miner
    #[arg(long, default_value = "", hide_default_value = true)]
    owner: String,
    /// Dedicated to sessions that reserve it, rather than ephemeral
    #[arg(long)]
    dedicated: bool,
    /// Certificates to trust (PEM) instead of the public ones
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The miner's certificate chain (PEM), for routers that ask for one
    #[arg(long, value_name = "FILE", requires = "cert_key")]
    cert: Option<PathBuf>,
    /// The key of that certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    cert_key: Option<PathBuf>,
    /// The largest frame of a router; a larger one ends the connection
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    max_frame_bytes: usize,
    /// Bytes that may wait to be sent to the router
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    write_buffer_bytes: usize,
    /// The first window of the wait before a reconnect, in milliseconds; each further window is twice as long
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    reconnect_base_ms: u64,
    /// The longest window of that wait, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 64_000)]
    reconnect_max_ms: u64,
    /// Answer /healthz, /readyz and /metrics at this address
    #[arg(long, value_name = "ADDRESS")]
    health_addr: Option<SocketAddr>,
    /// How often to print the miner's state: 30s, 5m
    #[arg(long, value_name = "SPAN", value_parser = duration, default_value = "30s")]
    health_every: u64,
    /// How long running tasks may take to end after a signal
    #[arg(long, value_name = "SPAN", value_parser = duration, default_value = "60s")]
    drain_timeout: u64,
    #[command(flatten)]
    logging: Logging,
}

/// The present state of the backend.
#[derive(Debug, Clone, Default)]
struct Backend {
    up: bool,
    models: Vec<String>,
    context: Option<NonZeroU64>,
    embeddings: bool,
    credits: u32,
}

impl Miner {
    pub(crate) fn run(&self) -> Done {
        self.logging.start()?;
        let runtime = runtime::server(None).map_err(|e| Exit::failed(format!("cannot start threads: {e}")))?;
        let done = runtime.block_on(self.work());
        runtime.shutdown_timeout(Duration::from_secs(1));
        done
    }

    async fn work(&self) -> Done {
        let mut signals = Signals::new()?;
        // The miner has no files to read again, and a terminal that hangs up must not end it.
        let _hangups = Hangups::new()?;
        let health =
            match self.health_addr {
                None => None,
                Some(address) => Some(TcpListener::bind(address).await.map_err(|e| {
                    Exit::failed(format!("cannot listen on {address}: {e}; choose another --health-addr"))
                })?),
            };
        if let Some(address) = health.as_ref().and_then(|socket| socket.local_addr().ok()) {
            output::remark(&format!("health: http://{address}/healthz"));
        }
        let (backend, mut news) = watch::channel(Backend::default());
        let client = if self.echo {
            MinerClient::start(self.config(&self.models, &Backend::default())?, EchoMiner::new())?
        } else {
            let upstream = UpstreamMiner::new(self.upstream(), &LimitsConfig::default())?;
            let told = backend.clone();
            upstream.on_credits(Box::new(move |credits| told.send_modify(|backend| backend.credits = credits)));
            let probe = upstream.probe();
            let capacity = self.capacity;
            tokio::spawn(probe.run(move |report| tell(&backend, report, capacity)));
            // The models are part of the greeting, so the backend is asked before the first connection.
            let first = tokio::select! {
                () = signals.next() => return Ok(()),
                first = news.wait_for(|backend| backend.up) => first.map(|backend| backend.clone()).unwrap_or_default(),
            };
            let models = if self.models.is_empty() { &first.models } else { &self.models };
            MinerClient::start(self.config(models, &first)?, (*upstream).clone())?
        };
        let client = Arc::new(client);
        if let Some(socket) = health {
            tokio::spawn(miner_health::serve(socket, Arc::clone(&client)));
        }
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        let (mut said, mut since) = (None, 0_u64);
        loop {
            tokio::select! {
                () = signals.next() => break,
                Ok(()) = news.changed(), if !self.echo => {
                    let backend = news.borrow_and_update().clone();
                    client.set_capacity(if backend.up { backend.credits.min(self.capacity) } else { 0 });
                    if backend.up && self.models.is_empty() {
                        client.set_models(backend.models);
                    }
                }
                _ = ticks.tick() => {
                    let stats = client.stats();
                    let connected = (stats.connected, stats.router.clone());
                    since += 1;
                    if said.as_ref() != Some(&connected) && (stats.connected || !stats.last_error.is_empty())
                        || since >= self.health_every * 5
                    {
                        (said, since) = (Some(connected), 0);
                        self.say(&stats);
                    }
                }
            }
        }
        output::remark(&format!(
            "stopping: what runs has {} s to end; a second signal stops at once",
            self.drain_timeout
        ));
        tokio::select! {
            biased;
            () = signals.again() => {
                Exit::at_once()
            }
            drained = client.drain(Duration::from_secs(self.drain_timeout)) => {
                let stats = client.stats();
                self.say(&stats);
                if drained { Ok(()) } else { Err(Exit::failed(format!("{} answers were not finished in time", stats.in_flight))) }
            }
        }
    }

    fn upstream(&self) -> UpstreamConfig {
        UpstreamConfig::new(self.backend.clone().unwrap_or_default())
            .models(self.models.clone())
            .max_concurrency(self.capacity)
            .api_key(self.backend_key.clone().filter(|key| !key.is_empty()))
    }

    fn config(&self, models: &[String], backend: &Backend) -> Done<MinerClientConfig> {
        let details = models.iter().map(|id| {
            ModelDetails::default().id(id.clone()).context(backend.context).embeddings(backend.embeddings).warm(true)
        });
        let given = self.token.clone().filter(|token| !token.is_empty());
        let local = |url: &String| ["://127.", "://localhost", "://[::1]"].iter().any(|host| url.contains(host));
        let token = match given {
            Some(token) => token,
            None if self.key_file.is_none() && self.routers.iter().all(local) => DEFAULT_DEV_TOKEN.to_owned(),
            None => String::new(),
        };
        let config = MinerClientConfig::default()
            .routers(self.routers.iter().map(|url| without_api(url)))
            .name(self.name.clone().unwrap_or_else(default_name))
            .capacity(self.capacity)
            .model_details(details.collect())
            .models(models)
            .dedicated(self.dedicated)
            .owner(self.owner.clone())
            .token(token)
            .key_file(self.key_file.clone())
            .ca_file(self.ca_file.clone())
            .cert_file(self.cert.clone())
            .cert_key_file(self.cert_key.clone())
            .max_frame_bytes(self.max_frame_bytes)
            .write_buffer_bytes(self.write_buffer_bytes)
            .reconnect_base_ms(self.reconnect_base_ms)
            .reconnect_max_ms(self.reconnect_max_ms);
        config.validate().map_err(|e| Exit::usage(e.message()))?;
        Ok(config)
    }

    /// Prints one line about the present state.
    fn say(&self, stats: &MinerClientStats) {
        // A reader of standard output that has gone away is no reason to stop.
        let _ = if self.logging.log_format == LogFormat::Json {
            output::json(&json!({"event": "health", "miner": stats}))
        } else {
            output::line(&Self::words(stats))
        };
    }

    fn words(stats: &MinerClientStats) -> String {
        let link = match (stats.connected, stats.last_error.is_empty()) {
            (true, _) => format!("connected to {}", stats.router),
            (false, true) => "not connected".to_owned(),
            (false, false) => format!("not connected: {}", stats.last_error),
        };
        format!(
            "miner {}: {link}; {} of {} busy, {} done, {} failed, {} cancelled{}",
            stats.miner_id,
            stats.in_flight,
            stats.capacity,
            stats.finished,
            stats.failed,
            stats.cancelled,
            if stats.draining { ", draining" } else { "" }
        )
    }
}

fn tell(backend: &watch::Sender<Backend>, report: ProbeReport, capacity: u32) {
    if !report.up {
        tracing::warn!(reason = report.reason.as_deref().unwrap_or_default(), "the backend does not answer");
    }
    backend.send_modify(|backend| {
        backend.up = report.up;
        if report.up {
            backend.models = report.models;
            backend.context = report.max_context_tokens;
            backend.embeddings = report.embeddings;
            if backend.credits == 0 {
                backend.credits = capacity;
            }
        }
    });
}

/// A name made of this machine's name and the number of the process.
fn default_name() -> String {
    let host = std::env::var("HOSTNAME").or_else(|_| std::env::var("COMPUTERNAME")).unwrap_or_default();
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(64).collect();
    format!("{}-{}", if host.is_empty() { "miner" } else { &host }, std::process::id())
}
