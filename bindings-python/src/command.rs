//! The `cortensor-router` command.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the command with those arguments, of which the first is the program's name. Gives its exit status.
#[pyfunction]
pub(crate) fn command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| cortensor_router_cli::run(arguments))
}
