//! The router: open, drain, shut down.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use cortensor_router::embed;

use crate::guard::{LONG, done, give, not_yet, of, timeout};
use crate::log::{LogCallbacks, sink};
use crate::text::text;
use crate::unwind::quietly;
use crate::{Error, Status};

/// A router. Any thread may use the handle at any time.
#[derive(Debug)]
pub struct Router(pub(crate) embed::Router);

impl From<embed::Router> for Router {
    fn from(router: embed::Router) -> Self {
        Self(router)
    }
}

/// Opens a router. `config` is JSON in the form of docs/configuration.md, `{"storage": {"data_dir": "data"}}`; empty
/// text means the defaults, which keep everything in memory. `log` may be NULL. Blocks until the store is ready.
///
/// The library takes over the `user` of `log` in any case: its `drop` is also called if the call fails.
///
/// # Safety
/// `config` has `config_len` bytes; `log` has as many as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_open(
    config: *const c_char,
    config_len: usize,
    log: *const LogCallbacks,
    out: Option<&mut MaybeUninit<*mut Router>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    // SAFETY: the caller promises that `log` has as many bytes as it says.
    let log = unsafe { sink(log) };
    give(out, err, || {
        let log = log?;
        // SAFETY: the caller promises the length.
        embed::Router::open(unsafe { text(config, config_len, "config") }?, log).wait()
    })
}

/// Takes no new tasks and waits until the present ones have ended, at most for `timeout_ms`; a negative time is no
/// limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: some tasks have not ended.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_drain(
    router: Option<&Router>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        let drained = of(router, "router")?.0.drain(timeout(timeout_ms).unwrap_or(LONG)).wait()?;
        if drained { Ok(()) } else { Err(not_yet("tasks that were there had not ended")) }
    })
}

/// Ends the router: stops the listeners, cancels running tasks and closes the store. After it has returned
/// `CORTENSOR_STATUS_OK`, no callback runs or starts. Blocks, at most for `timeout_ms`; a negative time is no limit.
/// `CORTENSOR_STATUS_TIMEOUT`: the router is closed, but some of its work has not ended; call again to continue the
/// wait. `CORTENSOR_STATUS_WOULD_DEADLOCK` inside a callback. After it has succeeded, further calls do nothing. The
/// program must still free this handle and all handles that came from it; other calls with them return
/// `CORTENSOR_STATUS_CLOSED`.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_shutdown(
    router: Option<&Router>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || of(router, "router")?.0.shutdown(timeout(timeout_ms)))
}

/// Frees the handle. Other handles of this router stay valid and keep it open. A router that was not shut down is
/// closed in the background when its last handle is freed, and its callbacks may still run for a short time. A program
/// whose callbacks need its own state must therefore shut the router down first. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_free(router: Option<Box<Router>>) {
    quietly(|| drop(router));
}
