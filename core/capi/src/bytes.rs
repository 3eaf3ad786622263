//! Texts that the library gives to its caller.

use std::ffi::c_char;
use std::ptr;

use crate::unwind::quietly;

/// Text that the library gives to its caller: UTF-8, most often JSON. A piece of an HTTP body may be any bytes.
#[derive(Debug)]
pub struct Bytes {
    /// The text, followed by a NUL.
    text: Box<[u8]>,
}

impl From<String> for Bytes {
    fn from(text: String) -> Self {
        let mut text = text.into_bytes();
        text.push(0);
        Self { text: text.into_boxed_slice() }
    }
}

impl From<::bytes::Bytes> for Bytes {
    fn from(piece: ::bytes::Bytes) -> Self {
        Self { text: [&piece[..], b"\0"].concat().into_boxed_slice() }
    }
}

/// The text, followed by a NUL that `cortensor_bytes_len` does not count. It is valid as long as the bytes; NULL for
/// NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_bytes_data(bytes: Option<&Bytes>) -> *const c_char {
    bytes.map_or(ptr::null(), |bytes| bytes.text.as_ptr().cast())
}

/// The number of bytes of the text; 0 for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_bytes_len(bytes: Option<&Bytes>) -> usize {
    bytes.map_or(0, |bytes| bytes.text.len() - 1)
}

/// Frees bytes.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_bytes_free(bytes: Option<Box<Bytes>>) {
    quietly(|| drop(bytes));
}
