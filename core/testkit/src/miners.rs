//! Miners in the test's own process.

use std::sync::Arc;
use std::task::Poll;

use cortensor_router::miner::{Emit, Job};
use cortensor_router::model::{Answer, MinerSpec};
use cortensor_router::{MinerHandle, Router};
use tokio::sync::{Notify, Semaphore, mpsc};

use crate::time::within;

/// Answers a job with the prompt's words, one piece each.
#[allow(clippy::needless_pass_by_value, reason = "a miner is given its job")]
pub fn words(job: Job) {
    let prompt = job.prompt().into_owned();
    for word in prompt.split_inclusive(' ') {
        if job.emit(word) == Emit::Cancelled {
            return;
        }
    }
    job.finish(Answer::default());
}

/// Answers a job with a text.
#[allow(clippy::needless_pass_by_value, reason = "a miner is given its job")]
pub fn say(job: Job, text: &str) {
    job.finish(Answer::default().text(text));
}

/// A miner whose jobs the test answers by hand.
#[derive(Debug)]
pub struct Hand {
    jobs: mpsc::UnboundedReceiver<Job>,
    /// The miner's handle in the router.
    pub handle: MinerHandle,
}

impl Hand {
    /// Adds a miner to that router.
    pub fn join(router: &Router, spec: MinerSpec) -> Self {
        let (sender, jobs) = mpsc::unbounded_channel();
        let handle = router.add_miner(spec, move |job: Job| drop(sender.send(job))).unwrap();
        Self { jobs, handle }
    }

    /// Waits for the miner's next job.
    pub async fn take(&mut self) -> Job {
        within(self.jobs.recv()).await.expect("the miner is there")
    }

    /// Waits for the miner's next job without a time limit. Tests with a paused clock need it, because a time limit
    /// would pass at once.
    pub async fn wait(&mut self) -> Job {
        self.jobs.recv().await.expect("the miner is there")
    }

    /// Whether the miner has no job to take.
    pub fn is_idle(&mut self) -> bool {
        self.jobs.try_recv().is_err()
    }

    /// Waits for the next job of several miners. Gives the index of the miner and its job.
    pub async fn next_of(miners: &mut [Self]) -> (usize, Job) {
        within(std::future::poll_fn(|cx| {
            for (index, miner) in miners.iter_mut().enumerate() {
                if let Poll::Ready(Some(job)) = miner.jobs.poll_recv(cx) {
                    return Poll::Ready((index, job));
                }
            }
            Poll::Pending
        }))
        .await
    }
}

/// A miner that gives one word each time [`go`](Self::go) is called.
#[derive(Debug, Clone)]
pub struct Stepped {
    // A semaphore counts every `go`, even one that comes before the miner waits for it.
    go: Arc<Semaphore>,
    /// Notified when one of the miner's jobs was cancelled.
    pub cancelled: Arc<Notify>,
}

impl Default for Stepped {
    fn default() -> Self {
        Self { go: Arc::new(Semaphore::new(0)), cancelled: Arc::default() }
    }
}

impl Stepped {
    /// Lets the miner give one more word.
    pub fn go(&self) {
        self.go.add_permits(1);
    }

    /// Works on a job.
    pub fn offer(&self, job: Job) {
        let this = self.clone();
        tokio::spawn(async move {
            let prompt = job.prompt().into_owned();
            for word in prompt.split_inclusive(' ') {
                if job.emit(word) == Emit::Cancelled {
                    this.cancelled.notify_one();
                    return;
                }
                let cancelled = tokio::select! {
                    permit = this.go.acquire() => {
                        permit.unwrap().forget();
                        false
                    }
                    () = job.cancelled() => true,
                };
                if cancelled {
                    this.cancelled.notify_one();
                    return;
                }
            }
            job.finish(Answer::default());
        });
    }
}
