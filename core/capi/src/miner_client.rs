//! A miner that works for a distant router.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use cortensor_router::embed;

use crate::guard::{LONG, done, give, not_yet, of, timeout};
use crate::log::{LogCallbacks, sink};
use crate::miner::{MinerCallbacks, worker};
use crate::table;
use crate::text::text;
use crate::unwind::quietly;
use crate::{Bytes, Error, Status};

/// A miner of this program that dials a router elsewhere and works for it. Any thread may use it.
#[derive(Debug)]
pub struct MinerClient(embed::MinerClient);

impl From<embed::MinerClient> for MinerClient {
    fn from(client: embed::MinerClient) -> Self {
        Self(client)
    }
}

/// Starts a miner that dials a router elsewhere, connects again if the connection breaks, and loses no finished
/// answer. `config` is JSON: `{"routers": ["ws://127.0.0.1:5010"], "name": "worker", "token": "...", "models":
/// ["tiny"], "capacity": 4}`. `log` may be NULL. Does not wait for the connection.
///
/// Both `user` are taken in any case: `drop` is also called if the call fails.
///
/// # Safety
/// `config` has `config_len` bytes; `callbacks` and `log` are NULL or have as many as they say.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_miner_client_start(
    config: *const c_char,
    config_len: usize,
    callbacks: *const MinerCallbacks,
    log: *const LogCallbacks,
    out: Option<&mut MaybeUninit<*mut MinerClient>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    // SAFETY: the caller promises its size.
    let worker = unsafe { table::read(callbacks, "callbacks") }.and_then(|callbacks| worker(&callbacks));
    // SAFETY: the caller promises its size.
    let log = unsafe { sink(log) };
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let config = unsafe { text(config, config_len, "config") }?;
        embed::MinerClient::start(config, worker?, log?)
    })
}

/// Its counts and its connection, as JSON: `connected`, `router`, `last_error`, `in_flight`, `finished`, `committed`
/// and others.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_client_stats(
    client: Option<&MinerClient>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(client, "client")?.0.stats())
}

/// Sets how many jobs it takes at a time from now on, at most the `capacity` that it was started with.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_client_set_capacity(
    client: Option<&MinerClient>,
    capacity: u32,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || of(client, "client")?.0.set_capacity(capacity))
}

/// Takes no new jobs, finishes those that it has, and leaves, at most within `timeout_ms`; a negative time is no
/// limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: some jobs were not finished, or the router does not have their answers.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_client_drain(
    client: Option<&MinerClient>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        let drained = of(client, "client")?.0.drain(timeout(timeout_ms).unwrap_or(LONG)).wait()?;
        if drained { Ok(()) } else { Err(not_yet("jobs had not been finished")) }
    })
}

/// Ends the miner: the connection is closed and its work cancelled. When this returns `CORTENSOR_STATUS_OK`, no
/// callback runs and none is called any more. Blocks, at most for `timeout_ms`; a negative time is no limit.
/// `CORTENSOR_STATUS_TIMEOUT`: something had not ended; call again to go on waiting.
/// `CORTENSOR_STATUS_WOULD_DEADLOCK` from inside of a callback. A second call does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_client_close(
    client: Option<&MinerClient>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || of(client, "client")?.0.close(timeout(timeout_ms)))
}

/// Frees the handle. A miner that was not closed ends in the background, and its callbacks may run a little longer.
/// Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_client_free(client: Option<Box<MinerClient>>) {
    quietly(|| drop(client));
}
