//! The shared state of all handles of one router.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::clock::Clock;
use super::commits::OfStore;
use super::core::Core;
use super::fleet::Membership;
use super::in_force::InForce;
use super::key_ring::KeyRing;
use super::memory::Memory;
use super::meters::Meters;
use super::metrics::Metrics;
use super::outbox::Outbox;
use super::reload::{Followers, Source};
use super::servers::Servers;
use super::spans::SpanSink;
use super::unwritten::UnwrittenEnds;
use crate::damper::Damper;
use crate::miner::Network;
#[cfg(feature = "listener")]
use crate::reach::Reach;
#[cfg(feature = "listener")]
use crate::store::UpstreamRecord;
use crate::store::{MinerRecord, Store};

/// A handle of a router. A clone is cheap and refers to the same router. Call [`close`](Router::close) at the end.
#[derive(Clone)]
pub struct Router {
    pub(super) shared: Arc<Shared>,
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("name", &self.shared.settings.now().name).finish_non_exhaustive()
    }
}

pub(super) struct Shared {
    /// The configuration in force.
    pub(super) settings: InForce,
    /// The function that reads the configuration again, if the program gave one.
    pub(super) source: Mutex<Option<Source>>,
    pub(super) followers: Followers,
    /// The ends of tasks on their way to webhooks.
    pub(super) outbox: Outbox,
    /// Held while upstreams or the configuration change, so that no change undoes another.
    pub(super) upstream_changes: tokio::sync::Mutex<()>,
    /// The addresses that managed upstreams may have.
    #[cfg(feature = "listener")]
    pub(super) reach: Arc<Reach>,
    /// The managed upstreams, by name.
    #[cfg(feature = "listener")]
    pub(super) managed: Mutex<BTreeMap<String, UpstreamRecord>>,
    pub(super) store: Arc<dyn Store>,
    pub(super) runtime: Handle,
    pub(super) clock: Clock,
    pub(super) core: Mutex<Core>,
    pub(super) metrics: Metrics,
    /// The metrics of the store; `None`: it writes each thing at once.
    pub(super) commits: Option<OfStore>,
    pub(super) memory: Arc<Memory>,
    /// The receiver of the spans of tasks; `None`: nobody wants them.
    pub(super) spans: Option<Arc<dyn SpanSink>>,
    pub(super) keys: Arc<KeyRing>,
    /// The meters of sessions with limits.
    pub(super) session_meters: Meters,
    /// Whether an upstream speaks the Messages API, and whether one speaks the Responses API.
    pub(super) speaks_messages: AtomicBool,
    pub(super) speaks_responses: AtomicBool,
    /// The network on which upstreams are dialled; `None`: the operating system's.
    pub(super) network: Option<Arc<dyn Network>>,
    /// The program that supervises model servers, with its first arguments; `None`: the program is not the command.
    pub(super) supervisor: Option<Arc<[OsString]>>,
    /// The model servers that the router starts itself.
    pub(super) servers: Servers,
    /// Limits the warnings that no miner is up.
    pub(super) deserted: Mutex<Damper>,
    /// The store's records of miners, by id.
    pub(super) known: Mutex<BTreeMap<String, MinerRecord>>,
    /// The time for which the timer is set, in Unix milliseconds; `u64::MAX` while no timer is set.
    pub(super) armed: AtomicU64,
    pub(super) rearm: Notify,
    pub(super) draining: AtomicBool,
    pub(super) closed: AtomicBool,
    /// Notified whenever a task ends.
    pub(super) ended: Notify,
    /// The ends that the store has refused.
    pub(super) unwritten: UnwrittenEnds,
    pub(super) next_session: AtomicU64,
    /// Held from reading a session until its change is in the store and in memory, so that no change undoes another.
    pub(super) session_changes: tokio::sync::Mutex<()>,
    /// Counts the requests that named no session, which take the sessions of `completion_sessions` in turn.
    pub(super) turn: AtomicU64,
    /// Background work that the close waits for.
    pub(super) background: TaskTracker,
    /// Cancelled when the router closes.
    pub(super) stop: tokio_util::sync::CancellationToken,
    /// Cancelled when the router starts to drain.
    pub(super) drain_started: tokio_util::sync::CancellationToken,
    /// The newest lines of the log.
    #[cfg(feature = "listener")]
    pub(super) log: Arc<crate::log::LogRing>,
    /// The knowledge of the other routers; `None`: the store is this one's own.
    pub(super) membership: Option<Membership>,
    #[cfg(feature = "listener")]
    pub(super) remotes: super::seats::Remotes,
}
