//! Miners in JavaScript.

use std::sync::Arc;

use cortensor_router::embed::{HostMiner, Job, Miner};
use napi_derive::napi;

use crate::bridge::{Event, Id, Queue};
use crate::error::{Result, throw};

/// Passes jobs on to the event loop.
pub(crate) struct Courier {
    pub(crate) id: Id,
    pub(crate) queue: Arc<Queue>,
}

impl HostMiner for Courier {
    fn on_job(&self, job: Job) {
        self.queue.push(Event::Job(self.id, job));
    }

    fn is_quick(&self) -> bool {
        true
    }
}

/// A miner that was added.
#[napi]
pub struct NativeMiner {
    pub(crate) miner: Miner,
}

#[napi]
impl NativeMiner {
    /// Stops new tasks for the miner, which finishes those that it has.
    #[napi(catch_unwind)]
    pub fn drain(&self) -> Result<()> {
        self.miner.drain().map_err(throw)
    }

    /// Sets how many tasks the miner takes at a time from now on.
    #[napi(catch_unwind)]
    pub fn set_capacity(&self, tasks: u32) -> Result<()> {
        self.miner.set_capacity(tasks).map_err(throw)
    }

    /// Ends the miner. Its callback only adds to a queue, so there is no wait.
    #[napi(catch_unwind)]
    pub fn remove(&self) -> Result<()> {
        self.miner.remove(None).map(drop).map_err(throw)
    }
}
