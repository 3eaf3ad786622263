//! A miner that dials out to a router: behind NAT, without an open port, with any [`Miner`] as its backend.
//!
//! ```no_run
//! use cortensor_router::miner::Job;
//! use cortensor_router::miner::client::{MinerClient, MinerClientConfig};
//! use cortensor_router::model::Answer;
//!
//! # async fn run() -> cortensor_router::Result<()> {
//! let token = std::env::var("CORTENSOR_TOKEN").unwrap_or_default();
//! let config = MinerClientConfig::new("wss://router.example", "shout-1").token(token).capacity(4);
//! let client = MinerClient::start(config, |job: Job| {
//!     job.emit(job.prompt().to_uppercase());
//!     job.finish(Answer::default());
//! })?;
//! client.drain(std::time::Duration::from_secs(30)).await;
//! # Ok(())
//! # }
//! ```
//!
//! A miner keeps a finished answer until the router has reported its fate. A broken connection therefore loses no work:
//! the next connection continues all attempts.

mod assignment;
mod backoff;
mod config;
mod connect;
pub(crate) mod desk;
mod key_file;
mod stats;
mod surroundings;
mod target;

pub use config::MinerClientConfig;
pub use stats::MinerClientStats;
#[doc(hidden)]
pub use surroundings::Surroundings;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::backoff::Backoff;
use self::connect::Dialler;
use self::desk::Desk;
use self::target::Target;
use super::Miner;
use super::link::{self, Link, Timing};
use super::network::System;
use super::protocol::frame::Resume;
use crate::{ErrorKind, Result};

/// The time after which a connection counts as good. After a good connection, the wait before the next one is short.
const GOOD: Duration = Duration::from_secs(10);

/// A miner that dials out to a router. Dropping it ends the connection and cancels the work; use [`drain`](Self::drain)
/// to let the work finish.
pub struct MinerClient {
    miner_id: String,
    desk: Arc<Desk>,
    stop: CancellationToken,
    /// Cancelled when the miner's task has ended.
    ended: CancellationToken,
}

impl std::fmt::Debug for MinerClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MinerClient").field("miner_id", &self.miner_id).finish_non_exhaustive()
    }
}

impl MinerClient {
    /// Starts the miner on the current tokio runtime. It connects, and reconnects, until it is drained or closed.
    /// [`stats`](Self::stats) and the log show why a connection failed.
    ///
    /// # Errors
    /// `InvalidArgument` names the field.
    ///
    /// # Panics
    /// Outside of a tokio runtime with its timer and I/O enabled.
    pub fn start(config: MinerClientConfig, miner: impl Miner) -> Result<Self> {
        Self::start_in(config, miner, Arc::new(System))
    }

    /// Starts the miner as [`start`](Self::start) does, on a network and with random numbers of the caller.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    ///
    /// # Panics
    /// Outside of a tokio runtime with its timer enabled.
    #[doc(hidden)]
    pub fn start_in(config: MinerClientConfig, miner: impl Miner, surroundings: Arc<dyn Surroundings>) -> Result<Self> {
        config.validate()?;
        let targets = config.routers.iter().map(|router| Target::parse(router)).collect::<Result<Vec<_>>>()?;
        let dialler = Dialler::new(&config, surroundings)?;
        let miner_id = dialler.miner_id(&config);
        let desk = Desk::new(Arc::new(miner), config.capacity, config.models.clone(), Box::new(|_, _| true), false);
        let stop = CancellationToken::new();
        let work = run(config, targets, dialler, Arc::clone(&desk), stop.clone());
        let ended = CancellationToken::new();
        let end = ended.clone().drop_guard();
        tokio::spawn(async move {
            work.await;
            drop(end);
        });
        Ok(Self { miner_id, desk, stop, ended })
    }

    /// The miner's counts and the state of its connection.
    pub fn stats(&self) -> MinerClientStats {
        MinerClientStats {
            miner_id: self.miner_id.clone(),
            draining: self.desk.is_draining(),
            capacity: self.desk.capacity(),
            in_flight: self.desk.in_flight() as u64,
            ..self.desk.counters.read()
        }
    }

    /// Sets the maximum number of concurrent tasks: from 0 (for a backend that is down) to the `capacity` of the
    /// configuration.
    pub fn set_capacity(&self, capacity: u32) {
        self.desk.set_capacity(capacity);
    }

