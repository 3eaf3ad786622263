//! The shared state of all handles of one embedded router: the router, its runtime, and the host's callbacks.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::Dispatch;

use super::Call;
use super::callback::{self, Callback};
use super::log::LogWorker;
use super::park;
use super::process::{Bound, Origin};
use crate::config::RuntimeConfig;
use crate::{Error, ErrorKind, Result};

pub(super) struct Host {
    origin: Origin,
    router: Bound<crate::Router>,
    handle: Handle,
    runtime: Bound<Mutex<Option<Runtime>>>,
    open: Bound<Mutex<Open>>,
    log: Bound<Option<LogWorker>>,
}

/// The callbacks and listeners that a shutdown must end.
#[derive(Default)]
struct Open {
    closed: bool,
    /// Tells when the router's own work has ended; `None`: no shutdown has begun.
    closing: Option<watch::Receiver<bool>>,
    next: u64,
    callbacks: BTreeMap<u64, Arc<dyn Quiesce>>,
    /// The miners among the callbacks, by their names.
    miners: BTreeMap<Arc<str>, u64>,
    listeners: Vec<(CancellationToken, JoinHandle<()>)>,
}

/// A callback of any kind.
pub(super) trait Quiesce: Send + Sync {
    fn retire(&self);
    fn close(&self, timeout: Option<Duration>) -> bool;
}

impl<T: ?Sized + Send + Sync> Quiesce for Callback<T> {
    fn retire(&self) {
        self.retire();
    }

    fn close(&self, timeout: Option<Duration>) -> bool {
        self.close(timeout)
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// Makes a runtime for one router; its threads log to `log`.
pub(super) fn runtime(config: &RuntimeConfig, log: Option<&LogWorker>) -> Result<Runtime> {
    let mut builder = Builder::new_multi_thread();
    builder
        .worker_threads(config.workers())
        .max_blocking_threads(config.callback_threads)
        .thread_name("cortensor-router")
        .enable_all();
    if let Some(log) = log {
        let dispatch = log.dispatch().clone();
        builder.on_thread_start(move || super::log::set_for_thread(&dispatch));
    }
    builder.build().map_err(|error| {
        Error::new(ErrorKind::Unavailable, format!("the system gives no threads for the router: {error}"))
    })
}

impl Host {
    pub(super) fn new(router: crate::Router, runtime: Runtime, log: Option<LogWorker>) -> Arc<Self> {
        Arc::new(Self {
            origin: Origin::here(),
            router: Bound::new(router),
            handle: runtime.handle().clone(),
            runtime: Bound::new(Mutex::new(Some(runtime))),
            open: Bound::new(Mutex::default()),
            log: Bound::new(log),
        })
    }

    pub(super) fn check_process(&self) -> Result<()> {
        self.origin.check()
    }

    /// The router.
    ///
    /// # Errors
    /// `Closed` if the router is closed, or if this is a forked child process.
    pub(super) fn router(&self) -> Result<&crate::Router> {
        self.check_process()?;
        if self.open.lock().closed {
            return Err(closed());
        }
        Ok(&self.router)
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.handle
    }

    /// Runs an operation on the router's threads. The operation continues if the call is dropped.
    pub(super) fn call<T, F>(&self, work: impl FnOnce(crate::Router) -> F) -> Call<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        match self.router() {
            Ok(router) => Call::spawn(&self.handle, work(router.clone())),
            Err(error) => Call::ready(Err(error)),
        }
    }

    /// Runs an operation that only waits. The operation ends if the call is dropped.
    pub(super) fn watch<T, F>(&self, work: impl FnOnce(crate::Router) -> F) -> Call<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        match self.router() {
            Ok(router) => Call::watch(&self.handle, work(router.clone())),
            Err(error) => Call::ready(Err(error)),
        }
    }

