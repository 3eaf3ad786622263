//! Routers and miners for the tests of this directory.

use cortensor_router::Config;
use cortensor_router::config::MinersConfig;
use cortensor_router::miner::Job;
use cortensor_router::miner::client::{MinerClient, MinerClientConfig};
use cortensor_router_testkit::Server;
use cortensor_router_testkit::dial_in::TOKEN;

/// A router that waits long for its first miner.
pub(crate) async fn serve(miners: MinersConfig) -> Server {
    let mut config = Config::default().miners(miners);
    config.dispatch.no_miner_grace_ms = 20_000;
    Server::open(config).await
}

/// Settings with short times, so that a lost miner is soon given up. A miner that a test plays by hand sends no signs of
/// life; it may be silent for longer than a test takes on a busy machine.
pub(crate) fn quick() -> MinersConfig {
    MinersConfig::default().grace_ms(2_000).ping_ms(100).dead_ms(20_000)
}

pub(crate) fn config(url: &str) -> MinerClientConfig {
    MinerClientConfig::default()
        .routers([url])
        .name("remote")
        .token(TOKEN)
        .capacity(8)
        .reconnect_base_ms(50)
        .reconnect_max_ms(100)
}

pub(crate) fn start(url: &str, miner: impl Fn(Job) + Send + Sync + 'static) -> MinerClient {
    MinerClient::start(config(url), miner).unwrap()
}
