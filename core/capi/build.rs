//! The shared library's name for the linker and its ABI number, which is set in this one place.

/// Grows when a program that was built with an older header would no longer work; never for additions.
const ABI: u32 = 1;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=CORTENSOR_ABI_VERSION={ABI}");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcortensor_router.so.{ABI}");
        // Threads of a router may run a little longer than its last handle: a plugin that is unloaded keeps the code.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
