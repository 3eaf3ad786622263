//! A router with one miner of its own: submit a prompt, print the answer.
//!
//! `cargo run --example hello`

#![allow(clippy::print_stdout)] // an example talks to its reader

use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec};
use cortensor_router::{Config, Router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> cortensor_router::Result<()> {
    let router = Router::open(Config::default()).await?;
    router.add_miner(MinerSpec::new("shout", 4), |job: Job| {
        job.emit(job.prompt().to_uppercase());
        job.finish(Answer::default());
    })?;
    println!("{}", router.complete("hello").await?.text());
    router.close().await;
    Ok(())
}
