//! Tokens as they come.
//!
//! `cargo run --example stream`

#![allow(clippy::print_stdout)] // an example talks to its reader

use std::io::Write as _;

use cortensor_router::miner::EchoMiner;
use cortensor_router::model::{MinerSpec, SessionSpec, TaskRequest};
use cortensor_router::{Config, Router, StreamEvent, SubmitOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> cortensor_router::Result<()> {
    let router = Router::open(Config::default()).await?;
    router.add_miner(MinerSpec::new("echo", 4), EchoMiner::default())?;
    let session = router.create_session(SessionSpec::default().name("chat")).await?;
    let request = TaskRequest::completion("every word comes on its own").stream(true);
    let task = router.submit(session.id, request, SubmitOptions::default()).await?;
    let mut tokens = task.stream();
    while let Some(batch) = tokens.next_batch().await {
        for event in batch {
            match event {
                StreamEvent::Token { text, .. } => print!("{text}"),
                StreamEvent::Restart { .. } => println!("\n(another miner starts over)"),
                StreamEvent::End(end) => println!("\n{:?}", end?.answer.usage),
                _ => {}
            }
            let _ = std::io::stdout().flush();
        }
    }
    router.close().await;
    Ok(())
}
