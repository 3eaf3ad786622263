//! The router: the real one, with the real HTTP loop, on connections of a simulated network.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cortensor_router::config::{ListenConfig, MinersConfig, TokenConfig, UpstreamConfig};
use cortensor_router::listener::Streams;
use cortensor_router::model::{OnFailure, Scope};
use cortensor_router::{Config, Router};
use cortensor_router_testkit::random::Random;
use tokio::sync::Notify;
use turmoil::net::TcpListener;

use crate::certificate::CERTIFICATE;
use crate::disk::{Disk, Kept};
use crate::miner::Simulated;
use crate::upstream;

/// The port of the router.
pub(crate) const PORT: u16 = 80;
/// The token of clients and miners.
pub(crate) const TOKEN: &str = "a-token-for-simulated-hosts";

/// Runs the router until its host crashes. A call of `stop` closes it in good order, and it starts again.
pub(crate) async fn run(
    kept: Kept,
    full: Arc<AtomicBool>,
    stop: Arc<Notify>,
    (seed, tls): (u64, bool),
) -> turmoil::Result {
    let mut chance = Random::new(seed);
    loop {
        let store = Arc::new(Disk::open(&kept, Arc::clone(&full), chance.clone())?);
        let router = Router::builder()
            .config(config(seed, tls))
            .store(store)
            .network(Arc::new(Simulated::new(chance.clone())))
            .open()
            .await?;
        let streams = Streams::new(router.clone(), router.config().listen.clone())?;
        let socket = TcpListener::bind(("0.0.0.0", PORT)).await?;
        loop {
            let (stream, peer) = tokio::select! {
                accepted = socket.accept() => accepted?,
                () = stop.notified() => break,
            };
            let streams = streams.clone();
            tokio::spawn(async move { streams.serve(stream, peer).await });
        }
        drop(socket);
        streams.end_all().await;
        router.close().await;
        tokio::time::sleep(Duration::from_millis(chance.below(500))).await;
    }
}

/// Settings with short times, so that a world sees many time-outs.
fn config(seed: u64, tls: bool) -> Config {
    let miners =
        MinersConfig::default().insecure(true).ping_ms(400).dead_ms(1_500).grace_ms(1_500).hello_timeout_ms(2_000);
    let mut token = TokenConfig::default();
    (token.name, token.value) = (Some("all".to_owned()), Some(TOKEN.to_owned()));
    token.scopes = vec![Scope::Submit, Scope::Read, Scope::Admin, Scope::Miner];
    let mut listen = ListenConfig::default();
    listen.tokens = vec![token];
    (listen.header_timeout_ms, listen.write_timeout_ms, listen.drain_timeout_ms) = (3_000, 2_000, 500);
    listen.keepalive_ms = 500;
    if tls {
        listen.tls = CERTIFICATE.settings();
    }
    let mut upstream = UpstreamConfig::new(format!("http://upstream:{}/v1", upstream::PORT));
    upstream.max_concurrency = 2;
    (upstream.connect_timeout_ms, upstream.probe_interval_ms) = (2_000, 1_000);
    let mut config = Config::default().miners(miners);
    (config.listen, config.upstreams) = (listen, vec![upstream]);
    let dispatch = &mut config.dispatch;
    (dispatch.accept_timeout_ms, dispatch.progress_timeout_ms) = (1_000, 4_000);
    (dispatch.max_attempts, dispatch.breaker_open_ms, dispatch.no_miner_grace_ms) = (12, 500, 20_000);
    (dispatch.retry_base_ms, dispatch.retry_floor_per_sec) = (50, 50.0);
    dispatch.on_failure = if seed.is_multiple_of(4) { OnFailure::Fail } else { OnFailure::Restart };
    config
}
