//! `Router`: the typed API. It drives the engine, the store and the miners on tokio.
//!
//! The engine stands behind one lock, which is held for microseconds and never over an `await`, a miner's
//! code or the disk. Tokens do not pass through it: they go from the miner's job to the task's transcript.

#[cfg(feature = "listener")]
pub(crate) mod accept;
#[cfg(all(test, feature = "listener"))]
mod accept_tests;
mod admit;
mod attempt;
mod claim;
mod clock;
mod complete;
mod drive;
mod ending;
mod inspect;
mod intake;
mod judge;
mod keys;
mod known;
mod live;
mod memory;
mod metrics;
mod miners;
mod open;
mod recent;
#[cfg(feature = "listener")]
mod remote;
mod sessions;
mod settings;
mod shared;
mod stream;
mod submission;
mod tasks;
pub(crate) mod transcript;
mod upstreams;

#[cfg(feature = "listener")]
pub(crate) use intake::{Checked, Wish};
#[cfg(any(feature = "listener", feature = "embed"))]
pub(crate) use intake::{Intake, RepeatKey};
#[cfg(feature = "listener")]
pub(crate) use keys::{KeyRing, Known};
#[cfg(feature = "listener")]
pub(crate) use memory::{Held, Memory};
pub use metrics::Metrics;
pub use miners::{MinerHandle, ModelInfo};
pub use open::RouterBuilder;
pub use sessions::SessionFilter;
pub use shared::Router;
pub use stream::{StreamEvent, TokenStream};
pub use submission::{Submission, SubmitOptions};
