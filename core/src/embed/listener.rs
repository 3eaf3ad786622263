//! The HTTP listener as a host program starts it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::host::Host;
use super::{Call, json};
use crate::Result;
use crate::config::{Config, ListenConfig};

/// A handle of a listener. The listener serves until it is stopped or its router is shut down; dropping the handle does
/// not stop it.
#[derive(Debug)]
pub struct Listener {
    host: Arc<Host>,
    address: SocketAddr,
    posture: Vec<String>,
    stop: CancellationToken,
    ended: Mutex<watch::Receiver<bool>>,
}

/// The settings of `config`, or the router's own `listen` settings if `config` is blank.
pub(super) fn settings(router: &crate::Router, config: &str) -> Result<ListenConfig> {
    if config.trim().is_empty() {
        return Ok(router.config().listen.clone());
    }
    let given: serde_json::Value = json::parse("listen", config)?;
    Ok(Config::from_json(&json::text(&serde_json::json!({ "listen": given }))?)?.listen)
}

impl Listener {
    pub(super) fn start(host: &Arc<Host>, config: &str) -> Call<Self> {
        let settings = match host.router().and_then(|router| settings(router, config)) {
            Ok(settings) => settings,
            Err(error) => return Call::ready(Err(error)),
        };
        let host = host.clone();
        let keeper = host.clone();
        host.call(move |router| async move {
            let listener = crate::listener::Listener::bind(router.clone(), settings).await?;
            let (address, posture) = (listener.local_addr(), listener.posture());
            router.announce(&listener.url())?;
            let stop = CancellationToken::new();
            let (tell, ended) = watch::channel(false);
            let stopped = stop.clone();
            let serving = tokio::spawn(async move {
                if let Err(error) = listener.run(stopped.cancelled()).await {
                    tracing::error!(%error, "the listener ended by itself");
                }
                let _ = tell.send(true);
            });
            keeper.keep_listener(stop.clone(), serving)?;
            Ok(Self { host: keeper, address, posture, stop, ended: Mutex::new(ended) })
        })
    }

    /// The address of the listener, for example `127.0.0.1:5010`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The open surfaces and how each one is protected, one line each.
    pub fn posture(&self) -> &[String] {
        &self.posture
    }

    /// Takes no new connections and waits until running requests have ended, at most for `listen.drain_timeout_ms`.
    /// Requests that still run then are answered with 503 `closed`; streams get that as their last event. Miners that
    /// dialled in here finish what they have within that time and are told to go.
    pub fn stop(&self) -> Call<()> {
        self.stop.cancel();
        self.ended()
    }

    /// Resolves when the listener has ended for any reason. [`Call::wait`] blocks a thread until then.
    pub fn ended(&self) -> Call<()> {
        if let Err(error) = self.host.check_process() {
            return Call::ready(Err(error));
        }
        let mut ended = self.ended.lock().clone();
        if *ended.borrow() {
            return Call::ready(Ok(()));
        }
        let wait = async move {
            let _ = ended.wait_for(|ended| *ended).await;
            Ok(())
        };
        // A router that was closed has ended its listeners.
        Call::watch(self.host.runtime(), wait).or(|| Ok(()))
    }

    /// Stops the listener and blocks until it has ended, at most for `timeout`: a short form of [`stop`](Self::stop).
    ///
    /// # Errors
    /// `Timeout` if requests still run after `timeout`; `Closed` after a fork.
    pub fn stop_within(&self, timeout: Option<Duration>) -> Result<()> {
        self.stop().wait_for(timeout).unwrap_or_else(|| {
            Err(crate::Error::new(crate::ErrorKind::Timeout, "requests of the listener had not ended within the time"))
        })
    }
}
