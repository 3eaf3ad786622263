//! A running operation: a thread waits for it, or its answer goes into a mailbox.

use std::time::Duration;

use cortensor_router::embed::{self, Canceller};
use cortensor_router::embed::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use pyo3::prelude::*;

use crate::blocking;
use crate::error::to_py;
use crate::mailbox::Mailbox;
use crate::near;
use crate::process::Own;
use crate::value::Value;

/// An [`embed::Call`] with an answer of any type.
trait Pending: Send {
    fn wait_for(&mut self, timeout: Option<Duration>) -> Option<Result<Value>>;
    fn then(self: Box<Self>, f: Box<dyn FnOnce(Result<Value>) + Send>);
}

impl<T: Into<Value> + Send + 'static> Pending for embed::Call<T> {
    fn wait_for(&mut self, timeout: Option<Duration>) -> Option<Result<Value>> {
        Self::wait_for(self, timeout).map(|answer| answer.map(Into::into))
    }

    fn then(self: Box<Self>, f: Box<dyn FnOnce(Result<Value>) + Send>) {
        Self::then(*self, move |answer| f(answer.map(Into::into)));
    }
}

/// A running operation, which is answered once.
#[pyclass(frozen, module = "cortensor_router._native")]
pub(crate) struct Call {
    pending: Own<Mutex<Option<Box<dyn Pending>>>>,
    canceller: Own<Canceller>,
}

impl Call {
    pub(crate) fn of<T: Into<Value> + Send + 'static>(call: embed::Call<T>) -> Self {
        let canceller = call.canceller();
        let pending: Box<dyn Pending> = Box::new(call);
        Self { pending: Own::new(Mutex::new(Some(pending))), canceller: Own::new(canceller) }
    }

    fn take(&self, py: Python<'_>) -> PyResult<Box<dyn Pending>> {
        let taken = self.pending.here(py)?.lock().take();
        taken.ok_or_else(|| {
            to_py(py, &Error::new(ErrorKind::Conflict, "the call was answered or is waited for already"))
        })
    }
}

#[pymethods]
impl Call {
    /// Waits for the answer. After `timeout` seconds it raises, and the operation goes on: wait again.
    #[pyo3(signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let timeout = blocking::seconds(py, timeout)?;
        let mut pending = self.take(py)?;
        let Some(answer) = blocking::wait(py, timeout, |slice| pending.wait_for(slice))? else {
            *self.pending.lock() = Some(pending);
            let message = "there was no answer within the time: the operation goes on, and can be waited for again";
            return Err(to_py(py, &Error::new(ErrorKind::Timeout, message).with_code("wait_timeout")));
        };
        answer.map_err(|error| to_py(py, &error))?.into_py(py)
    }

    /// Puts the answer into a mailbox, under that number.
    fn then(&self, py: Python<'_>, mailbox: &Mailbox, token: u64) -> PyResult<()> {
        let pending = self.take(py)?;
        let post = mailbox.post.clone();
        near::during(py, || pending.then(Box::new(move |answer| post.put(token, answer))));
        Ok(())
    }

    /// Ends an operation that only waits.
    fn cancel(&self, py: Python<'_>) {
        if self.canceller.is_here() {
            near::during(py, || self.canceller.cancel());
        }
    }
}
