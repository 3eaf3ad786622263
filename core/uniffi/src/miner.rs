//! Miners of the program.

use std::sync::Arc;

use cortensor_router::embed::{HostMiner, Job, Miner};

use crate::error::Result;
use crate::mailbox::Post;

/// Passes jobs on to the program.
pub(crate) struct Courier {
    pub(crate) token: u64,
    pub(crate) post: Arc<Post>,
}

impl HostMiner for Courier {
    fn on_job(&self, job: Job) {
        self.post.offer(self.token, job);
    }

    fn is_quick(&self) -> bool {
        true
    }
}

/// A miner that was added.
#[derive(uniffi::Object)]
pub struct NativeMiner {
    pub(crate) miner: Miner,
}

#[uniffi::export]
impl NativeMiner {
    /// Stops new tasks for the miner, which finishes those that it has.
    pub fn drain(&self) -> Result<()> {
        Ok(self.miner.drain()?)
    }

    /// Sets how many tasks the miner takes at a time from now on.
    pub fn set_capacity(&self, tasks: u32) -> Result<()> {
        Ok(self.miner.set_capacity(tasks)?)
    }

    /// Ends the miner. Its callback only adds to the mailbox, so there is no wait.
    pub fn remove(&self) -> Result<()> {
        self.miner.remove(None)?;
        Ok(())
    }
}
