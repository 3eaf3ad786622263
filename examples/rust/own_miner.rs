//! A miner that works on a thread of its own and notices when its work is no longer wanted.
//!
//! `cargo run --example own_miner`

#![allow(clippy::print_stdout)] // an example talks to its reader

use std::sync::mpsc;

use cortensor_router::miner::{Emit, Job};
use cortensor_router::model::{Answer, FinishReason, MinerSpec, SessionId, TaskRequest};
use cortensor_router::{Config, Router, SubmitOptions};

/// Stands for a model: counts from one.
fn work(job: Job) {
    for n in 1..=10_u32 {
        if job.emit(format!("{n} ")) == Emit::Cancelled {
            return; // letting the job go is answer enough
        }
    }
    job.finish(Answer::default().finish_reason(FinishReason::Stop));
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> cortensor_router::Result<()> {
    let router = Router::open(Config::default()).await?;
    let (jobs, queue) = mpsc::channel::<Job>();
    let worker = std::thread::spawn(move || queue.into_iter().for_each(work));
    router.add_miner(MinerSpec::new("counter", 1).models(["count"]), move |job: Job| {
        // The miner must not block: the job goes to the worker, which answers later.
        if let Err(mpsc::SendError(job)) = jobs.send(job) {
            job.reject("the worker is gone");
        }
    })?;
    let task = router.submit(SessionId(0), TaskRequest::completion("go"), SubmitOptions::default()).await?;
    println!("{}", task.result().await?.answer.text);
    router.close().await;
    drop((task, router));
    let _ = worker.join();
    Ok(())
}
