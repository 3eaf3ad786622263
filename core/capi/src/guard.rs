//! The frame around every entry point: it lets no panic out, and writes outputs only on success.

use std::any::Any;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use cortensor_router::embed::{self, ErrorKind, Result};

use crate::{Error, Status};

/// Runs a call whose only result is its status.
pub(crate) fn done(err: Option<&mut MaybeUninit<*mut Error>>, call: impl FnOnce() -> Result<()>) -> Status {
    let error = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return Status::Ok,
        Ok(Err(error)) => error,
        Err(panic) => embed::Error::new(ErrorKind::Panic, message(panic.as_ref())),
    };
    let status = Status::of(error.kind());
    if let Some(err) = err {
        err.write(Box::into_raw(Box::new(Error::from(error))));
    }
    status
}

/// Runs a call that gives a handle or bytes.
pub(crate) fn give<T, V: Into<T>>(
    out: Option<&mut MaybeUninit<*mut T>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
    call: impl FnOnce() -> Result<V>,
) -> Status {
    done(err, || {
        // The place is checked first: the call must not run if its result cannot be returned.
        let out = out.ok_or_else(|| null("out"))?;
        out.write(Box::into_raw(Box::new(call()?.into())));
        Ok(())
    })
}

/// Checks that a handle is not NULL.
pub(crate) fn of<'a, T>(handle: Option<&'a T>, param: &str) -> Result<&'a T> {
    handle.ok_or_else(|| null(param))
}

pub(crate) fn null(param: &str) -> embed::Error {
    embed::Error::invalid(param, format!("{param} is NULL")).with_code("null_pointer")
}

/// Converts milliseconds to a timeout. A negative number means no limit.
pub(crate) fn timeout(milliseconds: i64) -> Option<Duration> {
    u64::try_from(milliseconds).ok().map(Duration::from_millis)
}

/// The timeout that stands for no limit in calls that need one: 136 years.
pub(crate) const LONG: Duration = Duration::from_secs(u32::MAX as u64);

/// The error of a call that has waited for `timeout_ms` without result.
pub(crate) fn not_yet(what: &str) -> embed::Error {
    embed::Error::new(ErrorKind::Timeout, format!("{what} within the time given: call again to go on waiting"))
        .with_code("wait_timeout")
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the router panicked: {}", text.unwrap_or("no message"))
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::unwind::{look, quietly};
    use crate::{Bytes, cortensor_error_free, cortensor_error_message, cortensor_error_status};

    #[test]
    fn a_panic_becomes_a_status() {
        let mut out = MaybeUninit::new(std::ptr::null_mut::<Bytes>());
        let mut err = MaybeUninit::new(std::ptr::null_mut());
        let status = give::<Bytes, String>(Some(&mut out), Some(&mut err), || panic!("at the {}", "border"));
        assert_eq!(status, Status::Panic);
        // SAFETY: it was written above.
        let out = unsafe { out.assume_init() };
        // SAFETY: as above.
        let err = unsafe { err.assume_init() };
        assert!(out.is_null(), "an output is written only when all is well");
        // SAFETY: `give` made it with `Box::into_raw`, and this is the only pointer to it.
        let error = unsafe { Box::from_raw(err) };
        assert_eq!(cortensor_error_status(Some(&error)), Status::Panic);
        // SAFETY: the text lives as long as the error and ends with a NUL.
        let message = unsafe { CStr::from_ptr(cortensor_error_message(Some(&error))) };
        assert_eq!(message, c"the router panicked: at the border");
        cortensor_error_free(Some(error));
        quietly(|| panic!("in a destructor"));
        assert_eq!(look(Some(&1), 7, |_| panic!("in a getter")), 7);
    }

    #[test]
    fn nothing_is_done_when_the_outcome_could_not_be_given() {
        assert_eq!(give::<Bytes, String>(None, None, || unreachable!()), Status::InvalidArgument);
    }
}
