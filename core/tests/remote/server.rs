//! A router with its listener, and miners for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cortensor_router::config::{ListenConfig, MinersConfig};
use cortensor_router::listener::Listener;
use cortensor_router::miner::client::{MinerClient, MinerClientConfig};
use cortensor_router::miner::{Emit, Job};
use cortensor_router::model::{Answer, Completion, MinerInfo, SessionId, TaskRequest};
use cortensor_router::{Config, Result, Router, StreamEvent, Submission, SubmitOptions};
use tokio::sync::{Notify, Semaphore, oneshot};

pub(crate) const DEV: &str = "default-dev-token";

pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
}

impl Server {
    pub(crate) async fn start(miners: MinersConfig) -> Self {
        let mut config = Config { miners, ..Config::default() };
        config.dispatch.no_miner_grace_ms = 20_000;
        Self::with(config, 0).await
    }

    pub(crate) async fn with(config: Config, port: u16) -> Self {
        let router = Router::open(config).await.unwrap();
        let listen = ListenConfig { port, ..router.config().listen.clone() };
        let listener = Listener::bind(router.clone(), listen).await.unwrap();
        let address = listener.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(listener.run(async {
            let _ = stopped.await;
        }));
        Self { router, address, stop: Some(stop) }
    }

    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.router.close().await;
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub(crate) async fn submit(&self, prompt: &str, stream: bool) -> Submission {
        let request = TaskRequest { stream, timeout: Some(30.0), ..TaskRequest::completion(prompt) };
        self.router.submit(SessionId(0), request, SubmitOptions::default()).await.unwrap()
    }

    /// The one miner that dialled in, once it is as wanted.
    pub(crate) async fn miner(&self, wanted: impl Fn(&MinerInfo) -> bool) -> MinerInfo {
        let mut last = None;
        for _ in 0..1_000 {
            last = self.router.miners().into_iter().next();
            if let Some(miner) = last.as_ref().filter(|miner| wanted(miner)) {
                return miner.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the miner is not as wanted: {last:?}");
    }

    pub(crate) async fn no_miner(&self) {
        for _ in 0..1_000 {
            if self.router.miners().is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still there: {:?}", self.router.miners());
    }
}

/// Quick to come back, quick to be given up.
pub(crate) fn quick() -> MinersConfig {
    MinersConfig { grace_ms: 2_000, ping_ms: 100, dead_ms: 1_000, ..MinersConfig::default() }
}

pub(crate) fn config(url: &str) -> MinerClientConfig {
    MinerClientConfig {
        routers: vec![url.to_owned()],
        name: "remote".into(),
        token: DEV.into(),
        capacity: 8,
        reconnect_base_ms: 50,
        reconnect_max_ms: 100,
        ..MinerClientConfig::default()
    }
}

/// Answers with the prompt's words, one piece each.
pub(crate) fn words(job: Job) {
    let prompt = job.prompt().into_owned();
    for word in prompt.split_inclusive(' ') {
        if job.emit(word) == Emit::Cancelled {
            return;
        }
    }
    job.finish(Answer::default());
}

/// Gives a word, waits for its `go`, gives the next ...
#[derive(Clone)]
pub(crate) struct Stepped {
    // Every `go` counts, also one that comes before anybody waits for it.
    go: Arc<Semaphore>,
    pub(crate) cancelled: Arc<Notify>,
}

impl Default for Stepped {
    fn default() -> Self {
        Self { go: Arc::new(Semaphore::new(0)), cancelled: Arc::default() }
    }
}

impl Stepped {
    pub(crate) fn go(&self) {
        self.go.add_permits(1);
    }

    pub(crate) fn offer(&self, job: Job) {
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

pub(crate) fn start(url: &str, miner: impl Fn(Job) + Send + Sync + 'static) -> MinerClient {
    MinerClient::start(config(url), miner).unwrap()
}

/// Fails a test that hangs.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("nothing happened for 20 s")
}

/// The pieces of a stream with their numbers, and its end.
pub(crate) async fn read(task: &Submission) -> (Vec<(u64, String)>, Result<Arc<Completion>>) {
    let mut stream = task.stream();
    let mut pieces = Vec::new();
    loop {
        for event in within(stream.next_batch()).await.expect("no end") {
            match event {
                StreamEvent::Token { seq, text, .. } => pieces.push((seq, text)),
                StreamEvent::End(end) => return (pieces, end),
                other @ StreamEvent::Restart { .. } => panic!("{other:?}"),
            }
        }
    }
}

/// The whole text of a stream that has no gap and nothing twice, and whose end says the same.
pub(crate) async fn whole(task: &Submission) -> String {
    let (pieces, end) = read(task).await;
    let numbers: Vec<u64> = pieces.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (1..=pieces.len() as u64).collect::<Vec<_>>());
    let text: String = pieces.into_iter().map(|(_, text)| text).collect();
    assert_eq!(end.unwrap().answer.text, text);
    text
}
