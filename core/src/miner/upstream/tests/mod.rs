//! The upstream miner against servers on loopback.

mod answers;
mod compared;
mod failure;
mod link;
mod model;
mod own;
mod probe;
mod reading;
mod script;
mod stream;

use std::sync::Arc;

use super::{Miner as _, UpstreamMiner};
use crate::config::{LimitsConfig, UpstreamConfig};
use crate::miner::recorder::Recorder;
use crate::model::TaskRequest;
use cortensor_router_testkit::Mock;

/// A miner for this server.
fn miner(mock: &Mock) -> Arc<UpstreamMiner> {
    miner_of(UpstreamConfig::new(&mock.url))
}

fn miner_of(config: UpstreamConfig) -> Arc<UpstreamMiner> {
    UpstreamMiner::new(UpstreamConfig { name: Some("up".into()), ..config }, &LimitsConfig::default()).unwrap()
}

/// Offers a request to the miner. Returns the sink that receives the answer.
fn offer(miner: &UpstreamMiner, request: TaskRequest, stream: bool) -> Arc<Recorder> {
    let sink = Recorder::new();
    miner.offer(sink.job(request, stream));
    sink
}

fn chat() -> TaskRequest {
    TaskRequest::chat(r#"[{"role":"user","content":"Hi"}]"#).unwrap()
}
