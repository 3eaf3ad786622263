//! A miner that works for a remote router.

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

/// A miner of this program that dials in to a remote router. Any thread may use the handle.
#[derive(Debug)]
pub struct MinerClient(embed::MinerClient);

impl From<embed::MinerClient> for MinerClient {
    fn from(client: embed::MinerClient) -> Self {
        Self(client)
    }
}

/// Starts a miner that dials in to a remote router. The miner reconnects if the connection breaks, and loses no
/// finished answer. `config` is JSON: `{"routers": ["ws://127.0.0.1:5010"], "name": "worker", "token": "...", "models":
/// ["tiny"], "capacity": 4}`. `log` may be NULL. Does not wait for the connection.
///
/// The library takes over both `user` in any case: `drop` is also called if the call fails.
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

/// The miner's counts and the state of its connection, as JSON: `connected`, `router`, `last_error`, `in_flight`,
/// `finished`, `committed` and others.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_client_stats(
    client: Option<&MinerClient>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(client, "client")?.0.stats())
}

/// Sets the maximum number of concurrent jobs, from 0 to the `capacity` of the configuration.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_client_set_capacity(
    client: Option<&MinerClient>,
    capacity: u32,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || of(client, "client")?.0.set_capacity(capacity))
}

/// Takes no new jobs, finishes the present ones, and closes, at the latest after `timeout_ms`; a negative time is no
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

/// Ends the miner: closes the connection and cancels the work. After it has returned `CORTENSOR_STATUS_OK`, no callback
/// runs or starts. Blocks, at most for `timeout_ms`; a negative time is no limit. `CORTENSOR_STATUS_TIMEOUT`: the miner
/// has not ended yet; call again to continue the wait. `CORTENSOR_STATUS_WOULD_DEADLOCK` inside a callback. After it
/// has succeeded, further calls do nothing.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_client_close(
    client: Option<&MinerClient>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || of(client, "client")?.0.close(timeout(timeout_ms)))
}

/// Frees the handle. A miner that was not closed ends in the background, and its callbacks may still run for a short
/// time. Does not block.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_client_free(client: Option<Box<MinerClient>>) {
    quietly(|| drop(client));
}
