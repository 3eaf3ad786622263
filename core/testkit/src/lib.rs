//! Servers, miners and traffic on loopback, for the tests and benchmarks of the workspace.
//!
//! A [`Server`] is a router with its listener; it sends requests to itself over real sockets. A [`Mock`] is a model
//! server that plays a script byte by byte; an [`Upstream`] is one that speaks OpenAI's API. A [`Hand`] is a miner in
//! this process whose jobs the test answers; a [`dial_in::Hand`] dials in and is played frame by frame. A [`Proxy`]
//! stands between two ends and delays, holds, cuts or refuses their connections. A [`Log`] reads what the router logs.
//!
//! Every function here panics when a test's expectation is not met, which fails the test.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "what a test does not expect fails it")]

pub mod dial_in;
mod log;
pub mod machine;
pub mod miners;
pub mod mock;
pub mod postgres;
pub mod proxy;
pub mod random;
mod request;
pub mod server;
mod setting;
pub mod streams;
mod time;
pub mod traces;
pub mod upstream;
pub mod workload;
pub mod wrong;

pub use log::Log;
pub use miners::Hand;
pub use mock::Mock;
pub use postgres::{Pooler, Postgres};
pub use proxy::Proxy;
pub use server::Server;
pub use setting::setting;
pub use time::{until, within};
pub use upstream::Upstream;
