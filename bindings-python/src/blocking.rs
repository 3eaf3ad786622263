//! Calls that wait: without the GIL, open to signals, and counted, so that the interpreter ends only after the last of
//! them.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cortensor_router::embed::{Error, ErrorKind};
use pyo3::prelude::*;

use crate::error::to_py;

static EXITING: AtomicBool = AtomicBool::new(false);
static BLOCKED: AtomicUsize = AtomicUsize::new(0);

/// The time for which the main thread waits before it checks for signals.
const SIGNALS: Duration = Duration::from_millis(50);

/// A thread without the GIL. The thread must have the GIL back before the interpreter ends: a thread that asks for it
/// later is ended inside of Rust.
struct Blocked;

impl Blocked {
    fn new(py: Python<'_>) -> PyResult<Self> {
        BLOCKED.fetch_add(1, Ordering::SeqCst);
        let blocked = Self;
        if EXITING.load(Ordering::SeqCst) {
            return Err(to_py(py, &Error::new(ErrorKind::Closed, "the interpreter ends: the router is closed")));
        }
        Ok(blocked)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        BLOCKED.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Converts a Python timeout, in seconds; `None` means for ever.
pub(crate) fn seconds(py: Python<'_>, timeout: Option<f64>) -> PyResult<Option<Duration>> {
    let Some(timeout) = timeout else { return Ok(None) };
    if timeout.is_nan() || timeout < 0.0 {
        return Err(to_py(
            py,
            &Error::invalid("timeout", "timeout must be seconds, 0 or more, or None to wait for ever"),
        ));
    }
    // A time beyond the range of the clock means for ever.
    Ok(Duration::try_from_secs_f64(timeout).ok())
}

/// Calls `attempt` in slices of time until it gives a value; `None` after `timeout`.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    timeout: Option<Duration>,
    mut attempt: impl FnMut(Option<Duration>) -> Option<T> + Send,
) -> PyResult<Option<T>> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut handles_signals = None;
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let slice =
            if handles_signals == Some(false) { left } else { Some(left.map_or(SIGNALS, |left| left.min(SIGNALS))) };
        let blocked = Blocked::new(py)?;
        let given = py.detach(|| attempt(slice));
        drop(blocked);
        if given.is_some() {
            return Ok(given);
        }
        py.check_signals()?;
        if left.is_some_and(|left| left.is_zero() || slice == Some(left)) {
            return Ok(None);
        }
        if handles_signals.is_none() {
            handles_signals = Some(is_main_thread(py)?);
        }
    }
}

/// Python handles signals on its main thread alone.
fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    threading.call_method0("get_ident")?.eq(main)
}

/// Prepares for the end of the interpreter: waiting calls end, and new ones do not wait.
#[pyfunction]
pub(crate) fn begin_exit() {
    EXITING.store(true, Ordering::SeqCst);
}

/// Releases the GIL for a moment. Gives the number of threads that still wait without it.
#[pyfunction]
pub(crate) fn blocked(py: Python<'_>) -> usize {
    py.detach(|| std::thread::sleep(Duration::from_millis(1)));
    BLOCKED.load(Ordering::SeqCst)
}

/// Resets the count in a forked child, which has none of its parent's threads.
#[pyfunction]
pub(crate) fn renew() {
    EXITING.store(false, Ordering::SeqCst);
    BLOCKED.store(0, Ordering::SeqCst);
}
