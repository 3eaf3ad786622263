//! Routers for the tests of this directory.

use std::num::NonZeroUsize;

use cortensor_router::Config;
use cortensor_router::config::ListenConfig;
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, FinishReason, MinerSpec, Usage};
use cortensor_router_testkit::{Server, Upstream};

/// A router with one miner, of the model `tiny`, that answers with the prompt's words.
pub(crate) async fn with_words() -> Server {
    let server = Server::open(Config::default()).await;
    server.router.add_miner(MinerSpec::new("words", 8).models(["tiny"]), say_words).unwrap();
    server
}

fn say_words(job: Job) {
    for word in job.prompt().split_inclusive(' ') {
        job.emit(word);
    }
    job.finish(Answer::default().usage(Usage::new(3, 2)).finish_reason(FinishReason::Length));
}

/// A router in front of that upstream.
pub(crate) async fn before(upstream: &Upstream) -> Server {
    before_on(upstream, 0).await
}

/// A router in front of that upstream, served on that number of threads of the listener.
pub(crate) async fn before_on(upstream: &Upstream, threads: usize) -> Server {
    let listen = ListenConfig::default().threads(NonZeroUsize::new(threads));
    Server::before(upstream, Config::default().listen(listen)).await
}
