//! Messages that a call of Python puts into the mailboxes of its own thread's event loop.
//!
//! The thread has the GIL and is inside of Python anyway. Its loop is therefore called at the end of the native call,
//! without the bridge: the bridge thread would have to be woken, and would then wait for the GIL.

use std::cell::RefCell;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::queue::Queue;

/// Python's function that makes the loop of a mailbox take its messages.
static SOON: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// A mailbox to be emptied: its number, and the bridge that can do it, too.
type Filled = (u64, Arc<Queue<u64>>);

thread_local! {
    /// The mailboxes that the present native call has filled; `None` outside of such a call.
    static FILLED: RefCell<Option<Vec<Filled>>> = const { RefCell::new(None) };
}

/// Sets the function that gets the number of a mailbox with messages.
#[pyfunction]
pub(crate) fn set_soon(py: Python<'_>, soon: Py<PyAny>) {
    // A second import of the module sets an equal function.
    let _ = SOON.set(py, soon);
}

/// Runs a native call that does not wait, and then calls the loops whose mailboxes it has filled.
pub(crate) fn during<R>(py: Python<'_>, call: impl FnOnce() -> R) -> R {
    let outermost = FILLED.with(|filled| {
        let mut filled = filled.borrow_mut();
        filled.is_none() && filled.replace(Vec::new()).is_none()
    });
    let guard = outermost.then_some(Leave(py));
    let given = call();
    drop(guard);
    given
}

/// The end of a native call.
struct Leave<'py>(Python<'py>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        for (mailbox, bridge) in FILLED.with(RefCell::take).into_iter().flatten() {
            let told = SOON.get(self.0).map(|soon| soon.call1(self.0, (mailbox,)));
            if !matches!(told, Some(Ok(_))) {
                // A closed bridge wakes no loop, because the interpreter ends.
                let _ = bridge.push(mailbox);
            }
        }
    }
}

/// Notes that a mailbox has messages. `false`: this thread makes no native call, and the bridge must be told.
pub(crate) fn note(mailbox: u64, bridge: &Arc<Queue<u64>>) -> bool {
    // A thread of the router that is ending makes no native call either.
    let noted = FILLED.try_with(|filled| {
        let mut filled = filled.borrow_mut();
        let here = filled.as_mut();
        here.map(|filled| filled.push((mailbox, Arc::clone(bridge)))).is_some()
    });
    noted.unwrap_or(false)
}
