//! Objects that a forked child must not touch.

use std::ops::Deref;

use cortensor_router::embed::{self, Error, ErrorKind};
use pyo3::exceptions::PyImportError;
use pyo3::{PyResult, Python, ffi};

use crate::error::to_py;

/// Refuses every interpreter of the process except the main one: the process has only one bridge with its hooks.
pub(crate) fn refuse_subinterpreters(_: Python<'_>) -> PyResult<()> {
    // SAFETY: the caller is attached, as its token shows, so that there is a current interpreter.
    let id = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    if id == 0 {
        return Ok(());
    }
    Err(PyImportError::new_err(
        "cortensor_router cannot be used in a sub-interpreter: import it in the main interpreter, or in another process",
    ))
}

/// Counts the forks of this process from now on.
pub(crate) fn count_forks() {
    #[cfg(unix)]
    {
        extern "C" fn child() {
            embed::forked();
        }
        // SAFETY: the handler lives as long as the library, which Python never unloads, and only changes a number.
        if unsafe { libc::pthread_atfork(None, None, Some(child)) } != 0 {
            return;
        }
    }
    embed::count_forks();
}

/// A value that is dropped in the process that made it, and leaked in a forked child, where its locks may be held for
/// ever.
pub(crate) struct Own<T>(embed::Bound<T>);

impl<T> Own<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(embed::Bound::new(value))
    }

    /// The value, in its own process. In a forked child, even reading it could wait for a lock that is held for ever.
    pub(crate) fn here(&self, py: Python<'_>) -> PyResult<&T> {
        if self.is_here() {
            return Ok(self);
        }
        let message = "this belongs to the parent process: a forked child must open a router of its own";
        Err(to_py(py, &Error::new(ErrorKind::Closed, message).with_code("forked")))
    }

    pub(crate) fn is_here(&self) -> bool {
        self.0.check().is_ok()
    }
}

impl<T> Deref for Own<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