    /// Sets the models that the miner serves from now on. The miner reconnects to announce them; its attempts continue.
    pub fn set_models(&self, models: Vec<String>) {
        if self.desk.set_models(models) {
            self.desk.hang_up("the models changed");
        }
    }

    /// Takes no new tasks, finishes the present ones, and closes, at the latest after `timeout`. `true`: all tasks were
    /// finished and the router has their answers.
    pub async fn drain(&self, timeout: Duration) -> bool {
        self.desk.drain(timeout.as_millis() as u64);
        let done = tokio::time::timeout(timeout, self.desk.idle()).await.is_ok();
        self.close().await;
        done
    }

    /// Ends the connection, cancels the work, and waits for the end. A second call waits, too.
    pub async fn close(&self) {
        self.desk.stop_all();
        self.desk.say_bye("the miner is shutting down");
        self.stop.cancel();
        // The task ends by itself now. If it panicked, the panic hook has reported that.
        let _ = tokio::time::timeout(Duration::from_secs(5), self.ended.cancelled()).await;
    }
}

impl Drop for MinerClient {
    fn drop(&mut self) {
        self.desk.stop_all();
        self.stop.cancel();
    }
}

/// Connects and reconnects until `stop` is cancelled.
async fn run(
    config: MinerClientConfig,
    targets: Vec<Target>,
    dialler: Dialler,
    desk: Arc<Desk>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::new(config.reconnect_base_ms, config.reconnect_max_ms);
    let mut index = 0;
    while !stop.is_cancelled() {
        let target = &targets[index % targets.len()];
        match connection(&config, target, &dialler, &desk, &stop).await {
            // The router of the last connection comes first, because it may still hold this miner's attempts.
            Next::Same { good: true } => backoff.reset(),
            Next::Same { good: false } => {}
            Next::Other => index += 1,
            Next::End => return,
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(backoff.next(dialler.chance())) => {}
        }
    }
}

/// The choice of the next router.
enum Next {
    Same { good: bool },
    Other,
    End,
}

/// Runs one connection, from dialling to its end.
async fn connection(
    config: &MinerClientConfig,
    target: &Target,
    dialler: &Dialler,
    desk: &Arc<Desk>,
    stop: &CancellationToken,
) -> Next {
    let models = desk.models();
    let dial = dialler.dial(target, config, &models, Resume { inflight: desk.held() });
    let patience = Duration::from_millis(config.connect_timeout_ms);
    let outcome = tokio::select! {
        () = stop.cancelled() => return Next::End,
        outcome = tokio::time::timeout(patience, dial) => outcome,
    };
    let outcome = outcome.unwrap_or_else(|_| {
        Err(crate::Error::new(
            ErrorKind::Timeout,
            format!("{}: not welcomed within {} ms", target.url(), config.connect_timeout_ms),
        ))
    });
    let (socket, welcome) = match outcome {
        Ok(welcomed) => welcomed,
        Err(error) => {
            tracing::warn!(%error, "the router cannot be reached or does not take the miner");
            desk.counters.disconnected(target.url(), error.message().to_owned());
            return Next::Other;
        }
    };
    let link = Arc::new(Link::new(config.write_buffer_bytes));
    let since = Instant::now();
    desk.attach(&link, &welcome);
    desk.counters.connected(target.url());
    tracing::info!(router = target.url(), resumed = welcome.adopt.len(), "connected");
    let timing = Timing {
        ping: Duration::from_millis(welcome.intervals.ping_ms.max(1)),
        dead: Duration::from_millis(welcome.intervals.dead_ms.max(1)),
    };
    let end = {
        let running = link::run(socket, &link, &**desk, timing);
        tokio::pin!(running);
        tokio::select! {
            end = &mut running => end,
            () = stop.cancelled() => {
                // Frames that are already queued are still sent; `bye` is the last one.
                link.close(1001, "the miner is shutting down");
                let _ = tokio::time::timeout(Duration::from_secs(2), running).await;
                desk.detach();
                return Next::End;
            }
        }
    };
    let refusal = desk.detach();
    let why = refusal.as_ref().map_or_else(|| end.fault().to_owned(), |error| error.message.clone());
    tracing::info!(router = target.url(), %why, "the connection ended");
    desk.counters.disconnected(target.url(), why);
    if refusal.is_some_and(|error| error.code == "replaced") {
        tracing::error!("another miner with the same identity took over: give each miner its own name or key");
    }
    Next::Same { good: since.elapsed() >= GOOD }
}