    /// Starts an operation on this thread. The operation continues if the call is dropped.
    pub(super) fn visit<T, F>(&self, work: impl FnOnce(crate::Router) -> F) -> Call<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        match self.router() {
            Ok(router) => Call::visit(&self.handle, self.dispatch(), work(router.clone())),
            Err(error) => Call::ready(Err(error)),
        }
    }

    /// Starts an operation on this thread that only waits, and that may be ready at once. The operation ends if the
    /// call is dropped.
    pub(super) fn look<T, F>(&self, work: impl FnOnce(crate::Router) -> F) -> Call<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        match self.router() {
            Ok(router) => Call::look(&self.handle, self.dispatch(), work(router.clone())),
            Err(error) => Call::ready(Err(error)),
        }
    }

    /// The router's log.
    fn dispatch(&self) -> Option<&Dispatch> {
        self.log.as_ref().map(LogWorker::dispatch)
    }

    /// Registers a callback that a shutdown must end. Returns the number of the registration.
    pub(super) fn keep(&self, callback: Arc<dyn Quiesce>) -> Result<u64> {
        self.check_process()?;
        let mut open = self.open.lock();
        if open.closed {
            return Err(closed());
        }
        let id = open.next;
        open.next += 1;
        open.callbacks.insert(id, callback);
        Ok(id)
    }

    /// Notes that the callback with that number is the miner of that name.
    pub(super) fn named(&self, name: &str, id: u64) {
        self.open.lock().miners.insert(Arc::from(name), id);
    }

    /// Releases the callback of the miner of that name, which the router has removed. A callback that still runs stays
    /// registered, so that a shutdown waits for it.
    pub(super) fn retire(&self, name: &str) {
        let found = {
            let mut open = self.open.lock();
            open.miners.remove(name).and_then(|id| Some((id, open.callbacks.get(&id)?.clone())))
        };
        if let Some((id, callback)) = found
            && callback.close(Some(Duration::ZERO))
        {
            self.forget(id);
        }
    }

    /// Removes the registration of a callback that has ended.
    pub(super) fn forget(&self, id: u64) {
        let mut open = self.open.lock();
        open.callbacks.remove(&id);
        open.miners.retain(|_, miner| *miner != id);
    }

    /// Registers a running listener that a shutdown must stop.
    pub(super) fn keep_listener(&self, stop: CancellationToken, serving: JoinHandle<()>) -> Result<()> {
        let mut open = self.open.lock();
        if open.closed {
            stop.cancel();
            return Err(closed());
        }
        open.listeners.retain(|(_, serving)| !serving.is_finished());
        open.listeners.push((stop, serving));
        Ok(())
    }

    /// Begins to close the router and its listeners, once. Every shutdown waits for this one end.
    fn begin_closing(&self) -> watch::Receiver<bool> {
        let mut open = self.open.lock();
        open.closed = true;
        if let Some(closing) = &open.closing {
            return closing.clone();
        }
        let listeners = std::mem::take(&mut open.listeners);
        let (tell, closing) = watch::channel(false);
        open.closing = Some(closing.clone());
        drop(open);
        let router = self.router.clone();
        self.handle.spawn(async move {
            for (stop, _) in &listeners {
                stop.cancel();
            }
            // Running tasks are cancelled first, so that the listeners' streams end and the listeners need not wait.
            router.close().await;
            for (_, serving) in listeners {
                let _ = serving.await;
            }
            // Nobody may wait any more.
            let _ = tell.send(true);
        });
        closing
    }

    /// Ends the router, its listeners, its callbacks and its runtime. See
    /// [`Router::shutdown`](super::Router::shutdown).
    pub(super) fn shutdown(&self, timeout: Option<Duration>) -> Result<()> {
        self.check_process()?;
        callback::outside("shutdown")?;
        super::call::may_block(Some(&self.handle))?;
        if self.runtime.lock().is_none() {
            return Ok(());
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let mut closing = self.begin_closing();
        // The end is told even if the work panics, since that drops the sender.
        if park::wait(left(), closing.wait_for(|ended| *ended)).is_none() {
            return Err(unfinished("the router's own work"));
        }
        // A callback that has not ended stays registered, so that the next try waits for it.
        let callbacks = self.open.lock().callbacks.clone();
        for (id, callback) in callbacks {
            if !callback.close(left()) {
                return Err(unfinished("a callback of the host program"));
            }
            self.forget(id);
        }
        if let Some(log) = &*self.log
            && !log.close(left())
        {
            return Err(unfinished("the log sink"));
        }
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
        Ok(())
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the router is closed: open a new one")
}

fn unfinished(what: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("{what} had not ended within the time: call shutdown again to wait for it"))
        .with_code("shutdown_timeout")
}

impl Drop for Host {
    /// Ends a router that was not shut down: cancels running work without waiting for it.
    fn drop(&mut self) {
        if !self.origin.is_here() {
            return;
        }
        let Some(runtime) = self.runtime.lock().take() else { return };
        let open = std::mem::take(&mut *self.open.lock());
        open.callbacks.values().for_each(|callback| callback.retire());
        let router = self.router.clone();
        let handle = runtime.handle().clone();
        // A thread of its own closes the router, so that pending rows are written and miners are told to stop.
        let ending = std::thread::Builder::new().name("cortensor-router-end".into()).spawn(move || {
            handle.block_on(async move {
                open.listeners.iter().for_each(|(stop, _)| stop.cancel());
                router.close().await;
            });
            runtime.shutdown_background();
        });
        if let Err(error) = ending {
            tracing::warn!(%error, "the router ends without closing its store: the system gives no thread");
        }
    }
}
