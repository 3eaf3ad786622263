//! Link arguments of the library: `-z nodelete`, because threads of a router may outlive the language's runtime, which
//! may unload what it has loaded when it ends.

fn main() {
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
