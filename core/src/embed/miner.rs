//! Miners of the host program.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::Job;
use super::callback::{self, Callback};
use super::host::Host;
use crate::model::MinerSpec;
use crate::router::MinerHandle;
use crate::{Result, miner};

/// The host's code that answers jobs. It is dropped once, after the last call has ended.
pub trait HostMiner: Send + Sync + 'static {
    /// Takes a job, on a thread of the router that may block. The host may keep the job and answer it later.
    fn on_job(&self, job: Job);

    /// Whether [`on_job`](Self::on_job) neither blocks nor calls the router, but only passes the job on. If so, it runs
    /// directly on the thread that dispatches, which saves a thread switch.
    fn is_quick(&self) -> bool {
        false
    }
}

impl<F: Fn(Job) + Send + Sync + 'static> HostMiner for F {
    fn on_job(&self, job: Job) {
        self(job);
    }
}

/// Makes a host's miner a [`Miner`](miner::Miner), which gets jobs from a router or from the client of a remote router.
pub(super) struct Port {
    pub(super) callback: Arc<Callback<dyn HostMiner>>,
    runtime: Handle,
    quick: bool,
}

impl Port {
    pub(super) fn new(miner: impl HostMiner, runtime: Handle) -> Self {
        let quick = miner.is_quick();
        Self { callback: Callback::<dyn HostMiner>::new(Arc::new(miner)), runtime, quick }
    }
}

impl miner::Miner for Port {
    fn offer(&self, offered: miner::Job) {
        let job = Job::new(offered, self.runtime.clone());
        if self.quick {
            self.callback.call(|host| host.on_job(job));
            return;
        }
        let callback = self.callback.clone();
        self.runtime.spawn_blocking(move || callback.call(|host| host.on_job(job)));
    }
}

/// A handle of a miner that was added. Dropping it changes nothing; [`remove`](Self::remove) removes the miner.
pub struct Miner {
    host: Arc<Host>,
    handle: MinerHandle,
    callback: Arc<Callback<dyn HostMiner>>,
    id: u64,
}

impl std::fmt::Debug for Miner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Miner").finish_non_exhaustive()
    }
}

impl Miner {
    pub(super) fn add(host: &Arc<Host>, spec: &str, miner: impl HostMiner) -> Result<Self> {
        let spec: MinerSpec = super::json::parse("miner", spec)?;
        let router = host.router()?;
        let port = Port::new(miner, host.runtime().clone());
        let callback = port.callback.clone();
        let id = host.keep(callback.clone())?;
        let name = spec.name.clone();
        match router.add_miner(spec, port) {
            Ok(handle) => {
                host.named(&name, id);
                Ok(Self { host: host.clone(), handle, callback, id })
            }
            Err(error) => {
                callback.retire();
                host.forget(id);
                Err(error)
            }
        }
    }

    /// Drains the miner: it gets no new tasks and finishes its present ones.
    ///
    /// # Errors
    /// `Closed` after a fork.
    pub fn drain(&self) -> Result<()> {
        self.host.check_process()?;
        self.handle.drain();
        Ok(())
    }

    /// Sets the maximum number of concurrent tasks.
    ///
    /// # Errors
    /// `Closed` after a fork.
    pub fn set_capacity(&self, tasks: u32) -> Result<()> {
        self.host.check_process()?;
        self.handle.set_credits(tasks);
        Ok(())
    }

    /// Removes the miner: other miners take over its tasks, and no further call of it starts. Waits for the running
    /// calls. `false`: they did not end within `timeout`.
    ///
    /// # Errors
    /// `WouldDeadlock` inside a callback; `Closed` after a fork.
    pub fn remove(&self, timeout: Option<Duration>) -> Result<bool> {
        self.host.check_process()?;
        callback::outside("remove")?;
        self.handle.remove();
        let ended = self.callback.close(timeout);
        if ended {
            self.host.forget(self.id);
        }
        Ok(ended)
    }
}
