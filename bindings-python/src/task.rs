//! A submitted task.

use cortensor_router::embed;
use pyo3::prelude::*;

use crate::call::Call;
use crate::error::to_py;
use crate::near;
use crate::process::Own;
use crate::stream::Stream;

/// A submitted task. Dropping the last handle cancels the task, unless it is detached.
#[pyclass(frozen, module = "cortensor_router._native")]
pub(crate) struct Task {
    task: Own<embed::Task>,
}

impl Task {
    pub(crate) fn of(task: embed::Task) -> Self {
        Self { task: Own::new(task) }
    }
}

#[pymethods]
impl Task {
    #[getter]
    fn session_id(&self) -> u64 {
        self.task.session_id()
    }

    #[getter]
    fn task_id(&self) -> u64 {
        self.task.task_id()
    }

    #[getter]
    fn gid(&self) -> u64 {
        self.task.gid()
    }

    #[getter]
    fn joined(&self) -> bool {
        self.task.joined()
    }

    fn record(&self) -> Call {
        Call::of(self.task.record())
    }

    fn result(&self) -> Call {
        Call::of(self.task.result())
    }

    /// The task's tokens after that number.
    fn stream(&self, py: Python<'_>, after: u64) -> PyResult<Stream> {
        self.task.here(py)?.stream(after).map(Stream::of).map_err(|error| to_py(py, &error))
    }

    fn cancel(&self, py: Python<'_>) -> PyResult<()> {
        near::during(py, || self.task.cancel()).map_err(|error| to_py(py, &error))
    }

    fn detach(&self, py: Python<'_>) -> PyResult<()> {
        self.task.here(py)?.detach().map_err(|error| to_py(py, &error))
    }
}
