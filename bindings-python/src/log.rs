//! The router's log, from which a Python thread passes records on to `logging`.

use std::sync::Arc;

use cortensor_router::embed::{LogRecord, LogSink};
use pyo3::prelude::*;

use crate::blocking;
use crate::process::Own;
use crate::queue::{Queue, Taken};

/// The number of records that may wait here, after the routers' own queues (`runtime.log_queue`).
const WAITING: usize = 256;

/// The log of all routers of this process.
#[pyclass(frozen, module = "cortensor_router._native")]
pub(crate) struct LogQueue {
    queue: Own<Arc<Queue<LogRecord>>>,
}

impl LogQueue {
    pub(crate) fn sink(&self) -> LogSink {
        let queue = Arc::clone(&self.queue);
        Box::new(move |record| {
            // A closed log is not read any more.
            let _ = queue.push(record.clone());
        })
    }
}

type Line = (u64, &'static str, &'static str, String);

#[pymethods]
impl LogQueue {
    #[new]
    fn new() -> Self {
        Self { queue: Own::new(Arc::new(Queue::new(WAITING))) }
    }

    /// Waits for records: milliseconds since the epoch, level, target, message. `None` once the log was closed.
    fn wait(&self, py: Python<'_>) -> PyResult<Option<Vec<Line>>> {
        let taken = blocking::wait(py, None, |slice| match self.queue.take_all(slice) {
            Taken::Nothing => None,
            Taken::Items(records) => Some(Some(records)),
            Taken::Closed => Some(None),
        })?;
        let line = |record: LogRecord| (record.time_ms, record.level, record.target, record.message);
        Ok(taken.flatten().map(|records| records.into_iter().map(line).collect()))
    }

    fn close(&self) {
        self.queue.close();
    }
}
