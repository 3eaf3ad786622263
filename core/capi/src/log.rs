//! The host's log sink.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;

use cortensor_router::embed::{self, Result};

use crate::error::c_text;
use crate::guard::null;
use crate::table::{self, Table, User};

/// The receiver of a router's log records. Calls come one at a time, from a thread of the router that may block.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LogCallbacks {
    /// `sizeof(cortensor_log_callbacks)`.
    pub struct_size: usize,
    /// The pointer that every call gets.
    pub user: *mut c_void,
    /// Takes a record: the time in milliseconds since the Unix epoch; the level, which is `"error"`, `"warn"`,
    /// `"info"`,
    /// `"debug"` or `"trace"`; the part of the router that writes; the text. The texts end with a NUL and are valid
    /// during the call.
    pub on_record: Option<
        unsafe extern "C" fn(
            user: *mut c_void,
            time_ms: u64,
            level: *const c_char,
            target: *const c_char,
            message: *const c_char,
        ),
    >,
    /// Called once, after the last record; may be NULL.
    pub drop: Option<unsafe extern "C" fn(user: *mut c_void)>,
}

// SAFETY: it is `repr(C)` with the size first; zero is a NULL pointer and a function that is absent.
unsafe impl Table for LogCallbacks {
    const LEAST: usize = offset_of!(Self, drop) + size_of::<usize>();
}

/// The sink of a table; `None` for NULL.
///
/// # Safety
/// As for [`table::read`].
pub(crate) unsafe fn sink(log: *const LogCallbacks) -> Result<Option<embed::LogSink>> {
    if log.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise is the same.
    let log = unsafe { table::read(log, "log") }?;
    let user = User::new(log.user, log.drop);
    let on_record = log.on_record.ok_or_else(|| null("log.on_record"))?;
    Ok(Some(Box::new(move |record| {
        // This line makes the closure capture the whole `User`, so that its drop runs with the closure.
        let user = &user;
        let (level, target, message) = (c_text(record.level), c_text(record.target), c_text(&record.message));
        // SAFETY: this is the host's function with the host's pointer; the texts live until it returns.
        unsafe { on_record(user.data, record.time_ms, level.as_ptr(), target.as_ptr(), message.as_ptr()) };
    })))
}
