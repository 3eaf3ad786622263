//! Checks the port that the router will use and the upstreams that it calls.

use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use cortensor_router::Config;
use cortensor_router::config::UpstreamConfig;

use cortensor_router::miner::{ProbeReport, UpstreamMiner};
use serde_json::Value;
use tokio::sync::mpsc;

use super::Findings;
use crate::client::Client;
use crate::output::text;
use cortensor_router::internals::store::holder;

/// The time that the program at the port may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn port(config: &Config, findings: &mut Findings) {
    let address = config.listen.address();
    if !config.listen.enabled {
        return findings.ok("port", "the listener is off (listen.enabled = false)");
    }
    match TcpListener::bind(address) {
        Ok(_) => findings.ok("port", format!("{address} is free")),
        Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => match server(config).await {
            Some(server) => findings.ok("port", format!("{address} is served by {server}")),
            None => findings.fail(
                "port",
                format!("{address} is taken by another program: stop it, or choose another with listen.port"),
            ),
        },
        Err(e) => findings
            .fail("port", format!("{address} cannot be used: {e}: choose another with listen.host and listen.port")),
    }
}

/// Describes the router that has the port; `None` if the program there is not a router.
async fn server(config: &Config) -> Option<String> {
    match about(config).await {
        Some(about) => Some(format!("{} {}", text(&about, "name"), text(&about, "version"))),
        None => served_by(config).map(|pid| format!("process {pid}")),
    }
}

/// Asks for a router's name and version; `None` if the program there is not a router.
async fn about(config: &Config) -> Option<Value> {
    let client = Client::new(&config.listen.url_at(config.listen.address()), None, None).ok()?;
    let about = tokio::time::timeout(PATIENCE, client.get("/api/v1/about")).await.ok()?.ok()?;
    about.get("endpoints").is_some().then_some(about)
}

/// The process that holds the data directory and says that it listens at the port. Its certificate need not be one that
/// this process trusts.
fn served_by(config: &Config) -> Option<u32> {
    let holder = holder(config.storage.data_dir.as_ref()?)?;
    (holder.url? == config.listen.url_at(config.listen.address())).then_some(holder.pid)
}

pub(super) async fn upstreams(config: &Config, findings: &mut Findings) {
    if config.upstreams.is_empty() {
        return findings.warn(
            "upstream",
            "none: until a miner dials in, only the built-in echo of a new router answers; attach a model with --upstream http://127.0.0.1:8080/v1",
        );
    }
    for upstream in &config.upstreams {
        let name = upstream.miner_name();
        if let Some(program) = upstream.command.first() {
            match program_at(program) {
                Some(path) => findings.ok("upstream", format!("{name} is started as {}", path.display())),
                None => findings.fail(
                    "upstream",
                    format!(
                        "{name}: there is no program {program:?}: install it, or write its whole path into command"
                    ),
                ),
            }
            continue;
        }
        match probed(upstream, config).await {
            Err(wrong) => findings.fail("upstream", format!("{name}: {wrong}")),
            Ok(ProbeReport { reason: Some(reason), .. }) => {
                findings.fail("upstream", format!("{name}: {reason}: is it running, and is its url right?"));
            }
            Ok(ProbeReport { warning: Some(warning), .. }) => {
                findings.warn("upstream", format!("{name} answers: {warning}"));
            }
            Ok(ProbeReport { models, .. }) if models.is_empty() => {
                findings.warn("upstream", format!("{name} answers and lists no model"));
            }
            Ok(ProbeReport { models, .. }) => {
                findings.ok("upstream", format!("{name} serves {}", models.join(", ")));
            }
        }
    }
}

/// The file of a program that a router would start: a path, or a name that is looked up.
fn program_at(program: &str) -> Option<PathBuf> {
    let is_file = |path: &PathBuf| path.is_file();
    if program.contains(std::path::MAIN_SEPARATOR) {
        return Some(PathBuf::from(program)).filter(is_file);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(is_file)
}

/// Asks the upstream for its models as a router does, once.
async fn probed(upstream: &UpstreamConfig, config: &Config) -> Result<ProbeReport, String> {
    let miner = UpstreamMiner::new(upstream.clone(), &config.limits).map_err(|error| error.message().to_owned())?;
    let (tell, mut told) = mpsc::unbounded_channel();
    let probe = miner.probe().run(move |report| {
        // Only the first report is waited for.
        let _ = tell.send(report);
    });
    tokio::select! {
        () = probe => Err("the probe ended".to_owned()),
        report = told.recv() => report.ok_or_else(|| "the probe gave no report".to_owned()),
    }
}
