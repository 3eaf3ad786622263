//! Opening a router, and closing it.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clock::Clock;
use super::commits::OfStore;
use super::core::Core;
use super::fleet::Membership;
use super::in_force::{InForce, Settings};
use super::key_ring::KeyRing;
use super::live::{Live, wake};
use super::memory::Memory;
use super::meters::{Meters, spent};
use super::metrics::Metrics;
use super::outbox::Outbox;
use super::recent::Recent;
use super::reload::Followers;
use super::servers::Servers;
use super::sessions::{STANDING, new_sid, standing};
use super::settings::engine_settings;
use super::shared::{Router, Shared};
use super::spans::SpanSink;
use super::unwritten::UnwrittenEnds;
use super::upstreams::Origin;
use crate::config::{Config, UpstreamConfig};
use crate::engine::{Engine, Event};
use crate::id_map::IdMap;
use crate::miner::{Miner, Network};
use crate::model::{Day, Gid, MinerSpec, Session, TaskId};
#[cfg(feature = "listener")]
use crate::reach::Reach;
use crate::store::{
    Durability, GID_BITS, MemoryStore, MinerRecord, Recovery, SqliteOptions, SqliteStore, Store, UsageBy,
};
#[cfg(feature = "postgres")]
use crate::store::{PostgresOptions, PostgresStore};
use crate::{Error, ErrorKind, Result};

/// Opens a router step by step.
///
/// ```
/// use cortensor_router::miner::Job;
/// use cortensor_router::model::{Answer, MinerSpec, SessionId, TaskRequest};
/// use cortensor_router::{Config, Router, SubmitOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cortensor_router::Result<()> {
/// let router = Router::builder()
///     .config(Config::from_toml("[limits]\nmax_queued_tasks = 500")?)
///     .miner(MinerSpec::new("shout", 4), |job: Job| {
///         job.emit(job.prompt().to_uppercase());
///         job.finish(Answer::default());
///     })
///     .open()
///     .await?;
/// let task = router.submit(SessionId(0), TaskRequest::completion("hi"), SubmitOptions::default()).await?;
/// assert_eq!(task.result().await?.answer.text, "HI");
/// router.close().await;
/// # Ok(())
/// # }
/// ```
pub struct RouterBuilder {
    config: Config,
    store: Option<Arc<dyn Store>>,
    miners: Vec<(MinerSpec, Box<dyn Miner>)>,
    stand_in: bool,
    network: Option<Arc<dyn Network>>,
    spans: Option<Arc<dyn SpanSink>>,
    supervisor: Option<Arc<[OsString]>>,
    #[cfg(feature = "listener")]
    log: Option<Arc<crate::log::LogRing>>,
}

impl Miner for Box<dyn Miner> {
    fn offer(&self, job: crate::miner::Job) {
        (**self).offer(job);
    }
}

impl RouterBuilder {
    /// Sets the configuration. Default: [`Config::default`].
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Uses this store instead of the configured one. The interface of stores may change in any release.
    #[doc(hidden)]
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Dials upstreams on this network, without TLS, instead of the operating system's. Tests on simulated networks
    /// use it.
    #[doc(hidden)]
    #[must_use]
    pub fn network(mut self, network: Arc<dyn Network>) -> Self {
        self.network = Some(network);
        self
    }

    /// Names the program of the command `cortensor-router` and its arguments before a sub-command. It supervises the
    /// model servers that the router starts, unless `runtime.supervisor` names another. The project's own command uses
    /// it.
    #[doc(hidden)]
    #[must_use]
    pub fn supervisor(mut self, program: Vec<OsString>) -> Self {
        self.supervisor = Some(program.into());
        self
    }

    /// Gives the spans of tasks to this receiver. The project's own command uses it.
    #[doc(hidden)]
    #[must_use]
    pub fn spans(mut self, spans: Arc<dyn SpanSink>) -> Self {
        self.spans = Some(spans);
        self
    }

    /// Shows the lines of that ring at `GET /api/v1/logs`. Its owner fills it; the router sets its size. The project's
    /// own command and bindings use it.
    #[cfg(feature = "listener")]
    #[doc(hidden)]
    #[must_use]
    pub fn log_ring(mut self, ring: Arc<crate::log::LogRing>) -> Self {
        self.log = Some(ring);
        self
    }

