//! Servers, miners and traffic on loopback, for the tests and benchmarks of the workspace.
//!
//! A [`Server`] is a router with its listener, and sends requests to itself over real sockets. A [`Mock`] is a model
//! server that plays a script to the byte; [`Upstream`] is one that speaks OpenAI's API. A [`Hand`] is a miner of this
//! process whose jobs the test answers, [`dial_in::Hand`] one that dials in and is played frame by frame. A [`Proxy`]
//! stands between two ends and cuts their connections.
//!
//! Everything here panics where something is not as a test expects it: that fails the test.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "what a test does not expect fails it")]

pub mod dial_in;
pub mod miners;
pub mod mock;
mod proxy;
pub mod random;
mod request;
pub mod server;
pub mod streams;
mod time;
pub mod traces;
pub mod upstream;
pub mod workload;

pub use miners::Hand;
pub use mock::Mock;
pub use proxy::Proxy;
pub use server::Server;
pub use time::{until, within};
pub use upstream::Upstream;
