//! Threads of a router that a host program in another language embeds.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

documented! {
/// Threads of an embedded router (C, Python, Node.js). Rust programs bring their own runtime, and `serve` takes one
/// worker for each processor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// Threads that do the router's own work. Default 0: one for each processor, at most 4.
    #[serde(with = "super::absent")]
    pub worker_threads: Option<NonZeroUsize>,
    /// Callbacks of the host program that may run at a time, each on a thread of its own. Default 256.
    pub callback_threads: usize,
    /// The least level that the host's log sink gets: `off`, `error`, `warn`, `info`, `debug` or `trace`. Default
    /// `info`.
    pub log_level: String,
    /// Log records that may wait for a slow sink; further ones are counted and dropped. Default 1024.
    pub log_queue: usize,
    /// The path of the command `cortensor-router`, which watches over the servers of `upstream.command` for a router inside
    /// another program. `serve` needs none: it is that command.
    pub supervisor: Option<PathBuf>,
}
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            worker_threads: None,
            callback_threads: 256,
            log_level: "info".into(),
            log_queue: 1_024,
            supervisor: None,
        }
    }
}

impl RuntimeConfig {
    /// The number of worker threads that is in force.
    pub fn workers(&self) -> usize {
        match self.worker_threads {
            None => std::thread::available_parallelism().map_or(1, usize::from).min(4),
            Some(count) => count.get(),
        }
    }

    /// The log level; `None`: off.
    pub fn level(&self) -> Option<tracing::Level> {
        self.log_level.parse().ok()
    }

    pub(super) fn validate(&self) -> Result<()> {
        if self.workers() > 1_024 {
            return Err(Error::invalid("runtime.worker_threads", "runtime.worker_threads must be 0 to 1024"));
        }
        if !(1..=4_096).contains(&self.callback_threads) {
            return Err(Error::invalid("runtime.callback_threads", "runtime.callback_threads must be 1 to 4096"));
        }
        if !(1..=1_048_576).contains(&self.log_queue) {
            return Err(Error::invalid("runtime.log_queue", "runtime.log_queue must be 1 to 1048576"));
        }
        if self.level().is_none() && self.log_level != "off" {
            return Err(Error::invalid(
                "runtime.log_level",
                format!("runtime.log_level must be off, error, warn, info, debug or trace, not {:?}", self.log_level),
            ));
        }
        Ok(())
    }
}