    /// Adds a miner that is code of the host program.
    #[must_use]
    pub fn miner(mut self, spec: MinerSpec, miner: impl Miner) -> Self {
        self.miners.push((spec, Box::new(miner)));
        self
    }

    /// Adds an OpenAI-compatible server as a miner.
    #[must_use]
    pub fn upstream(mut self, upstream: UpstreamConfig) -> Self {
        self.config.upstreams.push(upstream);
        self
    }

    /// Lets the built-in miner `echo` answer until the first other miner of this store joins. From then on, `echo`
    /// never answers again, not after a restart either. Default: `echo` answers only if [`Config::echo`] is set.
    #[must_use]
    pub fn echo_at_first(mut self, stand_in: bool) -> Self {
        self.stand_in = stand_in;
        self
    }

    /// Opens the router: recovers what the store holds and starts to dispatch.
    ///
    /// # Errors
    /// `InvalidArgument` names a wrong setting; `Conflict` means that another process uses the data directory;
    /// `Unavailable` means that the store does not work.
    ///
    /// # Panics
    /// Outside of a tokio runtime with its timer enabled.
    pub async fn open(self) -> Result<Router> {
        #[cfg(feature = "listener")]
        let log = self.log;
        let Self { mut config, store, miners, stand_in, network, spans, supervisor, .. } = self;
        config.name_by_host();
        config.validate()?;
        #[cfg(feature = "listener")]
        let log = {
            let log = log.unwrap_or_else(|| Arc::new(crate::log::LogRing::new(0)));
            log.resize(config.log.recent_lines);
            log
        };
        if spans.is_none() && config.otel.target()?.is_some() {
            return Err(Error::invalid(
                "otel.endpoint",
                "this program cannot export spans: use a command cortensor-router that was built with the feature otel, or remove otel.endpoint, otel.traces_endpoint and the variables OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            ));
        }
        let named = config.runtime.supervisor.clone().map(|path| Arc::from([path.into_os_string()]));
        let supervisor = named.or(supervisor);
        let store = match store {
            Some(store) => store,
            None => open_store(&config).await?,
        };
        let mut recovery = store.recover().await?;
        if recovery.epoch >= 1 << 20 {
            return Err(Error::internal("the store was opened more than a million times: fences have run out"));
        }
        // Routers that share a store go by its clock, so that deadlines mean the same everywhere.
        let clock = recovery.now.map_or_else(Clock::new, Clock::at);
        let today = Day::of(clock.now());
        let used_up = spent(&*store, today, UsageBy::Key, None).await?;
        let keys = KeyRing::new(store.keys().await?, Meters::new(UsageBy::Key, clock, used_up));
        let used_up = if recovery.sessions.iter().any(|session| !session.spec.limits.is_none()) {
            spent(&*store, today, UsageBy::Session, None).await?
        } else {
            HashMap::new()
        };
        let session_meters = Meters::new(UsageBy::Session, clock, used_up);
        let known = store.miners().await?;
        let miners_are_new = known.is_empty();
        let known = known.into_iter().map(|record| (record.id.clone(), record)).collect();
        let mut written = Vec::new();
        for id in STANDING {
            let there = recovery.sessions.iter().any(|session| session.id == id);
            // A damaged row stays in the store, so that it can be repaired.
            if !there && !recovery.corrupt_sessions.contains(&id) {
                let session = Session::new(id, new_sid()?, standing(id)?, clock.now());
                written.push(store.put_session(session.clone(), None));
                recovery.sessions.push(session);
            }
        }
        for pending in written {
            pending.await?;
        }
        #[cfg(feature = "postgres")]
        let links = match store.fleet() {
            Some(_) => Box::pin(open_links(&config, network.clone())).await?,
            None => None,
        };
        let outside = Outside {
            network,
            #[cfg(feature = "postgres")]
            links,
            spans,
            supervisor,
            #[cfg(feature = "listener")]
            log,
        };
        let router = Router {
            shared: Arc::new(build(config, store, outside, (keys, session_meters), known, clock, &recovery)?),
        };
        let shared = &router.shared;
        shared.tell_reputations();
        for session in std::mem::take(&mut recovery.sessions) {
            shared.adopt_session(session);
        }
        {
            let mut core = shared.core.lock();
            let own = if shared.membership.is_some() { &[] } else { &recovery.last_task_ids[..] };
            for (session, last) in own {
                core.engine.resume_session(*session, *last);
            }
        }
        // Boxed, so that a router that shares nothing reserves no memory for it.
        Box::pin(shared.join_others()).await?;
        for (task, band) in std::mem::take(&mut recovery.unfinished) {
            shared.restore(&task, Some(band), 0);
        }
        for task in std::mem::take(&mut recovery.quarantined) {
            Box::pin(shared.quarantine(task)).await;
        }
        let config = router.config();
        if config.echo || stand_in && miners_are_new {
            let echo = shared.join_echo()?;
            let mut core = shared.core.lock();
            let place = if config.echo { &mut core.echo } else { &mut core.stand_in };
            *place = Some(echo.key);
        }
        for (spec, miner) in miners {
            router.add_miner(spec, miner)?;
        }
        for upstream in config.upstreams.clone() {
            router.attach_upstream(upstream, Origin::Config)?;
        }
        #[cfg(feature = "listener")]
        shared.restore_upstreams().await?;
        shared.background.spawn_on(shared.clone().keep_time(), &shared.runtime);
        shared.restore_deliveries().await?;
        shared.background.spawn_on(shared.clone().keep_house(), &shared.runtime);
        shared.background.spawn_on(shared.clone().keep_posting(), &shared.runtime);
        shared.background.spawn_on(shared.clone().write_again(), &shared.runtime);
        if shared.membership.is_some() {
            shared.background.spawn_on(shared.clone().keep_membership(), &shared.runtime);
            #[cfg(feature = "postgres")]
            shared.background.spawn_on(shared.clone().take_links(), &shared.runtime);
            #[cfg(feature = "postgres")]
            shared.background.spawn_on(shared.clone().keep_asking(), &shared.runtime);
        }
        Ok(router)
    }
}

async fn open_store(config: &Config) -> Result<Arc<dyn Store>> {
    let durability = config.storage.effective_durability();
    #[cfg(feature = "postgres")]
    if let Some(url) = &config.storage.url {
        return open_database(config, url.clone(), durability).await;
    }
    match &config.storage.data_dir {
        Some(dir) if durability != Durability::Memory => {
            let options = SqliteOptions::from(config);
            let dir = dir.clone();
            let store = tokio::task::spawn_blocking(move || SqliteStore::open_with(&dir, durability, options))
                .await
                .map_err(|e| Error::internal(format!("opening the store panicked: {e}")))??;
            Ok(Arc::new(store))
        }
        _ => {
            let retention = &config.retention;
            let bytes = retention.max_memory_bytes.map_or(0, u64::from);
            Ok(Arc::new(MemoryStore::with_rows(bytes, retention.max_usage_rows, retention.max_audit_rows)))
        }
    }
}

#[cfg(feature = "postgres")]
async fn open_database(config: &Config, url: String, durability: Durability) -> Result<Arc<dyn Store>> {
    let options = PostgresOptions::from(config);
    let store = tokio::task::spawn_blocking(move || PostgresStore::open(&url, durability, options))
        .await
        .map_err(|e| Error::internal(format!("opening the store panicked: {e}")))??;
    Ok(Arc::new(store))
}

/// Opens the door for the links of other routers. A router whose store is shared without a database meets the others on
/// the network that it was given, or not at all.
#[cfg(feature = "postgres")]
async fn open_links(
    config: &Config,
    network: Option<Arc<dyn Network>>,
) -> Result<Option<Arc<super::fleet::link::Links>>> {
    let system = config.storage.url.is_some().then(|| Arc::new(crate::miner::System) as Arc<dyn Network>);
    match network.or(system) {
        Some(network) => super::fleet::link::Links::open(config, network).await,
        None => Ok(None),
    }
}

/// The parts that tests and the command give the router beside its configuration.
struct Outside {
    network: Option<Arc<dyn Network>>,
    #[cfg(feature = "postgres")]
    links: Option<Arc<super::fleet::link::Links>>,
    spans: Option<Arc<dyn SpanSink>>,
    supervisor: Option<Arc<[OsString]>>,
    #[cfg(feature = "listener")]
    log: Arc<crate::log::LogRing>,
}

fn build(
    config: Config,
    store: Arc<dyn Store>,
    outside: Outside,
    (keys, session_meters): (Arc<KeyRing>, Meters),
    known: BTreeMap<String, MinerRecord>,
    clock: Clock,
    recovery: &Recovery,
) -> Result<Shared> {
    let mut settings = engine_settings(&config.dispatch, &config.limits, &config.fleet);
    settings.epoch = recovery.epoch.max(1);
    settings.first_gid = Gid(recovery.last_gid.0 + 1);
    let membership = Membership::of(&store, recovery, config.storage.lease_ms);
    #[cfg(feature = "postgres")]
    let membership = membership.map(|membership| membership.linked(outside.links));
    if membership.is_some() {
        let first = settings.epoch << GID_BITS;
        (settings.first_gid, settings.last_gid) = (Gid(first + 1), Gid(first + (1 << GID_BITS) - 1));
        settings.ids_in_blocks = true;
    }
    settings.first_task_id = TaskId(config.first_task_id);
    let metrics = Metrics::new();
    if let Some(membership) = &membership {
        membership.register(&metrics);
    }
    let commits = OfStore::register(&metrics, &*store);
    let memory = Memory::new(config.limits.max_memory_bytes);
    let outbox = Outbox::new(&config.webhooks)?;
    Ok(Shared {
        outbox,
        #[cfg(feature = "listener")]
        reach: Arc::new(Reach::new("listen.upstream_networks", &config.listen.upstream_networks)),
        #[cfg(feature = "listener")]
        managed: Mutex::default(),
        settings: InForce::new(Settings::of(config)),
        source: Mutex::default(),
        followers: Followers::default(),
        upstream_changes: tokio::sync::Mutex::default(),
        store,
        runtime: tokio::runtime::Handle::current(),
        clock,
        core: Mutex::new(Core {
            engine: Engine::new(settings),
            live: IdMap::default(),
            by_id: IdMap::default(),
            recent: Recent::default(),
            sessions: BTreeMap::new(),
            sids: HashMap::new(),
            corrupt_sessions: recovery.corrupt_sessions.iter().copied().collect(),
            miners: BTreeMap::new(),
            next_miner: 1,
            stand_in: None,
            echo: None,
            rerun_base: 0,
            elsewhere: HashMap::new(),
        }),
        metrics,
        commits,
        memory,
        keys,
        session_meters,
        known: Mutex::new(known),
        speaks_messages: AtomicBool::new(false),
        speaks_responses: AtomicBool::new(false),
        network: outside.network,
        spans: outside.spans,
        supervisor: outside.supervisor,
        servers: Servers::default(),
        deserted: Mutex::default(),
        armed: AtomicU64::new(0),
        rearm: Notify::new(),
        draining: AtomicBool::new(false),
        closed: AtomicBool::new(false),
        ended: Notify::new(),
        unwritten: UnwrittenEnds::default(),
        next_session: AtomicU64::new(recovery.last_session.0 + 1),
        session_changes: tokio::sync::Mutex::default(),
        turn: AtomicU64::new(0),
        background: TaskTracker::new(),
        stop: CancellationToken::new(),
        drain_started: CancellationToken::new(),
        membership,
        #[cfg(feature = "listener")]
        log: outside.log,
        #[cfg(feature = "listener")]
        remotes: super::seats::Remotes::default(),
    })
}

impl Shared {
    pub(super) fn closed_error() -> Error {
        Error::new(ErrorKind::Closed, "the router is closed or draining; it takes no new work")
    }

    /// The error of a task that the store has, while the router closes.
    pub(super) fn leaving_error(&self) -> Error {
        let goes_on = self.membership.as_ref().is_some_and(Membership::has_heirs);
        if goes_on { Self::moved_error() } else { Self::closed_error() }
    }

    /// The error of a task that another router goes on with.
    fn moved_error() -> Error {
        let words = "this router closes, and another one goes on with the task: ask there for the task with these ids, and \
                     resume its stream there";
        Error::new(ErrorKind::Closed, words).with_code("task_moved")
    }

    /// Ends the work on all tasks, because the router closes. A detached task that a durable store holds runs again at
    /// the next start; all others are cancelled. After a drain, waiting callers get their error at once.
    pub(super) fn end_tasks(self: &Arc<Self>, drained: bool) {
        let durable = self.store.durability() != Durability::Memory;
        let (others, wakers, deeds) = {
            // One lock, so that no task comes in between the look and the close, and no miner gets one.
            let mut core = self.core.lock();
            let live = core.live.values().filter(|live| live.state.lock().outcome.is_none()).cloned();
            // Callers of a task that another router goes on with find it there.
            let goes_on = drained && self.membership.as_ref().is_some_and(Membership::has_heirs);
            let (kept, others): (Vec<Arc<Live>>, Vec<_>) = live
                .partition(|live| durable && (live.detached.load(Ordering::Acquire) || goes_on && live.is_stored()));
            let told = if drained { others.as_slice() } else { &[] };
            let wakers: Vec<_> = kept
                .iter()
                .map(|live| (live, self.leaving_error()))
                .chain(told.iter().map(|live| (live, Self::closed_error())))
                .map(|(live, why)| live.turn_away(why))
                .collect();
            for live in &kept {
                live.detached.store(true, Ordering::Release);
            }
            let now = self.clock.now();
            let effects = core.engine.step(Event::Close(kept.iter().map(|live| live.spec.gid).collect()), now);
            (others, wakers, self.apply(&mut core, effects, now))
        };
        self.perform(deeds);
        wakers.into_iter().for_each(wake);
        for live in others {
            self.step(Event::Cancel(live.spec.gid));
        }
    }
}

impl Router {
    /// Starts a builder.
    pub fn builder() -> RouterBuilder {
        RouterBuilder {
            config: Config::default(),
            store: None,
            miners: Vec::new(),
            stand_in: false,
            network: None,
            spans: None,
            supervisor: None,
            #[cfg(feature = "listener")]
            log: None,
        }
    }

    /// Opens a router with this configuration.
    ///
    /// # Errors
    /// See [`RouterBuilder::open`].
    pub async fn open(config: Config) -> Result<Self> {
        Self::builder().config(config).open().await
    }

    /// Refuses new tasks from now on and waits until all present tasks have ended and the store has their ends, at most
    /// for `timeout`. `true`: all have ended. Tasks that have not ended continue until [`close`](Self::close).
    pub async fn drain(&self, timeout: Duration) -> bool {
        self.shared.draining.store(true, Ordering::Release);
        self.shared.drain_started.cancel();
        Box::pin(self.shared.retire()).await;
        let unfinished = || self.shared.core.lock().engine.unfinished() + self.shared.lent_slots();
        tracing::info!(unfinished = unfinished(), timeout_ms = timeout.as_millis() as u64, "the router drains");
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            let ended = self.shared.ended.notified();
            if unfinished() == 0 {
                tracing::info!("the router is drained: all tasks have ended");
                return true;
            }
            if tokio::time::timeout_at(deadline, ended).await.is_err() {
                let left = unfinished();
                tracing::warn!(unfinished = left, "the time to drain is up");
                return left == 0;
            }
        }
    }

    /// Ends the router: it tells the miners to stop, gives the waiting callers an error (`Closed` after a
    /// [`drain`](Self::drain) and for detached tasks of a durable store, else `Cancelled`), and closes the store.
    /// Unfinished tasks that are detached stay in a durable store and run again at the next start; other unfinished
    /// tasks are cancelled. A second call does nothing.
    pub async fn close(&self) {
        if self.shared.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let drained = self.shared.draining.swap(true, Ordering::AcqRel);
        self.shared.end_tasks(drained);
        self.shared.stop.cancel();
        self.shared.background.close();
        // From here, background work ends by itself: pending rows are written, and timers and probes stop.
        if tokio::time::timeout(Duration::from_secs(10), self.shared.background.wait()).await.is_err() {
            tracing::warn!("background work did not end within 10 s of the close");
        }
        if let Err(error) = self.shared.store.close().await {
            tracing::warn!(%error, "the store did not close cleanly");
        }
    }
}
