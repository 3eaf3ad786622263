//! The answers of calls on their way to Python.

use bytes::Bytes;
use cortensor_router::embed;
use pyo3::IntoPyObjectExt as _;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::{http, job, listener, router, task};

#[expect(clippy::large_enum_variant, reason = "a value is made and taken apart at once, and never kept")]
pub(crate) enum Value {
    Nothing,
    Flag(bool),
    Text(String),
    Piece(Option<Bytes>),
    Router(embed::Router),
    Task(embed::Task),
    Job(embed::Job),
    Listener(embed::Listener),
    Handler(embed::HttpHandler),
    Response(embed::HttpResponse),
}

impl Value {
    pub(crate) fn into_py(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self {
            Self::Nothing | Self::Piece(None) => Ok(py.None()),
            Self::Flag(flag) => flag.into_py_any(py),
            Self::Text(text) => Ok(PyString::new(py, &text).into_any().unbind()),
            Self::Piece(Some(piece)) => Ok(PyBytes::new(py, &piece).into_any().unbind()),
            Self::Router(router) => router::Router::of(router).into_py_any(py),
            Self::Task(task) => task::Task::of(task).into_py_any(py),
            Self::Job(job) => job::Job::of(job).into_py_any(py),
            Self::Listener(listener) => listener::Listener::of(listener).into_py_any(py),
            Self::Handler(handler) => http::HttpHandler::of(handler).into_py_any(py),
            Self::Response(response) => http::HttpResponse::of(response).into_py_any(py),
        }
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident;)*) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        }
    )*};
}

from! {
    bool => Flag;
    String => Text;
    Option<Bytes> => Piece;
    embed::Router => Router;
    embed::Task => Task;
    embed::Listener => Listener;
    embed::HttpHandler => Handler;
    embed::HttpResponse => Response;
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Nothing
    }
}
