//! A miner of the host program that works for a distant router.

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

/// Dials a router and serves it with a miner of this program. It connects again if the connection breaks, and loses
/// no finished answer.
///
/// It has a runtime of its own and needs no [`Router`](super::Router) here. [`close`](Self::close) ends it and waits
/// for the host's callbacks. If it is dropped without that, its work is cancelled and nothing is waited for.
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
    /// Starts it. `config` is JSON: `routers` and `name` are needed, the other fields are those of
    /// [`MinerClientConfig`](client::MinerClientConfig), and `runtime` is as in a router's configuration.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; `Unavailable` when the system gives no threads.
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
        let log = LogWorker::start(log, &threads)?;
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

    /// Its counts and its connection, as JSON: `connected`, `router`, `last_error`, `in_flight`, `finished`,
    /// `committed` and others.
    ///
    /// # Errors
    /// `Closed` after a fork.
    pub fn stats(&self) -> Result<String> {
        self.origin.check()?;
        json::text(&self.client.stats())
    }

    /// Sets how many tasks it takes at a time from now on, at most the `capacity` it was started with.
    ///
    /// # Errors
    /// `Closed` after a fork.
    pub fn set_capacity(&self, tasks: u32) -> Result<()> {
        self.origin.check()?;
        self.client.set_capacity(tasks);
        Ok(())
    }

    /// Takes no new tasks, finishes those that it has, and leaves. `true`: all were finished within `timeout`, and
    /// the router has them.
    pub fn drain(&self, timeout: Duration) -> Call<bool> {
        if let Err(error) = self.open() {
            return Call::ready(Err(error));
        }
        let client = Arc::clone(&self.client);
        Call::spawn(&self.handle, async move { Ok(client.drain(timeout).await) })
    }

    /// Closes its connection, cancels its work, and waits for the host's callbacks under way. A second call does
    /// nothing.
    ///
    /// # Errors
    /// `WouldDeadlock` from inside of a callback; `Timeout` when something had not ended within `timeout`: another call goes on waiting.
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
