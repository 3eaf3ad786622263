//! A task's tokens.

use cortensor_router::embed::{self, Event, Next};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

use crate::blocking;
use crate::error::to_py;
use crate::mailbox::Mailbox;
use crate::near;
use crate::process::Own;
use crate::value::Value;

/// A task's tokens: each a `str` if `texts` is set, else `(seq, text)`. A restart is the number of its mark; the end is
/// the completion as JSON in a tuple of one, or an exception.
#[pyclass(frozen, module = "cortensor_router._native")]
pub(crate) struct Stream {
    stream: Own<embed::Stream>,
}

impl Stream {
    pub(crate) fn of(stream: embed::Stream) -> Self {
        Self { stream: Own::new(stream) }
    }
}

fn list(py: Python<'_>, events: impl IntoIterator<Item = Event>, texts: bool) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for event in events {
        match event {
            Event::Token { seq, text, .. } => {
                // Pieces are whole characters.
                let text = PyString::from_bytes(py, &text)?;
                if texts { list.append(text) } else { list.append((seq, text)) }
            }
            Event::Restart { seq } => list.append(seq),
            Event::End(Ok(completion)) => list.append((completion,)),
            Event::End(Err(error)) => list.append(to_py(py, &error).into_value(py)),
        }?;
    }
    Ok(list)
}

#[pymethods]
impl Stream {
    /// The events that are ready; `None` after the end.
    fn take_ready<'py>(&self, py: Python<'py>, texts: bool) -> PyResult<Option<Bound<'py, PyList>>> {
        let events = self.stream.here(py)?.take_ready().map_err(|error| to_py(py, &error))?;
        events.map(|events| list(py, events, texts)).transpose()
    }

    /// Notifies the mailbox once an event is ready.
    fn notify(&self, py: Python<'_>, mailbox: &Mailbox, token: u64) -> PyResult<()> {
        let post = mailbox.post.clone();
        let stream = self.stream.here(py)?;
        near::during(py, || stream.notify(move || post.put(token, Ok(Value::Nothing))))
            .map_err(|error| to_py(py, &error))
    }

    /// Waits for events: `None` after the end, and an empty list when the time has passed.
    #[pyo3(signature = (texts, timeout=None))]
    fn wait<'py>(&self, py: Python<'py>, texts: bool, timeout: Option<f64>) -> PyResult<Option<Bound<'py, PyList>>> {
        let timeout = blocking::seconds(py, timeout)?;
        let next = blocking::wait(py, timeout, |slice| match self.stream.next(slice) {
            Ok(Next::Timeout) => None,
            other => Some(other),
        })?;
        match next.transpose().map_err(|error| to_py(py, &error))? {
            None | Some(Next::Timeout) => Ok(Some(PyList::empty(py))),
            Some(Next::Over) => Ok(None),
            Some(Next::Event(first)) => {
                let rest = self.stream.take_ready().map_err(|error| to_py(py, &error))?.unwrap_or_default();
                list(py, std::iter::once(first).chain(rest), texts).map(Some)
            }
        }
    }
}
