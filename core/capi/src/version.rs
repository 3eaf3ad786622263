//! The version of the library.

use std::ffi::{CStr, c_char};

use cortensor_router::embed;

/// The version as a C string.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// The version of the library, for example `"1.2.3"`. `CORTENSOR_VERSION` is the version of the header.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_version() -> *const c_char {
    debug_assert_eq!(VERSION.trim_end_matches('\0'), embed::VERSION);
    CStr::from_bytes_with_nul(VERSION.as_bytes()).unwrap_or_default().as_ptr()
}

/// The number of the library's ABI. A program that was built with another `CORTENSOR_ABI_VERSION` must not use the
/// library.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_abi_version() -> u32 {
    const ABI: u32 = match u32::from_str_radix(env!("CORTENSOR_ABI_VERSION"), 10) {
        Ok(abi) => abi,
        Err(_) => panic!("build.rs sets a number"),
    };
    ABI
}
