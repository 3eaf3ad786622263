//! The event loops that must be woken. One Python thread takes their numbers and calls `loop.call_soon_threadsafe`.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::blocking;
use crate::process::Own;
use crate::queue::{Queue, Taken};

/// The numbers of the mailboxes that have messages.
#[pyclass(frozen, module = "cortensor_router._native")]
pub(crate) struct Bridge {
    pub(crate) queue: Own<Arc<Queue<u64>>>,
}

#[pymethods]
impl Bridge {
    #[new]
    fn new() -> Self {
        // A mailbox is in the queue at most once, so the number of loops bounds it.
        Self { queue: Own::new(Arc::new(Queue::new(usize::MAX))) }
    }

    /// Waits for mailboxes with messages; `None` once the bridge was closed.
    fn wait(&self, py: Python<'_>) -> PyResult<Option<Vec<u64>>> {
        let taken = blocking::wait(py, None, |slice| match self.queue.take_all(slice) {
            Taken::Nothing => None,
            Taken::Items(ids) => Some(Some(ids)),
            Taken::Closed => Some(None),
        })?;
        Ok(taken.flatten().map(Vec::from))
    }

    fn close(&self) {
        self.queue.close();
    }
}
