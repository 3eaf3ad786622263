//! The HTTP listener.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use cortensor_router::embed;

use crate::guard::{done, give, not_yet, of, timeout};
use crate::text::text;
use crate::unwind::quietly;
use crate::{Bytes, Error, Router, Status};

/// A running listener. Any thread may use the handle.
#[derive(Debug)]
pub struct Listener(embed::Listener);

impl From<embed::Listener> for Listener {
    fn from(listener: embed::Listener) -> Self {
        Self(listener)
    }
}

/// Starts an HTTP listener. `config` is JSON, the `listen` section of docs/configuration.md, for example `{"port": 0}`
/// for any free port. An empty text means the router's own settings. Blocks until the listener is ready.
///
/// # Safety
/// `config` has `config_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_listen(
    router: Option<&Router>,
    config: *const c_char,
    config_len: usize,
    out: Option<&mut MaybeUninit<*mut Listener>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let config = unsafe { text(config, config_len, "config") }?;
        of(router, "router")?.0.listen(config).wait()
    })
}

/// The address of the listener, for example `127.0.0.1:5010`.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_listener_address(
    listener: Option<&Listener>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || Ok(of(listener, "listener")?.0.address().to_string()))
}

/// The open surfaces and how each one is protected, one line each.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_listener_posture(
    listener: Option<&Listener>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || Ok(of(listener, "listener")?.0.posture().join("\n")))
}

/// Takes no new connections and waits until running requests have ended, at most for `timeout_ms`; a negative time is
/// no limit except `listen.drain_timeout_ms`. Blocks. `CORTENSOR_STATUS_TIMEOUT`: some requests have not ended.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_listener_stop(
    listener: Option<&Listener>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || of(listener, "listener")?.0.stop_within(timeout(timeout_ms)))
}

/// Waits until the listener has ended for any reason, at most for `timeout_ms`; a negative time is no limit. Blocks.
/// `CORTENSOR_STATUS_TIMEOUT`: the listener still serves.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_listener_wait(
    listener: Option<&Listener>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        let mut ended = of(listener, "listener")?.0.ended();
        ended.wait_for(timeout(timeout_ms)).unwrap_or_else(|| Err(not_yet("the listener had not ended")))
    })
}

/// Frees the handle. The listener continues until it is stopped or its router is shut down.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_listener_free(listener: Option<Box<Listener>>) {
    quietly(|| drop(listener));
}
