//! A miner of the Python program that works for a distant router.

use std::sync::Arc;

use cortensor_router::embed::{self, Error, ErrorKind, Result};
use pyo3::prelude::*;

use crate::blocking;
use crate::call::Call;
use crate::error::to_py;
use crate::log::LogQueue;
use crate::mailbox::Mailbox;
use crate::miner::{JobQueue, ToLoop, ToThreads};
use crate::process::Own;
use crate::queue::Queue;
use crate::value::Value;

/// A miner that dials out.
#[pyclass(frozen, weakref, module = "cortensor_router._native")]
pub(crate) struct MinerClient {
    client: Own<Arc<embed::MinerClient>>,
}

fn of(py: Python<'_>, started: Result<embed::MinerClient>) -> PyResult<MinerClient> {
    let client = started.map_err(|error| to_py(py, &error))?;
    Ok(MinerClient { client: Own::new(Arc::new(client)) })
}

/// A close that has not ended within its slice of time goes on in the next one.
fn ended(result: Result<()>) -> Option<Result<()>> {
    match result {
        Err(error) if error.kind() == ErrorKind::Timeout => None,
        other => Some(other),
    }
}

fn unfinished() -> Error {
    let message = "the miner had not ended within the time: close it again to wait for it";
    Error::new(ErrorKind::Timeout, message).with_code("shutdown_timeout")
}

#[pymethods]
impl MinerClient {
    /// Starts a miner whose jobs go into a mailbox, all under one number.
    #[staticmethod]
    fn start_on_loop(
        py: Python<'_>,
        config: &str,
        mailbox: &Mailbox,
        token: u64,
        log: Option<&LogQueue>,
    ) -> PyResult<Self> {
        let miner = ToLoop { post: mailbox.post.clone(), token };
        of(py, embed::MinerClient::start(config, miner, log.map(LogQueue::sink)))
    }

    /// Starts a miner whose jobs are taken by threads.
    #[staticmethod]
    fn start_on_threads(py: Python<'_>, config: &str, log: Option<&LogQueue>) -> PyResult<(Self, JobQueue)> {
        let queue = Arc::new(Queue::new(usize::MAX));
        let client = of(py, embed::MinerClient::start(config, ToThreads(queue.clone()), log.map(LogQueue::sink)))?;
        Ok((client, JobQueue { queue: Own::new(queue) }))
    }

    /// The miner's counts, as JSON.
    fn stats(&self, py: Python<'_>) -> PyResult<String> {
        self.client.stats().map_err(|error| to_py(py, &error))
    }

    /// Sets how many tasks the miner takes at a time from now on.
    fn set_capacity(&self, py: Python<'_>, tasks: u32) -> PyResult<()> {
        self.client.set_capacity(tasks).map_err(|error| to_py(py, &error))
    }

    /// Takes no new tasks and finishes the present ones.
    fn drain(&self, py: Python<'_>, timeout: f64) -> PyResult<Call> {
        let timeout = blocking::seconds(py, Some(timeout))?;
        Ok(Call::of(self.client.drain(timeout.unwrap_or(std::time::Duration::MAX))))
    }

    /// Ends the miner, and waits for its end.
    #[pyo3(signature = (timeout=None))]
    fn close(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let timeout = blocking::seconds(py, timeout)?;
        let done = blocking::wait(py, timeout, |slice| ended(self.client.close(slice)))?;
        done.unwrap_or_else(|| Err(unfinished())).map_err(|error| to_py(py, &error))
    }

    /// Ends the miner when the interpreter ends.
    fn shutdown_at_exit(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let timeout = blocking::seconds(py, Some(timeout))?;
        py.detach(|| self.client.close(timeout)).map_err(|error| to_py(py, &error))
    }

    /// Ends the miner on a separate thread, and notifies a mailbox.
    fn close_then(&self, py: Python<'_>, mailbox: &Mailbox, token: u64, timeout: Option<f64>) -> PyResult<()> {
        let timeout = blocking::seconds(py, timeout)?;
        let (client, post) = (Arc::clone(&self.client), mailbox.post.clone());
        std::thread::Builder::new()
            .name("cortensor-router-close".into())
            .spawn(move || {
                let done = ended(client.close(timeout)).unwrap_or_else(|| Err(unfinished()));
                drop(client);
                post.put(token, done.map(Value::from));
            })
            .map(drop)
            .map_err(Into::into)
    }
}
