//! What a forked child must leave alone.

use std::ops::Deref;

use pyo3::exceptions::PyImportError;
use pyo3::{PyResult, Python, ffi};

/// Refuses every interpreter of the process but the main one: the bridge and its hooks are the process's.
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

/// A value that is dropped in the process that made it, and leaked in a forked child: there its locks may be held for ever.
pub(crate) struct Own<T> {
    pid: u32,
    value: Option<T>,
}

impl<T> Own<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { pid: std::process::id(), value: Some(value) }
    }

    pub(crate) fn is_here(&self) -> bool {
        self.pid == std::process::id()
    }
}

impl<T> Deref for Own<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            // It is taken by `drop` alone.
            None => unreachable!(),
        }
    }
}

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        if !self.is_here() {
            std::mem::forget(self.value.take());
        }
    }
}
