//! The C functions as a C program calls them: places for outputs, errors that are freed, events that are copied.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr;

use cortensor_router_capi as c;
use serde_json::Value;

/// A handle that is ours.
pub(crate) struct Held<T>(Box<T>);

impl<T> Held<T> {
    /// As the functions borrow it.
    #[allow(clippy::unnecessary_wraps, reason = "the functions take a pointer that may be NULL")]
    pub(crate) fn get(&self) -> Option<&T> {
        Some(&self.0)
    }
}

/// A call that failed.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) details: Value,
}

pub(crate) type Place<'a, T> = Option<&'a mut MaybeUninit<*mut T>>;

fn details(error: Option<&c::Error>) -> Value {
    // SAFETY: the text ends with a NUL and lives as long as the error.
    let text = unsafe { CStr::from_ptr(c::cortensor_error_details(error)) };
    serde_json::from_str(text.to_str().unwrap()).unwrap()
}

/// A call that gives nothing.
pub(crate) fn done(call: impl FnOnce(Place<'_, c::Error>) -> c::Status) -> Result<(), Fault> {
    let mut err = MaybeUninit::new(ptr::null_mut());
    let status = call(Some(&mut err));
    // SAFETY: it was written above, if not by the call.
    let err = unsafe { err.assume_init() };
    if status == c::Status::Ok {
        assert!(err.is_null(), "an error came with success");
        return Ok(());
    }
    // SAFETY: a call that fails gives an error, which is ours now.
    let error = unsafe { Box::from_raw(err) };
    assert_eq!(c::cortensor_error_status(Some(&error)), status);
    let details = details(Some(&error));
    c::cortensor_error_free(Some(error));
    Err(Fault { details })
}

/// A call that gives a handle.
pub(crate) fn held<T>(call: impl FnOnce(Place<'_, T>, Place<'_, c::Error>) -> c::Status) -> Result<Held<T>, Fault> {
    let mut out = MaybeUninit::new(ptr::null_mut());
    let made = done(|err| call(Some(&mut out), err));
    // SAFETY: it was written above, if not by the call.
    let out = unsafe { out.assume_init() };
    assert_eq!(made.is_err(), out.is_null(), "an output is written on success alone");
    made?;
    // SAFETY: what the call gives is ours now.
    Ok(Held(unsafe { Box::from_raw(out) }))
}

/// A call that gives text.
pub(crate) fn bytes(call: impl FnOnce(Place<'_, c::Bytes>, Place<'_, c::Error>) -> c::Status) -> Result<String, Fault> {
    let bytes = held(call)?;
    // SAFETY: the text ends with a NUL and lives as long as the bytes.
    let text = unsafe { CStr::from_ptr(c::cortensor_bytes_data(bytes.get())) };
    assert_eq!(text.count_bytes(), c::cortensor_bytes_len(bytes.get()));
    Ok(text.to_str().unwrap().to_owned())
}

/// A call that gives a record.
pub(crate) fn record(call: impl FnOnce(Place<'_, c::Bytes>, Place<'_, c::Error>) -> c::Status) -> Result<Value, Fault> {
    Ok(serde_json::from_str(&bytes(call)?).unwrap())
}

/// An event, copied.
pub(crate) struct Seen {
    pub(crate) kind: c::EventKind,
    pub(crate) seq: u64,
    pub(crate) text: String,
    pub(crate) error: Option<Value>,
}

/// The next event.
pub(crate) fn event(stream: &Held<c::Stream>, timeout_ms: i64) -> Result<Seen, Fault> {
    let mut event = c::Event {
        struct_size: size_of::<c::Event>(),
        kind: c::EventKind::End,
        seq: 0,
        data: ptr::null(),
        len: 0,
        error: ptr::null(),
    };
    // SAFETY: the event has its size.
    done(|err| unsafe { c::cortensor_stream_next(stream.get(), timeout_ms, &raw mut event, err) })?;
    // SAFETY: the event's text lives until the next call for the stream.
    let text = unsafe { std::slice::from_raw_parts(event.data.cast::<u8>(), event.len) };
    // SAFETY: as above.
    let error = unsafe { event.error.as_ref() };
    Ok(Seen {
        kind: event.kind,
        seq: event.seq,
        text: String::from_utf8(text.to_vec()).unwrap(),
        error: error.map(|error| details(Some(error))),
    })
}
