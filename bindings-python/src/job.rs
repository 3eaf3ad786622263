//! A job in the hands of a miner written in Python.

use cortensor_router::embed::{self, Emit};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::blocking;
use crate::error::to_py;
use crate::mailbox::Mailbox;
use crate::near;
use crate::process::Own;
use crate::value::Value;

/// A job, which is answered once.
#[pyclass(frozen, module = "cortensor_router._native")]
pub(crate) struct Job {
    job: Own<embed::Job>,
}

impl Job {
    pub(crate) fn of(job: embed::Job) -> Self {
        Self { job: Own::new(job) }
    }
}

fn told(py: Python<'_>, emitted: embed::Result<Emit>) -> PyResult<u8> {
    match emitted {
        Ok(Emit::Full) => Ok(1),
        Ok(Emit::Cancelled) => Ok(2),
        // Every other answer means that the router has the piece.
        Ok(_) => Ok(0),
        Err(error) => Err(to_py(py, &error)),
    }
}

#[pymethods]
impl Job {
    /// The job's record, as JSON.
    fn info(&self, py: Python<'_>) -> PyResult<String> {
        self.job.here(py)?.info().map_err(|error| to_py(py, &error))
    }

    /// The whole text that the model is to read.
    fn prompt(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.job.here(py)?.prompt())
    }

    /// Gives the next piece of the answer. Returns 0 if it was taken, 1 if the reader is slow, 2 if it is no longer
    /// wanted.
    fn emit(&self, piece: &Bound<'_, PyAny>) -> PyResult<u8> {
        let job = self.job.here(piece.py())?;
        let emitted = if let Ok(text) = piece.cast::<PyString>() {
            let text = text.to_cow()?;
            near::during(piece.py(), || job.emit(text.as_bytes()))
        } else if let Ok(bytes) = piece.cast::<PyBytes>() {
            near::during(piece.py(), || job.emit(bytes.as_bytes()))
        } else {
            let found = piece.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "a miner gives pieces of str, bytes or a mapping (text, reasoning, tool_calls), not {found}"
            )));
        };
        told(piece.py(), emitted)
    }

    /// Gives the next piece with its other parts, as JSON.
    fn emit_parts(&self, py: Python<'_>, parts: &str) -> PyResult<u8> {
        let job = self.job.here(py)?;
        told(py, near::during(py, || job.emit_parts(parts)))
    }

    /// Ends the work with success.
    fn finish(&self, py: Python<'_>, answer: &str) -> PyResult<()> {
        let job = self.job.here(py)?;
        near::during(py, || job.finish(answer)).map_err(|error| to_py(py, &error))
    }

    /// Ends the work with a failure.
    fn fail(&self, py: Python<'_>, code: &str, message: &str) -> PyResult<()> {
        let job = self.job.here(py)?;
        near::during(py, || job.fail(code, message)).map_err(|error| to_py(py, &error))
    }

    /// Gives the job back without blame.
    fn reject(&self, py: Python<'_>, reason: &str) -> PyResult<()> {
        let job = self.job.here(py)?;
        near::during(py, || job.reject(reason)).map_err(|error| to_py(py, &error))
    }

    /// Whether the work is no longer wanted, or was answered.
    fn is_cancelled(&self) -> bool {
        !self.job.is_here() || self.job.is_cancelled()
    }

    /// Notifies the mailbox once the work is no longer wanted.
    fn on_cancelled(&self, py: Python<'_>, mailbox: &Mailbox, token: u64) -> PyResult<()> {
        let post = mailbox.post.clone();
        let job = self.job.here(py)?;
        near::during(py, || job.on_cancelled(move || post.put(token, Ok(Value::Nothing))));
        Ok(())
    }

    /// Notifies the mailbox once a slow reader has caught up, or the work is no longer wanted.
    fn on_writable(&self, py: Python<'_>, mailbox: &Mailbox, token: u64) -> PyResult<()> {
        let post = mailbox.post.clone();
        let job = self.job.here(py)?;
        near::during(py, || job.on_writable(move || post.put(token, Ok(Value::Nothing))));
        Ok(())
    }

    /// Waits until a slow reader has caught up or the work is no longer wanted.
    #[pyo3(signature = (timeout=None))]
    fn wait_writable(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let (job, timeout) = (self.job.here(py)?, blocking::seconds(py, timeout)?);
        let waited = blocking::wait(py, timeout, |slice| match job.wait_writable(slice) {
            Ok(false) => None,
            other => Some(other),
        })?;
        waited.unwrap_or(Ok(false)).map_err(|error| to_py(py, &error))
    }

    /// Waits until the work is no longer wanted; `False` after the time, or when the job was answered.
    #[pyo3(signature = (timeout=None))]
    fn wait_cancelled(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let (job, timeout) = (self.job.here(py)?, blocking::seconds(py, timeout)?);
        let waited = blocking::wait(py, timeout, |slice| match job.wait_cancelled(slice) {
            // An answered job counts as cancelled too, so this also distinguishes an answer from the end of the time.
            Ok(false) if !job.is_cancelled() => None,
            other => Some(other),
        })?;
        waited.unwrap_or(Ok(false)).map_err(|error| to_py(py, &error))
    }
}
