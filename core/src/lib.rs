//! A router for AI inference that lives inside the host program: sessions, tasks, miners and,
//! where wanted, an HTTP listener that speaks Cortensor's REST API and OpenAI's.
//!
//! ```
//! use cortensor_router::{Config, Router, SubmitOptions};
//! use cortensor_router::miner::Job;
//! use cortensor_router::model::{Answer, MinerSpec, SessionId, TaskRequest};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> cortensor_router::Result<()> {
//! let router = Router::open(Config::default()).await?;
//! router.add_miner(MinerSpec::new("shout", 4), |job: Job| {
//!     job.emit(job.prompt().to_uppercase());
//!     job.finish(Answer::default());
//! })?;
//! let task = router.submit(SessionId(0), TaskRequest::completion("hello"), SubmitOptions::default()).await?;
//! assert_eq!(task.result().await?.answer.text, "HELLO");
//! router.close().await;
//! # Ok(())
//! # }
//! ```

pub mod config;
#[cfg(feature = "embed")]
#[doc(hidden)]
pub mod embed;
#[doc(hidden)]
pub mod internals;
#[cfg(feature = "listener")]
pub mod listener;
pub mod miner;
pub mod model;
mod router;
mod secrecy;
mod store;
mod token;
mod verdict;

pub use config::Config;
use cortensor_router_engine as engine;
#[doc(inline)]
pub use cortensor_router_model::{Error, ErrorDetails, ErrorKind, KINDS, KindRow, Result, UpstreamError};
pub use router::{
    Metrics, MinerHandle, ModelInfo, Router, RouterBuilder, SessionFilter, StreamEvent, Submission, SubmitOptions,
    TokenStream,
};
pub use store::{ApiKey, MinerRecord, TaskPage, TaskQuery};
pub use token::{KeySpec, NewKey, Token};

/// The version of the product, the same in every language.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The Rust examples of the documents are tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guide/concepts.md")]
#[doc = include_str!("../../README.md")]
struct Pages;
