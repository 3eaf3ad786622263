//! Makes all tokio runtimes of the command.

use std::future::Future;
use std::io;
use std::num::NonZeroUsize;

use tokio::runtime::{Builder, Runtime};

use crate::exit::{Done, Exit};

/// Makes the server's runtime. If the listener has threads of its own, all else needs only one thread.
pub(crate) fn server(listener_threads: Option<NonZeroUsize>) -> io::Result<Runtime> {
    let mut builder =
        if listener_threads.is_none() { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder.enable_all().thread_name("cortensor-router").build()
}

/// Runs the work of a client, whose one connection needs one thread. Ctrl-C ends the work and closes the connection.
pub(crate) fn client<T>(work: impl Future<Output = Done<T>>) -> Done<T> {
    let runtime =
        Builder::new_current_thread().enable_all().build().map_err(|e| Exit::failed(format!("cannot start: {e}")))?;
    let done = runtime.block_on(async {
        tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => Err(Exit::silent(Exit::INTERRUPTED)),
            done = work => done,
        }
    });
    // The process does not wait for a look-up of a host name that still runs on its own thread.
    runtime.shutdown_background();
    done
}

/// Makes the runtime of a talk. Its thread works on while the talk waits for the user, so that a connection that was
/// given up is closed at once.
#[cfg(feature = "terminal")]
pub(crate) fn talk() -> Done<Runtime> {
    let made = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    made.map_err(|e| Exit::failed(format!("cannot start: {e}")))
}
