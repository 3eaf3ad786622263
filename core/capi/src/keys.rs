//! API keys for listeners.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use crate::guard::{done, give, of};
use crate::text::text;
use crate::{Bytes, Error, Router, Status};

/// Makes an API key for listeners and gives `{"id","name","scopes","sessions","created_at","expires_at","token"}`.
/// The token cannot be read again later. `spec` is the body of `POST /api/v1/keys`; only `name` is required. Blocks
/// until the key is durable.
///
/// # Safety
/// `spec` has `spec_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_create_key(
    router: Option<&Router>,
    spec: *const c_char,
    spec_len: usize,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let spec = unsafe { text(spec, spec_len, "spec") }?;
        of(router, "router")?.0.create_key(spec).wait()
    })
}

/// The API keys, as `{"count","keys":[...]}`. Blocks while the store is read.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_keys(
    router: Option<&Router>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(router, "router")?.0.keys().wait())
}

/// Gives the usage, as the answer of `GET /api/v1/usage`. `query` is
/// `{"by","from","to","key","session","model","miner","limit","offset"}`, each optional; a blank text means this month by
/// day. Blocks while the store is read.
///
/// # Safety
/// `query` has `query_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_usage(
    router: Option<&Router>,
    query: *const c_char,
    query_len: usize,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let query = unsafe { text(query, query_len, "query") }?;
        of(router, "router")?.0.usage(query).wait()
    })
}

/// Revokes an API key by its id. Listeners refuse the key from now on and end its open requests. Blocks until the
/// revocation is durable.
///
/// # Safety
/// `id` has `id_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_delete_key(
    router: Option<&Router>,
    id: *const c_char,
    id_len: usize,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        // SAFETY: the caller promises the length.
        let id = unsafe { text(id, id_len, "id") }?;
        of(router, "router")?.0.delete_key(id).wait()
    })
}
