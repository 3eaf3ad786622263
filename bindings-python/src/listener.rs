//! The HTTP listener.

use cortensor_router::embed;
use pyo3::prelude::*;

use crate::call::Call;
use crate::process::Own;

/// A listener that serves.
#[pyclass(frozen, module = "cortensor_router._native")]
pub(crate) struct Listener {
    listener: Own<embed::Listener>,
}

impl Listener {
    pub(crate) fn of(listener: embed::Listener) -> Self {
        Self { listener: Own::new(listener) }
    }
}

#[pymethods]
impl Listener {
    /// The address and the port of the listener.
    #[getter]
    fn address(&self) -> (String, u16) {
        let address = self.listener.address();
        (address.ip().to_string(), address.port())
    }

    /// Every open surface and how it is protected.
    #[getter]
    fn posture(&self) -> Vec<String> {
        self.listener.posture().to_vec()
    }

    fn stop(&self, py: Python<'_>) -> PyResult<Call> {
        Ok(Call::of(self.listener.here(py)?.stop()))
    }

    fn ended(&self, py: Python<'_>) -> PyResult<Call> {
        Ok(Call::of(self.listener.here(py)?.ended()))
    }
}
