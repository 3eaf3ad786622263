//! What several miners do together: answers that are compared, losses in mid-stream, races, kinds and reservations.

#![allow(clippy::unwrap_used, reason = "what a test does not expect fails it")]

mod blame;
mod liars;
mod losses;
mod models;
mod nodes;
mod time;
mod verdicts;

use std::time::Duration;

use cortensor_router::config::DispatchConfig;
use cortensor_router::miner::Job;
use cortensor_router::model::{Answer, MinerSpec, SessionId, TaskRequest};
use cortensor_router::{Config, MinerHandle, Router, StreamEvent, Submission, SubmitOptions, TokenStream};
use tokio::sync::mpsc;

const DEFAULT: SessionId = SessionId(0);

/// A miner whose jobs the test answers by hand.
struct Hand {
    jobs: mpsc::UnboundedReceiver<Job>,
    handle: MinerHandle,
}

impl Hand {
    fn join(router: &Router, spec: MinerSpec) -> Self {
        let (sender, jobs) = mpsc::unbounded_channel();
        let handle = router.add_miner(spec, move |job: Job| drop(sender.send(job))).unwrap();
        Self { jobs, handle }
    }

    async fn take(&mut self) -> Job {
        within(self.jobs.recv()).await.expect("the miner is there")
    }

    fn idle(&mut self) -> bool {
        self.jobs.try_recv().is_err()
    }
}

/// The next job, and which of them has it.
async fn next(miners: &mut [Hand]) -> (usize, Job) {
    within(std::future::poll_fn(|cx| {
        for (index, miner) in miners.iter_mut().enumerate() {
            if let std::task::Poll::Ready(Some(job)) = miner.jobs.poll_recv(cx) {
                return std::task::Poll::Ready((index, job));
            }
        }
        std::task::Poll::Pending
    }))
    .await
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it comes in time")
}

/// Lets others run until it is so.
async fn until(what: impl Fn() -> bool) {
    within(async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn router(dispatch: DispatchConfig) -> Router {
    Router::open(Config { dispatch, ..Config::default() }).await.unwrap()
}

async fn submit(router: &Router, request: TaskRequest) -> Submission {
    router.submit(DEFAULT, request, SubmitOptions::default()).await.unwrap()
}

fn say(job: Job, words: &str) {
    job.finish(Answer { text: words.into(), ..Answer::default() });
}

fn streamed(prompt: &str) -> TaskRequest {
    TaskRequest { stream: true, ..TaskRequest::completion(prompt) }
}

/// Reads until that many pieces are there.
async fn pieces(stream: &mut TokenStream, count: usize) -> Vec<StreamEvent> {
    let mut out = Vec::new();
    while out.len() < count {
        out.extend(within(stream.next_batch()).await.expect("the stream goes on"));
    }
    out
}

/// All that is left, written down: numbers and texts, `!` for a restart, then the end.
async fn rest(
    stream: &mut TokenStream,
) -> (Vec<String>, cortensor_router::Result<std::sync::Arc<cortensor_router::model::Completion>>) {
    let mut out = Vec::new();
    while let Some(batch) = within(stream.next_batch()).await {
        for event in batch {
            match event {
                StreamEvent::Token { seq, text, .. } => out.push(format!("{seq}:{text}")),
                StreamEvent::Restart { seq } => out.push(format!("{seq}!")),
                StreamEvent::End(end) => return (out, end),
            }
        }
    }
    panic!("the stream has no end: {out:?}");
}
