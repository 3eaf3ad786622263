//! The one interface that all bindings wrap. Records are JSON text in the REST API's schema, pieces of text are bytes,
//! and objects are handles. A binding must neither copy types by hand nor hold logic of its own.
//!
//! Rules for every language:
//! * A [`Router`] owns its runtime. Every operation that takes time is a [`Call`]: block on it, await it, or register a
//!   function that gets the answer.
//! * A miner gets a [`Job`], which it answers exactly once, at any later time and from any thread.
//! * No call of a callback starts after the callback was released. The router releases a callback exactly once, after
//!   all calls of it have ended. [`Router::shutdown`] and [`Miner::remove`] wait for that, and refuse to run inside a
//!   callback.
//! * After a `fork`, calls in the child process fail with `Closed` and the code `forked`. The child must open a router
//! of
//!   its own.
//!
//! ```
//! use cortensor_router::embed::{Event, Next, Router};
//!
//! # fn main() -> cortensor_router::Result<()> {
//! let router = Router::open("{}", None).wait()?;
//! router.add_miner(r#"{"name": "shout", "capacity": 4}"#, |job: cortensor_router::embed::Job| {
//!     let _ = job.emit(job.prompt().to_uppercase().as_bytes());
//!     let _ = job.finish("");
//! })?;
//! let task = router.submit(0, r#"{"prompt": "hello"}"#).wait()?;
//! let stream = task.stream(0)?;
//! while let Next::Event(event) = stream.next(None)? {
//!     if let Event::Token { text, .. } = event {
//!         assert_eq!(&text[..], b"HELLO");
//!     }
//! }
//! router.shutdown(None)?;
//! # Ok(())
//! # }
//! ```

mod answer;
mod call;
mod callback;
mod client;
mod embeddings;
mod host;
mod http;
mod job;
mod json;
mod listener;
mod log;
mod miner;
mod notify;
mod options;
mod park;
mod process;
mod record;
mod router;
mod schema;
mod stream;
mod task;
mod visit;

pub use crate::miner::Emit;
pub use crate::{Error, ErrorKind, KINDS, KindRow, Result};
pub use call::{Call, Canceller};
pub use client::MinerClient;
pub use embeddings::Embeddings;
pub use http::{HttpHandler, HttpRequest, HttpResponse};
pub use job::Job;
pub use listener::Listener;
pub use log::{LogRecord, LogSink};
pub use miner::{HostMiner, Miner};
pub use options::{REQUEST as REQUEST_OPTIONS, SESSION as SESSION_OPTIONS, fail_codes, meant as meant_option};
#[doc(hidden)]
pub use process::{Bound, count_forks, forked};
pub use record::{error_json, json_text, record_id};
pub use router::Router;
#[doc(hidden)]
pub use schema::packages_file;
pub use stream::{Event, Next, Stream, Subscriber, Subscription};
pub use task::Task;

/// The version of the product, equal in all languages.
pub const VERSION: &str = crate::VERSION;
