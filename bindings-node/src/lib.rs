//! The native part of the npm package `cortensor-router`: `cortensor_router::embed` as classes for the JavaScript beside
//! it (`lib/`), which is its only caller and makes the API that people see.
//!
//! No value of JavaScript is kept here. What takes time is started with a number; the answer goes with that number into the
//! queue of the environment ([`bridge`]), and one weak function wakes JavaScript to empty it. So a promise costs
//! an entry in a map and not a handle, many answers cross in one call, and what comes late, when the environment
//! is gone, is dropped.

mod bridge;
mod client;
mod error;
mod http;
mod job;
mod listener;
mod miner;
mod payload;
mod router;
mod task;

use cortensor_router::embed;
use napi_derive::napi;

/// The version of the product.
#[napi]
pub fn version() -> &'static str {
    embed::VERSION
}

/// Runs the `cortensor-router` command, the program's name first, and gives its exit status. It handles signals and
/// installs a logger: for a process that does nothing else.
#[napi(catch_unwind)]
pub fn command(arguments: Vec<String>) -> u8 {
    embed::command(arguments.into_iter().map(Into::into))
}
