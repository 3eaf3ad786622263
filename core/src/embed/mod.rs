//! The one facade that every binding wraps: records are JSON text in the REST API's schema, pieces of text are bytes,
//! lifetimes are handles. No binding mirrors types by hand, and none holds logic.
//!
//! Rules that hold for every language:
//! * A [`Router`] owns its runtime. Every operation that takes time is a [`Call`]: block on it, await it, or have a
//!   function called.
//! * A miner is offered a [`Job`], which it answers exactly once, later, from any thread.
//! * No call of a callback starts after it was released; it is released once, after every call has ended.
//!   [`Router::shutdown`] and [`Miner::remove`] wait for that, and refuse to run inside of a callback.
//! * After a `fork` the child gets `Closed` with the code `forked`, and must not touch the parent's objects.
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
//! let stream = task.stream(0);
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
mod stream;
mod task;

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
pub use options::{REQUEST as REQUEST_OPTIONS, SESSION as SESSION_OPTIONS, meant as meant_option};
pub use record::{error_json, json_text, record_id};
pub use router::Router;
pub use stream::{Event, Next, Stream, Subscriber, Subscription};
pub use task::Task;

/// The version of the product, the same in every language.
pub const VERSION: &str = crate::VERSION;
