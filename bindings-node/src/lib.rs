//! The native part of the npm package `cortensor-router`: `cortensor_router::embed` as classes. The JavaScript beside
//! it (`lib/`) is its only caller and makes the API for users.
//!
//! No value of JavaScript is kept here. Slow work is started with a number; the answer goes with that number into the
//! queue of the environment (`bridge`), and one weak function wakes JavaScript to empty it. A promise therefore costs
//! an entry in a map and not a handle, many answers cross in one call, and answers that come after the environment has
//! ended are dropped.

mod bridge;
mod client;
mod error;
mod http;
mod job;
mod listener;
mod miner;
mod near;
mod payload;
mod router;
mod run;
mod task;

use cortensor_router::embed;
use napi_derive::napi;

/// Counts the forks of this process from now on.
#[napi_derive::module_init]
fn count_forks() {
    #[cfg(unix)]
    {
        extern "C" fn child() {
            embed::forked();
        }
        // SAFETY: the handler lives as long as the addon, which Node.js never unloads, and only changes a number.
        if unsafe { libc::pthread_atfork(None, None, Some(child)) } != 0 {
            return;
        }
    }
    embed::count_forks();
}

/// The version of the product.
#[napi]
pub fn version() -> &'static str {
    embed::VERSION
}

/// The router's names of the options that can stand beside a prompt.
#[napi]
pub fn request_options() -> Vec<&'static str> {
    embed::REQUEST_OPTIONS.to_vec()
}

/// The names that a session can be opened with.
#[napi]
pub fn session_options() -> Vec<&'static str> {
    embed::SESSION_OPTIONS.to_vec()
}

/// The option to which an unknown name is close; `session` selects the options of sessions.
#[napi]
pub fn meant_option(session: bool, unknown: String) -> Option<&'static str> {
    embed::meant_option(if session { embed::SESSION_OPTIONS } else { embed::REQUEST_OPTIONS }, &unknown)
}

/// The codes with which a miner's failure may be reported.
#[napi]
pub fn fail_codes() -> Vec<&'static str> {
    embed::fail_codes().collect()
}

/// Runs the `cortensor-router` command, the program's name first, and gives its exit status. It handles signals and
/// installs a logger, so the process must do nothing else.
#[napi(catch_unwind)]
pub fn command(arguments: Vec<String>) -> u8 {
    // Node.js handles these signals in its event loop, which does not run meanwhile. A command that has no handler of
    // its own ends by them, as any program does.
    #[cfg(unix)]
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the default action is no function that could be called at a wrong time.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    cortensor_router_cli::run(arguments.into_iter().map(Into::into))
}
