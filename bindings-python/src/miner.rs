//! Miners of the Python program: their jobs go to an event loop, or to threads that block.

use std::sync::Arc;

use cortensor_router::embed::{self, HostMiner};
use pyo3::prelude::*;

use crate::blocking;
use crate::error::to_py;
use crate::job::Job;
use crate::mailbox::Post;
use crate::process::Own;
use crate::queue::{Queue, Taken};
use crate::value::Value;

/// Jobs for an event loop.
pub(crate) struct ToLoop {
    pub(crate) post: Arc<Post>,
    pub(crate) token: u64,
}

impl HostMiner for ToLoop {
    fn on_job(&self, job: embed::Job) {
        self.post.put(self.token, Ok(Value::Job(job)));
    }

    fn is_quick(&self) -> bool {
        true
    }
}

/// Jobs for Python threads. The queue ends when the router releases the miner.
pub(crate) struct ToThreads(pub(crate) Arc<Queue<embed::Job>>);

impl HostMiner for ToThreads {
    fn on_job(&self, job: embed::Job) {
        if let Err(job) = self.0.push(job) {
            let _ = job.reject("the threads of this miner have ended");
        }
    }

    fn is_quick(&self) -> bool {
        // The queue has no bound of its own: the miner's capacity bounds it.
        true
    }
}

impl Drop for ToThreads {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The jobs that wait for a thread.
#[pyclass(frozen, module = "cortensor_router._native")]
pub(crate) struct JobQueue {
    pub(crate) queue: Own<Arc<Queue<embed::Job>>>,
}

#[pymethods]
impl JobQueue {
    /// Waits for the next job; `None` once the miner was released.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Job>> {
        let taken = blocking::wait(py, None, |slice| match self.queue.take(slice) {
            Taken::Nothing => None,
            Taken::Items(job) => Some(Some(job)),
            Taken::Closed => Some(None),
        })?;
        Ok(taken.flatten().map(Job::of))
    }
}

/// A miner that was added.
#[pyclass(frozen, module = "cortensor_router._native")]
pub(crate) struct Miner {
    pub(crate) miner: Own<embed::Miner>,
}

#[pymethods]
impl Miner {
    /// Stops new tasks for the miner.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        self.miner.here(py)?.drain().map_err(|error| to_py(py, &error))
    }

    /// Sets how many tasks the miner takes at a time from now on.
    fn set_capacity(&self, py: Python<'_>, tasks: u32) -> PyResult<()> {
        self.miner.here(py)?.set_capacity(tasks).map_err(|error| to_py(py, &error))
    }

    /// Ends the miner. Its callback only passes jobs on, so this never waits for Python.
    fn remove(&self, py: Python<'_>) -> PyResult<()> {
        let removed = blocking::wait(py, None, |slice| match self.miner.remove(slice) {
            Ok(false) => None,
            other => Some(other),
        })?;
        removed.unwrap_or(Ok(true)).map(drop).map_err(|error| to_py(py, &error))
    }
}
