//! A miner of the host program that works for a remote router.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::{Handle, Runtime};

use super::call::may_block;
use super::callback::{self, Callback};
use super::host;
use super::log::LogWorker;
use super::miner::Port;
use super::process::{Bound, Origin};
use super::{Call, HostMiner, LogSink, json};
use crate::config::RuntimeConfig;
use crate::miner::client;
use crate::model::from_json;
use crate::{Error, ErrorKind, Result};

/// A miner of this program that dials in to a remote router. The miner reconnects if the connection breaks, and loses
/// no finished answer.
///
/// The miner has its own runtime and needs no [`Router`](super::Router) in this process. [`close`](Self::close) ends
/// the miner and waits for the host's callbacks. Dropping it cancels the work without waiting.
pub struct MinerClient {
    origin: Origin,
    handle: Handle,
    runtime: Bound<Mutex<Option<Runtime>>>,
    client: Bound<Arc<client::MinerClient>>,
    callback: Bound<Arc<Callback<dyn HostMiner>>>,
    log: Bound<Option<LogWorker>>,
}

impl std::fmt::Debug for MinerClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MinerClient").finish_non_exhaustive()
    }
}

impl MinerClient {
    /// Starts the miner. `config` is JSON with the fields of [`MinerClientConfig`](client::MinerClientConfig), of which
    /// `routers` and `name` are required, and with `runtime` as in a router's configuration.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; `Unavailable` if the system gives no threads.
    pub fn start(config: &str, miner: impl HostMiner, log: Option<LogSink>) -> Result<Self> {
        let mut given: serde_json::Value = json::parse("config", config)?;
        let runtime = given.as_object_mut().and_then(|given| given.remove("runtime"));
        let threads: RuntimeConfig = match runtime {
            None | Some(serde_json::Value::Null) => RuntimeConfig::default(),
            Some(runtime) => {
                crate::Config::from_json(&json::text(&serde_json::json!({ "runtime": runtime }))?)?.runtime
            }
        };
        let config: client::MinerClientConfig = from_json("config", json::text(&given)?.as_bytes())?;
        let log = LogWorker::start(log, &threads, None)?;
        let runtime = host::runtime(&threads, log.as_ref())?;
        let handle = runtime.handle().clone();
        let port = Port::new(miner, handle.clone());
        let callback = port.callback.clone();
        let started = {
            let _inside = handle.enter();
            client::MinerClient::start(config, port)
        };
        match started {
            Ok(client) => Ok(Self {
                origin: Origin::here(),
                handle,
                runtime: Bound::new(Mutex::new(Some(runtime))),
                client: Bound::new(Arc::new(client)),
                callback: Bound::new(callback),
                log: Bound::new(log),
            }),
            Err(error) => {
                callback.retire();
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// The miner's counts and the state of its connection, as JSON: `connected`, `router`, `last_error`, `in_flight`,
    /// `finished`, `committed` and others.
    ///
    /// # Errors
    /// `Closed` after a fork.
    pub fn stats(&self) -> Result<String> {
        self.origin.check()?;
        json::text(&self.client.stats())
    }

    /// Sets the maximum number of concurrent tasks, from 0 to the `capacity` of the configuration.
    ///
    /// # Errors
    /// `Closed` after a fork.
    pub fn set_capacity(&self, tasks: u32) -> Result<()> {
        self.origin.check()?;
        self.client.set_capacity(tasks);
        Ok(())
    }

    /// Takes no new tasks, finishes the present ones, and closes. `true`: all tasks were finished within `timeout`, and
    /// the router has their answers.
    pub fn drain(&self, timeout: Duration) -> Call<bool> {
        if let Err(error) = self.open() {
            return Call::ready(Err(error));
        }
        let client = Arc::clone(&self.client);
        Call::spawn(&self.handle, async move { Ok(client.drain(timeout).await) })
    }

    /// Closes the connection, cancels the work, and waits for the running callbacks of the host. After it has
    /// succeeded, further calls do nothing.
    ///
    /// # Errors
    /// `WouldDeadlock` inside a callback; `Timeout` if the end takes longer than `timeout`: another call continues to
    /// wait.
    pub fn close(&self, timeout: Option<Duration>) -> Result<()> {
        self.origin.check()?;
        callback::outside("close")?;
        may_block(Some(&self.handle))?;
        if self.runtime.lock().is_none() {
            return Ok(());
        }
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let client = Arc::clone(&self.client);
        let mut closing = Call::spawn(&self.handle, async move {
            client.close().await;
            Ok(())
        });
        let ended = closing.wait_for(left()).is_some()
            && self.callback.close(left())
            && self.log.as_ref().is_none_or(|log| log.close(left()));
        if !ended {
            return Err(Error::new(
                ErrorKind::Timeout,
                "the miner had not ended within the time: call close again to wait for it",
            )
            .with_code("shutdown_timeout"));
        }
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
        Ok(())
    }

    fn open(&self) -> Result<()> {
        self.origin.check()?;
        if self.runtime.lock().is_none() {
            return Err(Error::new(ErrorKind::Closed, "the miner is closed: start a new one"));
        }
        Ok(())
    }
}

impl Drop for MinerClient {
    fn drop(&mut self) {
        if !self.origin.is_here() {
            return;
        }
        if let Some(runtime) = self.runtime.lock().take() {
            self.callback.retire();
            runtime.shutdown_background();
        }
    }
}
