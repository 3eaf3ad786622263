//! The `cortensor-router` command.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the command with those arguments, the program's name first, and gives its exit status.
#[pyfunction]
pub(crate) fn command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| cortensor_router_cli::run(arguments))
}
