//! Miners: callbacks of the host, and servers that the router calls.

use std::ffi::{c_char, c_void};
use std::mem::{MaybeUninit, offset_of};

use cortensor_router::embed;

use crate::guard::{done, give, not_yet, null, of, timeout};
use crate::table::{self, Table, User};
use crate::text::text;
use crate::unwind::quietly;
use crate::{Error, Job, Router, Status};

/// A flag of `cortensor_miner_callbacks`: `on_job` neither blocks nor calls the router, but only passes the job on. It
/// then runs directly on the thread that dispatches, which saves a thread switch.
pub const CORTENSOR_MINER_QUICK: u64 = 1;

/// The code of a miner.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct MinerCallbacks {
    /// `sizeof(cortensor_miner_callbacks)`.
    pub struct_size: usize,
    /// The pointer that every call gets.
    pub user: *mut c_void,
    /// Takes a job, which the host owns from now on. The host must answer it exactly once, here or later and from any
    /// thread, and must free it. Calls come from threads of the router that may block, several at once up to the
    /// miner's capacity.
    pub on_job: Option<unsafe extern "C" fn(user: *mut c_void, job: *mut Job)>,
    /// Called once, after the last call of `on_job` has ended; may be NULL.
    pub drop: Option<unsafe extern "C" fn(user: *mut c_void)>,
    /// 0, or `CORTENSOR_MINER_QUICK`.
    pub flags: u64,
}

// SAFETY: it is `repr(C)` with the size first; zero is a NULL pointer, a function that is absent, and no flag.
unsafe impl Table for MinerCallbacks {
    const LEAST: usize = offset_of!(Self, flags);
}

pub(crate) struct Worker {
    user: User,
    on_job: unsafe extern "C" fn(*mut c_void, *mut Job),
    quick: bool,
}

impl embed::HostMiner for Worker {
    fn on_job(&self, job: embed::Job) {
        let job = Box::into_raw(Box::new(Job::from(job)));
        // SAFETY: this is the host's function with the host's pointer; the job is the host's from here on.
        unsafe { (self.on_job)(self.user.data, job) };
    }

    fn is_quick(&self) -> bool {
        self.quick
    }
}

pub(crate) fn worker(callbacks: &MinerCallbacks) -> embed::Result<Worker> {
    let user = User::new(callbacks.user, callbacks.drop);
    let on_job = callbacks.on_job.ok_or_else(|| null("callbacks.on_job"))?;
    if callbacks.flags & !CORTENSOR_MINER_QUICK != 0 {
        let message = format!("callbacks.flags is {:#x}: this library knows CORTENSOR_MINER_QUICK", callbacks.flags);
        return Err(embed::Error::invalid("callbacks.flags", message));
    }
    Ok(Worker { user, on_job, quick: callbacks.flags & CORTENSOR_MINER_QUICK != 0 })
}

/// A miner of the host program that was added. Any thread may use the handle.
#[derive(Debug)]
pub struct Miner(embed::Miner);

impl From<embed::Miner> for Miner {
    fn from(miner: embed::Miner) -> Self {
        Self(miner)
    }
}

/// Adds a miner of the host program. `spec` is JSON: `{"name": "local", "models": ["tiny"], "capacity": 4}`. `out`
/// may be NULL if the handle is not needed.
///
/// The library takes over `user` in any case: `drop` is also called if the call fails.
///
/// # Safety
/// `spec` has `spec_len` bytes; `callbacks` is NULL or has as many as it says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_add_miner(
    router: Option<&Router>,
    spec: *const c_char,
    spec_len: usize,
    callbacks: *const MinerCallbacks,
    out: Option<&mut MaybeUninit<*mut Miner>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    // SAFETY: the caller promises its size.
    let callbacks = unsafe { table::read(callbacks, "callbacks") };
    let add = || {
        let worker = worker(&callbacks?)?;
        // SAFETY: the caller promises the length.
        let spec = unsafe { text(spec, spec_len, "spec") }?;
        of(router, "router")?.0.add_miner(spec, worker)
    };
    if out.is_none() { done(err, || add().map(drop)) } else { give(out, err, add) }
}

/// Adds an OpenAI-compatible server as a miner. `upstream` is JSON, one `upstream` of docs/configuration.md:
/// `{"url": "http://127.0.0.1:8080/v1"}`.
///
/// # Safety
/// `upstream` has `upstream_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_add_upstream(
    router: Option<&Router>,
    upstream: *const c_char,
    upstream_len: usize,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        // SAFETY: the caller promises the length.
        let upstream = unsafe { text(upstream, upstream_len, "upstream") }?;
        of(router, "router")?.0.add_upstream(upstream)
    })
}

/// Removes the miner of this name, of any kind. Other miners take over its tasks. Does not wait for running callbacks.
///
/// # Safety
/// `name` has `name_len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cortensor_router_remove_miner(
    router: Option<&Router>,
    name: *const c_char,
    name_len: usize,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        // SAFETY: the caller promises the length.
        let name = unsafe { text(name, name_len, "name") }?;
        of(router, "router")?.0.remove_miner(name)
    })
}

/// Drains the miner: it gets no new jobs and finishes its present ones.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_drain(miner: Option<&Miner>, err: Option<&mut MaybeUninit<*mut Error>>) -> Status {
    done(err, || of(miner, "miner")?.0.drain())
}

/// Sets the maximum number of concurrent jobs of the miner.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_set_capacity(
    miner: Option<&Miner>,
    capacity: u32,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || of(miner, "miner")?.0.set_capacity(capacity))
}

/// Removes the miner. Other miners take over its tasks, and no further call of `on_job` starts. Waits for the running
/// calls, at most for `timeout_ms`; a negative time is no limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: some calls have
/// not ended; `CORTENSOR_STATUS_WOULD_DEADLOCK` inside a callback.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_remove(
    miner: Option<&Miner>,
    timeout_ms: i64,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    done(err, || {
        let ended = of(miner, "miner")?.0.remove(timeout(timeout_ms))?;
        if ended { Ok(()) } else { Err(not_yet("calls of on_job had not returned")) }
    })
}

/// Frees the handle. The miner continues.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_miner_free(miner: Option<Box<Miner>>) {
    quietly(|| drop(miner));
}
