//! Sets the name of the shared library for the linker, and the ABI number.

/// The ABI number. It must grow if a program that was built with an older header no longer works, and never for
/// additions. This is the only place that sets it.
const ABI: u32 = 1;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=CORTENSOR_ABI_VERSION={ABI}");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libcortensor_router.so.{ABI}");
        // Threads of a router may outlive its last handle, so an unloaded plugin must keep the code in memory.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
