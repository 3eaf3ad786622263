//! Sessions.

use std::ffi::c_char;
use std::mem::MaybeUninit;

use cortensor_router::embed;

use crate::guard::{done, give, of};
use crate::text::text;
use crate::{Bytes, Error, Router, Status};

/// Opens a session and gives its id and its record. `spec` is JSON, the body of `POST /api/v1/sessions`, for example
/// `{"name": "chat", "model": "tiny"}`; only `name` is required. `session_id` and `out` may be NULL. Session 0 always
/// exists. Blocks until the session is durable.
///
/// # Safety
/// `spec` has `spec_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_create_session(
    router: Option<&Router>,
    spec: *const c_char,
    spec_len: usize,
    session_id: Option<&mut MaybeUninit<u64>>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    let create = || {
        // SAFETY: the caller promises the length.
        let spec = unsafe { text(spec, spec_len, "spec") }?;
        let record = of(router, "router")?.0.create_session(spec).wait()?;
        if let Some(place) = session_id {
            place.write(embed::record_id(&record)?);
        }
        Ok(record)
    };
    if out.is_none() { done(err, || create().map(drop)) } else { give(out, err, create) }
}

/// The record of a session.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_session(
    router: Option<&Router>,
    session_id: u64,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(router, "router")?.0.session(session_id))
}

/// A page of sessions, as `{"count","sessions":[...]}`. `query` is `{"state","limit","offset"}`, each optional.
///
/// # Safety
/// `query` has `query_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_sessions(
    router: Option<&Router>,
    query: *const c_char,
    query_len: usize,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let query = unsafe { text(query, query_len, "query") }?;
        of(router, "router")?.0.sessions(query)
    })
}

/// Changes a session and gives its record. `patch` is the body of `PATCH /api/v1/sessions/{id}`. Blocks until the
/// change is durable.
///
/// # Safety
/// `patch` has `patch_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_update_session(
    router: Option<&Router>,
    session_id: u64,
    patch: *const c_char,
    patch_len: usize,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || {
        // SAFETY: the caller promises the length.
        let patch = unsafe { text(patch, patch_len, "patch") }?;
        of(router, "router")?.0.update_session(session_id, patch).wait()
    })
}

/// Closes a session and gives its record. New tasks are refused; present ones finish. Blocks until the change is
/// durable.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_close_session(
    router: Option<&Router>,
    session_id: u64,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(router, "router")?.0.close_session(session_id).wait())
}
