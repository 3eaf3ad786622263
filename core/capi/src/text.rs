//! Texts that the host lends to a call.

use std::ffi::c_char;
use std::slice;

use cortensor_router::embed::{Error, Result};

use crate::guard::null;

/// The `len` bytes at `data`.
///
/// # Safety
/// If `len` is not 0 and `data` is not NULL, `data` has `len` bytes, which do not change during the call.
pub(crate) unsafe fn bytes<'a>(data: *const c_char, len: usize, param: &str) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(null(param));
    }
    if isize::try_from(len).is_err() {
        return Err(Error::invalid(param, format!("{param} has a length of {len} bytes: no text is that long")));
    }
    // SAFETY: it is not NULL, its length fits, and the caller promises the rest.
    Ok(unsafe { slice::from_raw_parts(data.cast(), len) })
}

/// Reads the bytes as UTF-8.
///
/// # Safety
/// As for [`bytes`].
pub(crate) unsafe fn text<'a>(data: *const c_char, len: usize, param: &str) -> Result<&'a str> {
    // SAFETY: the caller's promise is the same.
    let bytes = unsafe { bytes(data, len, param) }?;
    str::from_utf8(bytes).map_err(|error| {
        Error::invalid(param, format!("{param} is not UTF-8 at byte {}", error.valid_up_to())).with_code("not_utf8")
    })
}
