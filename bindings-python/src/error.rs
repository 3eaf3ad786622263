//! The router's error as Python exceptions, which `cortensor_router._error` makes from its JSON.

use cortensor_router::embed::{Error, KINDS, error_json};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception for an error.
pub(crate) fn to_py(py: Python<'_>, error: &Error) -> PyErr {
    let made = MAKE.import(py, "cortensor_router._error", "error_of").and_then(|make| make.call1((error_json(error),)));
    made.map_or_else(|failed| failed, PyErr::from_value)
}

/// The table of the kinds: code, built-in base, HTTP status, and whether a retry may help.
#[pyfunction]
pub(crate) fn kinds() -> Vec<(&'static str, &'static str, u16, bool)> {
    KINDS.iter().map(|row| (row.code, row.python_base, row.http_status, row.retryable)).collect()
}
