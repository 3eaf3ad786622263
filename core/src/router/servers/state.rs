//! A model server that the router starts, as the router holds it.

use std::sync::Arc;
use std::sync::atomic::AtomicU16;
#[cfg(feature = "listener")]
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::plan::Phase;
use crate::config::UpstreamConfig;
use crate::miner::server::Launch;
use crate::model::{MinerStatus, Timestamp};

/// The greatest time between two starts of a server that fails.
const MOST_BACKOFF: Duration = Duration::from_mins(1);

/// The time for which a server must have been ready so that its earlier failures are forgotten.
const STEADY_MS: u64 = 60_000;

/// A server.
pub(in crate::router) struct Server {
    pub(super) name: Arc<str>,
    /// Servers of one group never run at the same time.
    pub(super) group: Option<Arc<str>>,
    /// Whether it runs only while there is work for it.
    pub(super) on_demand: bool,
    pub(super) idle_stop_ms: u64,
    pub(super) min_stay_ms: u64,
    pub(super) start_timeout: Duration,
    backoff: Duration,
    pub(super) launch: Launch,
    /// The port on which it listens; 0: it does not run.
    pub(super) port: Arc<AtomicU16>,
    /// Whether it shall run.
    pub(super) order: watch::Sender<bool>,
    pub(super) standing: Mutex<Standing>,
}

/// The changing state of a server.
pub(super) struct Standing {
    pub(super) phase: Phase,
    /// The reason of the phase, in words.
    pub(super) cause: String,
    /// The time at which the phase began.
    pub(super) since: Timestamp,
    /// The time at which it last had a task, as far as the router has looked.
    pub(super) busy_at: Timestamp,
    /// The attempts that it had had when the router last looked, and whether one was under way.
    pub(super) attempts: u64,
    pub(super) was_busy: bool,
    /// The milliseconds that its last start took.
    pub(super) took_ms: u64,
    /// The number of its starts.
    #[cfg(feature = "listener")]
    pub(super) starts: u64,
    /// The failures in a row.
    pub(super) failures: u32,
    /// The time from which on it may be started again.
    pub(super) retry_at: Timestamp,
}

impl Standing {
    /// The failures in a row. They are forgotten once the server has been ready for long enough.
    pub(super) fn failures_by(&self, now: Timestamp) -> u32 {
        let is_steady = self.phase == Phase::Ready && now.since(self.since) >= STEADY_MS;
        if is_steady { 0 } else { self.failures }
    }
}

impl Server {
    pub(in crate::router) fn new(config: &UpstreamConfig, launch: Launch, port: Arc<AtomicU16>) -> Arc<Self> {
        Arc::new(Self {
            name: Arc::from(config.miner_name()),
            group: config.group.as_deref().map(Arc::from),
            on_demand: config.is_on_demand(),
            idle_stop_ms: config.idle_stop_ms,
            min_stay_ms: config.min_stay_ms,
            start_timeout: Duration::from_millis(config.start_timeout_ms),
            backoff: Duration::from_millis(config.restart_backoff_ms),
            launch,
            port,
            order: watch::Sender::new(false),
            standing: Mutex::new(Standing {
                phase: Phase::Stopped,
                cause: "no task was there for it yet".to_owned(),
                since: Timestamp(0),
                busy_at: Timestamp(0),
                attempts: 0,
                was_busy: false,
                took_ms: 0,
                #[cfg(feature = "listener")]
                starts: 0,
                failures: 0,
                retry_at: Timestamp(0),
            }),
        })
    }

    /// The state of a miner whose server this is; `None`: it is ready, and others decide.
    pub(in crate::router) fn status(&self) -> Option<MinerStatus> {
        match self.standing.lock().phase {
            Phase::Stopped => Some(MinerStatus::Stopped),
            Phase::Starting => Some(MinerStatus::Starting),
            Phase::Ready => None,
            Phase::Stopping => Some(MinerStatus::Stopping),
            Phase::Failed => Some(MinerStatus::Failed),
        }
    }

    /// The port on which it listens, while it runs.
    #[cfg(feature = "listener")]
    pub(in crate::router) fn port(&self) -> Option<u16> {
        Some(self.port.load(Ordering::Relaxed)).filter(|port| *port != 0)
    }

    /// The reason why it gets no tasks at present; `None`: it is ready.
    pub(in crate::router) fn words(&self) -> Option<String> {
        let standing = self.standing.lock();
        let words = match standing.phase {
            Phase::Stopped => "it is stopped",
            Phase::Starting => "it starts",
            Phase::Ready => return None,
            Phase::Stopping => "it is being stopped",
            Phase::Failed => "it failed",
        };
        Some(if standing.cause.is_empty() { words.to_owned() } else { format!("{words}: {}", standing.cause) })
    }

    /// Begins a phase.
    pub(super) fn enter(&self, phase: Phase, cause: impl Into<String>, now: Timestamp) {
        let mut standing = self.standing.lock();
        (standing.phase, standing.cause, standing.since) = (phase, cause.into(), now);
        #[cfg(feature = "listener")]
        if phase == Phase::Starting {
            standing.starts += 1;
        }
        if phase == Phase::Ready {
            standing.busy_at = now;
        }
    }

    /// Notes a failure. Gives the number of failures in a row, and the milliseconds until it may be started again.
    pub(super) fn failed(&self, cause: &str, now: Timestamp) -> (u32, u64) {
        let mut standing = self.standing.lock();
        standing.failures = standing.failures_by(now).saturating_add(1);
        let doubled = self.backoff.saturating_mul(1 << (standing.failures - 1).min(16));
        let wait = doubled.min(MOST_BACKOFF.max(self.backoff)).as_millis() as u64;
        (standing.phase, standing.since, standing.retry_at) = (Phase::Failed, now, now.plus(wait));
        cause.clone_into(&mut standing.cause);
        (standing.failures, wait)
    }
}
