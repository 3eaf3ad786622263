//! The router.

use std::sync::Arc;

use cortensor_router::embed;
use cortensor_router::embed::{ErrorKind, Result};
use pyo3::prelude::*;

use crate::blocking;
use crate::call::Call;
use crate::error::to_py;
use crate::log::LogQueue;
use crate::mailbox::Mailbox;
use crate::miner::{JobQueue, Miner, ToLoop, ToThreads};
use crate::near;
use crate::process::Own;
use crate::queue::Queue;
use crate::value::Value;

/// A router. Records are JSON text.
#[pyclass(frozen, weakref, module = "cortensor_router._native")]
pub(crate) struct Router {
    router: Own<embed::Router>,
}

impl Router {
    pub(crate) fn of(router: embed::Router) -> Self {
        Self { router: Own::new(router) }
    }
}

fn raised<T>(py: Python<'_>, result: Result<T>) -> PyResult<T> {
    result.map_err(|error| to_py(py, &error))
}

/// A shutdown that has not ended within its slice of time goes on in the next one.
fn ended(result: Result<()>) -> Option<Result<()>> {
    match result {
        Err(error) if error.kind() == ErrorKind::Timeout => None,
        other => Some(other),
    }
}

fn unfinished() -> embed::Error {
    let message = "the router had not ended within the time: close it again to wait for it";
    embed::Error::new(ErrorKind::Timeout, message).with_code("shutdown_timeout")
}

/// The router's names of the options that can stand beside a prompt, and of those of a session.
#[pyfunction]
pub(crate) fn option_names() -> (Vec<&'static str>, Vec<&'static str>) {
    (embed::REQUEST_OPTIONS.to_vec(), embed::SESSION_OPTIONS.to_vec())
}

#[pymethods]
impl Router {
    /// Opens a router.
    #[staticmethod]
    fn open(config: &str, log: Option<&LogQueue>) -> Call {
        Call::of(embed::Router::open(config, log.map(LogQueue::sink)))
    }

    fn config(&self, py: Python<'_>) -> PyResult<String> {
        raised(py, self.router.config())
    }

    fn info(&self, py: Python<'_>) -> PyResult<String> {
        raised(py, self.router.info())
    }

    fn status(&self, py: Python<'_>) -> PyResult<String> {
        raised(py, self.router.status())
    }

    fn metrics(&self, py: Python<'_>) -> PyResult<String> {
        raised(py, self.router.metrics())
    }

    fn miners(&self, py: Python<'_>) -> PyResult<String> {
        raised(py, self.router.miners())
    }

    fn models(&self, py: Python<'_>) -> PyResult<String> {
        raised(py, self.router.models())
    }

    fn usage(&self, query: &str) -> Call {
        Call::of(self.router.usage(query))
    }

    fn create_key(&self, spec: &str) -> Call {
        Call::of(self.router.create_key(spec))
    }

    fn keys(&self) -> Call {
        Call::of(self.router.keys())
    }

    fn delete_key(&self, id: &str) -> Call {
        Call::of(self.router.delete_key(id))
    }

    fn create_session(&self, spec: &str) -> Call {
        Call::of(self.router.create_session(spec))
    }

    fn session(&self, py: Python<'_>, session: u64) -> PyResult<String> {
        raised(py, self.router.session(session))
    }

    fn sessions(&self, py: Python<'_>, query: &str) -> PyResult<String> {
        raised(py, self.router.sessions(query))
    }

    fn update_session(&self, session: u64, patch: &str) -> Call {
        Call::of(self.router.update_session(session, patch))
    }

    fn close_session(&self, session: u64) -> Call {
        Call::of(self.router.close_session(session))
    }

    fn submit(&self, py: Python<'_>, session: u64, request: &str) -> Call {
        Call::of(near::during(py, || self.router.submit(session, request)))
    }

    fn complete(&self, py: Python<'_>, session: u64, request: &str) -> Call {
        Call::of(near::during(py, || self.router.complete(session, request)))
    }

    /// Answers with a record.
    fn embed(&self, py: Python<'_>, session: u64, request: &str) -> Call {
        Call::of(near::during(py, || self.router.embed_record(session, request)))
    }

    fn task(&self, session: u64, task: u64) -> Call {
        Call::of(self.router.task(session, task))
    }

    fn tasks(&self, session: u64, query: &str) -> Call {
        Call::of(self.router.tasks(session, query))
    }

    fn cancel(&self, session: u64, task: u64) -> Call {
        Call::of(self.router.cancel(session, task))
    }

    fn attach(&self, session: u64, task: u64) -> Call {
        Call::of(self.router.attach(session, task))
    }

    /// Adds a miner whose jobs go into a mailbox, all under one number.
    fn add_loop_miner(&self, py: Python<'_>, spec: &str, mailbox: &Mailbox, token: u64) -> PyResult<Miner> {
        let miner = ToLoop { post: mailbox.post.clone(), token };
        let miner = raised(py, self.router.add_miner(spec, miner))?;
        Ok(Miner { miner: Own::new(miner) })
    }

    /// Adds a miner whose jobs are taken by threads.
    fn add_thread_miner(&self, py: Python<'_>, spec: &str) -> PyResult<(Miner, JobQueue)> {
        let queue = Arc::new(Queue::new(usize::MAX));
        let miner = raised(py, self.router.add_miner(spec, ToThreads(queue.clone())))?;
        Ok((Miner { miner: Own::new(miner) }, JobQueue { queue: Own::new(queue) }))
    }

    fn add_upstream(&self, py: Python<'_>, upstream: &str) -> PyResult<()> {
        raised(py, self.router.add_upstream(upstream))
    }

    fn remove_miner(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        raised(py, self.router.remove_miner(name))
    }

    fn listen(&self, config: &str) -> Call {
        Call::of(self.router.listen(config))
    }

    fn http_handler(&self, config: &str) -> Call {
        Call::of(self.router.http_handler(config))
    }

    fn drain(&self, py: Python<'_>, timeout: f64) -> PyResult<Call> {
        let timeout = blocking::seconds(py, Some(timeout))?;
        Ok(Call::of(self.router.drain(timeout.unwrap_or(std::time::Duration::MAX))))
    }

    /// Ends the router, and waits for its end.
    #[pyo3(signature = (timeout=None))]
    fn shutdown(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<()> {
        let timeout = blocking::seconds(py, timeout)?;
        let done = blocking::wait(py, timeout, |slice| ended(self.router.shutdown(slice)))?;
        raised(py, done.unwrap_or_else(|| Err(unfinished())))
    }

    /// Ends the router when the interpreter ends, after every other call was refused. It does not check for signals.
    fn shutdown_at_exit(&self, py: Python<'_>, timeout: f64) -> PyResult<()> {
        let timeout = blocking::seconds(py, Some(timeout))?;
        let done = py.detach(|| self.router.shutdown(timeout));
        raised(py, done)
    }

    /// Ends the router on a separate thread, and notifies a mailbox.
    fn shutdown_then(&self, py: Python<'_>, mailbox: &Mailbox, token: u64, timeout: Option<f64>) -> PyResult<()> {
        let timeout = blocking::seconds(py, timeout)?;
        let (router, post) = ((*self.router).clone(), mailbox.post.clone());
        std::thread::Builder::new()
            .name("cortensor-router-close".into())
            .spawn(move || {
                let done = ended(router.shutdown(timeout)).unwrap_or_else(|| Err(unfinished()));
                drop(router);
                post.put(token, done.map(Value::from));
            })
            .map(drop)
            .map_err(Into::into)
    }
}
