//! The HTTP listener.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use cortensor_router::embed;

use crate::guard::{done, give, not_yet, of, timeout};
use crate::text::text;
use crate::unwind::quietly;
use crate::{Bytes, Error, Router, Status};

/// A listener that serves. Any thread may use it.
#[derive(Debug)]
pub struct Listener(embed::Listener);

impl From<embed::Listener> for Listener {
    fn from(listener: embed::Listener) -> Self {
        Self(listener)
    }
}

/// Starts the HTTP listener. `config` is JSON, the `listen` section of docs/configuration.md, `{"port": 0}` for any free port; empty text
/// for the router's own settings. Blocks until it listens.
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

/// The address of the listener, as `127.0.0.1:5010`.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_listener_address(
    listener: Option<&Listener>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || Ok(of(listener, "listener")?.0.address().to_string()))
}

/// Every open surface and how it is protected, one line each.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_listener_posture(
    listener: Option<&Listener>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || Ok(of(listener, "listener")?.0.posture().join("\n")))
}

/// Takes no new connections and waits until running requests have ended, at most for `timeout_ms`; a negative time is
/// no limit beside `listen.drain_timeout_ms`. Blocks. `CORTENSOR_STATUS_TIMEOUT`: some had not ended.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_listener_stop(
    listener: Option<&Listener>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || of(listener, "listener")?.0.stop_within(timeout(timeout_ms)))
}

/// Waits until the listener has ended, for whatever reason, at most for `timeout_ms`; a negative time is no limit.
/// Blocks. `CORTENSOR_STATUS_TIMEOUT`: it still serves.
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

/// Frees the handle; the listener goes on until it is stopped or its router is shut down.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_listener_free(listener: Option<Box<Listener>>) {
    quietly(|| drop(listener));
}
