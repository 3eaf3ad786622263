//! The facade [`cortensor_router::embed`] for Kotlin, Swift and Ruby, by UniFFI. Private; the packages of the three
//! languages wrap it.
//!
//! No thread of the router ever enters a language's runtime. Answers, jobs and log records go into a `mailbox`, from
//! which a thread of the language takes them; each carries the number (`token`) under which the language waits for it.
//! Records and options cross as JSON text.

mod client;
mod error;
mod http;
mod job;
mod listener;
mod mailbox;
mod message;
mod miner;
mod process;
mod router;
mod stream;
mod task;
mod visit;

uniffi::setup_scaffolding!("cortensor_router_native");

/// The version of the product.
#[uniffi::export]
pub fn version() -> String {
    cortensor_router::embed::VERSION.to_owned()
}

/// The names of the options that may stand beside a prompt.
#[uniffi::export]
pub fn request_options() -> Vec<String> {
    cortensor_router::embed::REQUEST_OPTIONS.iter().map(|&name| name.to_owned()).collect()
}

/// The option beside a prompt that a mistyped name probably means.
#[uniffi::export]
pub fn meant_request_option(name: String) -> Option<String> {
    let meant = cortensor_router::embed::meant_option(cortensor_router::embed::REQUEST_OPTIONS, &name);
    meant.map(str::to_owned)
}

/// The names of the options of a session.
#[uniffi::export]
pub fn session_options() -> Vec<String> {
    cortensor_router::embed::SESSION_OPTIONS.iter().map(|&name| name.to_owned()).collect()
}
