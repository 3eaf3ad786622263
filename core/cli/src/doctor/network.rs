//! Checks the port that the router will use and the upstreams that it calls.

use std::net::TcpListener;
use std::time::Duration;

use cortensor_router::Config;
use cortensor_router::config::UpstreamConfig;

use serde_json::Value;

use super::Findings;
use crate::client::Client;
use crate::output::text;
use cortensor_router::internals::listed_models;
use cortensor_router::internals::store::holder;

/// The time that an upstream may take to answer.
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
        match models(upstream).await {
            Ok(models) if models.is_empty() => {
                findings.warn("upstream", format!("{} answers and lists no model", upstream.miner_name()));
            }
            Ok(models) => findings.ok("upstream", format!("{} serves {}", upstream.miner_name(), models.join(", "))),
            Err(wrong) => findings.fail("upstream", format!("{}: {wrong}", upstream.miner_name())),
        }
    }
}

async fn models(upstream: &UpstreamConfig) -> Result<Vec<String>, String> {
    let key = upstream.key().unwrap_or_default();
    let client = Client::for_upstream(&with_version(&upstream.url), &key, upstream.ca_file.as_deref())
        .map_err(|e| e.message().to_owned())?;
    let answer = tokio::time::timeout(PATIENCE, client.get("/models"))
        .await
        .map_err(|_| format!("does not answer within {} s: is it running?", PATIENCE.as_secs()))?
        .map_err(|e| e.message().to_owned())?;
    Ok(listed_models(answer.to_string().as_bytes()))
}

/// Completes the URL as the router does: a URL without a path gets `/v1`.
fn with_version(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let path = url.split_once("://").map_or(url, |(_, rest)| rest).contains('/');
    if path { url.to_owned() } else { format!("{url}/v1") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_without_a_path_is_asked_under_v1() {
        assert_eq!(with_version("http://a:1/"), "http://a:1/v1");
        assert_eq!(with_version("http://a:1/openai/v1"), "http://a:1/openai/v1");
    }
}
