//! A router for AI inference that lives inside the host program. Programs submit tasks in sessions, and miners answer
//! them. An optional HTTP listener speaks Cortensor's REST API and OpenAI's API.
//!
//! ```
//! use cortensor_router::miner::Job;
//! use cortensor_router::model::{Answer, MinerSpec};
//! use cortensor_router::{Config, Router};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cortensor_router::Result<()> {
//! let router = Router::open(Config::default()).await?;
//! router.add_miner(MinerSpec::new("shout", 4), |job: Job| {
//!     job.emit(job.prompt().to_uppercase());
//!     job.finish(Answer::default());
//! })?;
//! assert_eq!(router.complete("hello").await?.text(), "HELLO");
//! router.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`Router::submit`] takes a session, a whole request and [`SubmitOptions`]; its [`Submission`] gives the answer
//! whole or as a [`TokenStream`]. The module `listener` serves HTTP, by a socket of its own or inside an axum program.

pub mod config;
mod damper;
#[cfg(feature = "embed")]
#[doc(hidden)]
pub mod embed;
mod id_map;
#[doc(hidden)]
pub mod internals;
#[cfg(feature = "listener")]
pub mod listener;
#[cfg(feature = "listener")]
mod log;
pub mod miner;
pub mod model;
mod reach;
mod router;
mod secrecy;
mod store;
mod task;
mod token;
mod verdict;

pub use config::Config;
use cortensor_router_engine as engine;
#[doc(inline)]
pub use cortensor_router_model::{Error, ErrorDetails, ErrorKind, KINDS, KindRow, Result, UpstreamError};
pub use router::{
    MinerHandle, ModelInfo, Router, RouterBuilder, SessionFilter, StreamEvent, Submission, SubmitOptions, TokenStream,
};
#[doc(hidden)]
pub use router::{Reloaded, ReloadedUpstreams, UsagePart, UsageReport};
pub use store::{ApiKey, MinerRecord, TaskPage, TaskQuery};
#[doc(hidden)]
pub use store::{UsageBy, UsageCounts, UsageQuery};
pub use token::{KeySpec, NewKey, Token};

/// The version of the product, the same in every language.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the Rust examples of the Markdown pages as tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/explanation/concepts.md")]
#[doc = include_str!("../../docs/tutorials/rust.md")]
#[doc = include_str!("../../README.md")]
struct Pages;
