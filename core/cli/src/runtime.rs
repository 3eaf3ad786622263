//! The tokio runtimes of the command. All are made here.

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Runtime};

use crate::exit::{Done, Exit};

/// Makes the server's runtime. If the listener has threads of its own, the rest needs one thread.
pub(crate) fn server(listener_threads: usize) -> io::Result<Runtime> {
    let mut builder = if listener_threads == 0 { Builder::new_multi_thread() } else { Builder::new_current_thread() };
    builder.enable_all().thread_name("cortensor-router").build()
}

/// Runs a client's work; one connection needs one thread. Ctrl-C ends it, which closes the connection.
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
    // A look-up of a host name that still runs on its own thread is not waited for.
    runtime.shutdown_background();
    done
}
