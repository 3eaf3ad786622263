//! The REST API without a socket, for ASGI servers.

use std::net::SocketAddr;

use bytes::Bytes;
use cortensor_router::embed::{self, HttpRequest};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::call::Call;
use crate::process::Own;

/// Answers requests as the listener would.
#[pyclass(frozen, module = "cortensor_router._native")]
pub(crate) struct HttpHandler {
    handler: Own<embed::HttpHandler>,
}

impl HttpHandler {
    pub(crate) fn of(handler: embed::HttpHandler) -> Self {
        Self { handler: Own::new(handler) }
    }
}

#[pymethods]
impl HttpHandler {
    #[getter]
    fn max_body_bytes(&self) -> u64 {
        self.handler.max_body_bytes()
    }

    /// Answers one request. The peer is an address and a port; `None` if it is unknown.
    fn handle(
        &self,
        method: String,
        target: String,
        headers: Vec<(Vec<u8>, Vec<u8>)>,
        peer: Option<(String, u16)>,
        body: &[u8],
    ) -> Call {
        let headers =
            headers.into_iter().map(|(name, value)| (String::from_utf8_lossy(&name).into_owned(), value)).collect();
        let peer = peer.and_then(|(host, port)| Some(SocketAddr::new(host.parse().ok()?, port)));
        let body = Bytes::copy_from_slice(body);
        Call::of(self.handler.handle(HttpRequest { method, target, headers, peer, body }))
    }
}

type Headers<'py> = Vec<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)>;

/// An answer: its head, and its body piece by piece.
#[pyclass(frozen, module = "cortensor_router._native")]
pub(crate) struct HttpResponse {
    response: Own<embed::HttpResponse>,
}

impl HttpResponse {
    pub(crate) fn of(response: embed::HttpResponse) -> Self {
        Self { response: Own::new(response) }
    }
}

#[pymethods]
impl HttpResponse {
    #[getter]
    fn status(&self) -> u16 {
        self.response.status
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> Headers<'py> {
        let bytes = |bytes: &[u8]| PyBytes::new(py, bytes);
        self.response.headers.iter().map(|(name, value)| (bytes(name.as_bytes()), bytes(value))).collect()
    }

    /// The next piece of the body; `None` after the last.
    fn next_piece(&self, py: Python<'_>) -> PyResult<Call> {
        Ok(Call::of(self.response.here(py)?.next_piece()))
    }
}
