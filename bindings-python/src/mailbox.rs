//! The router's messages for one event loop, until the loop takes them.

use std::sync::Arc;

use cortensor_router::embed::Result;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::bridge::Bridge;
use crate::error::to_py;
use crate::near;
use crate::process::Own;
use crate::queue::Queue;
use crate::value::Value;

/// The post of one loop. Every message carries the number under which the loop waits for it.
pub(crate) struct Post {
    id: u64,
    bridge: Arc<Queue<u64>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mails: Vec<(u64, Result<Value>)>,
    /// Whether the loop was called and has not taken the messages yet.
    called: bool,
    closed: bool,
}

impl Post {
    /// Puts a message in. Any thread may call this; it neither blocks nor touches Python, except at the end of a call
    /// that Python makes on its own thread, see [`near`].
    pub(crate) fn put(&self, token: u64, value: Result<Value>) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            refuse(value);
            return;
        }
        state.mails.push((token, value));
        if !std::mem::replace(&mut state.called, true) {
            drop(state);
            if !near::note(self.id, &self.bridge) {
                // A closed bridge wakes no loop, because the interpreter ends.
                let _ = self.bridge.push(self.id);
            }
        }
    }
}

/// Disposes of a message to a mailbox that is not read any more. A job goes to another miner.
fn refuse(value: Result<Value>) {
    if let Ok(Value::Job(job)) = value {
        let _ = job.reject("the event loop of this miner is closed");
    }
}

/// A loop's mailbox.
#[pyclass(frozen, module = "cortensor_router._native")]
pub(crate) struct Mailbox {
    pub(crate) post: Own<Arc<Post>>,
}

#[pymethods]
impl Mailbox {
    #[new]
    fn new(bridge: &Bridge, id: u64) -> Self {
        let post = Post { id, bridge: Arc::clone(&bridge.queue), state: Mutex::default() };
        Self { post: Own::new(Arc::new(post)) }
    }

    /// Takes all messages: pairs of a number and a value, or an exception in place of the value.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        if !self.post.is_here() {
            return Ok(list);
        }
        let mails = {
            let mut state = self.post.state.lock();
            state.called = false;
            std::mem::take(&mut state.mails)
        };
        for (token, value) in mails {
            let value = match value.map_err(|error| to_py(py, &error)).and_then(|value| value.into_py(py)) {
                Ok(value) => value,
                Err(error) => error.into_value(py).into_any(),
            };
            list.append((token, value))?;
        }
        Ok(list)
    }

    /// Closes the mailbox with its loop: messages are dropped from now on, and jobs go to other miners.
    fn close(&self) {
        if !self.post.is_here() {
            return;
        }
        let mails = {
            let mut state = self.post.state.lock();
            state.closed = true;
            std::mem::take(&mut state.mails)
        };
        for (_, value) in mails {
            refuse(value);
        }
    }
}

impl Drop for Mailbox {
    /// Closes the mailbox, because messages must not pile up for a loop that is gone.
    fn drop(&mut self) {
        self.close();
    }
}
