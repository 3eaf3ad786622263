//! `cortensor_router._native`: the facade [`cortensor_router::embed`] as Python classes. Private; the Python package
//! wraps it.
//!
//! No thread of the router ever touches Python. Messages go into a `mailbox` or a `queue`, from which Python
//! threads take them: an event loop, and the threads of miners that block. The bridge thread wakes the loop; a call
//! that the loop's own thread makes does it itself at its end (`near`). Every call that waits releases the GIL.

mod blocking;
mod bridge;
mod call;
mod client;
mod command;
mod error;
mod http;
mod job;
mod listener;
mod log;
mod mailbox;
mod miner;
mod near;
mod process;
mod queue;
mod router;
mod stream;
mod task;
mod value;

/// The native part of `cortensor_router`.
///
/// The module declares that it uses the GIL, so an interpreter without one enables it. The Python half is not tested
/// without a GIL.
#[pyo3::pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use crate::blocking::{begin_exit, blocked, renew};
    #[pymodule_export]
    use crate::bridge::Bridge;
    #[pymodule_export]
    use crate::call::Call;
    #[pymodule_export]
    use crate::client::MinerClient;
    #[pymodule_export]
    use crate::command::command;
    #[pymodule_export]
    use crate::error::kinds;
    #[pymodule_export]
    use crate::http::{HttpHandler, HttpResponse};
    #[pymodule_export]
    use crate::job::Job;
    #[pymodule_export]
    use crate::listener::Listener;
    #[pymodule_export]
    use crate::log::LogQueue;
    #[pymodule_export]
    use crate::mailbox::Mailbox;
    #[pymodule_export]
    use crate::miner::{JobQueue, Miner};
    #[pymodule_export]
    use crate::near::set_soon;
    #[pymodule_export]
    use crate::router::{Router, option_names};
    #[pymodule_export]
    use crate::stream::Stream;
    #[pymodule_export]
    use crate::task::Task;
    /// The version of the product.
    #[pymodule_export]
    const VERSION: &str = cortensor_router::embed::VERSION;

    #[pymodule_init]
    fn init(module: &pyo3::Bound<'_, pyo3::types::PyModule>) -> pyo3::PyResult<()> {
        crate::process::refuse_subinterpreters(module.py())?;
        crate::process::count_forks();
        Ok(())
    }
}
