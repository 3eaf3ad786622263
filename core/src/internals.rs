//! A door for the project's own command, bindings, simulator, tests and benchmarks: no part of the public interface, and
//! free to change in any release.

pub use crate::config::client_tls;
#[cfg(feature = "miner-client")]
pub use crate::config::distrust;
#[cfg(feature = "listener")]
pub use crate::log::{LogRecord, LogRing};
pub use crate::miner::server::{SUPERVISE, supervise};
pub use crate::miner::{Received, Recorded, chain, received, recorded, retry_after_ms};
pub use crate::model::visible;
pub use crate::router::spans::{Span, SpanKind, SpanSink, SpanValue};
pub use crate::router::transcript::{Place, Push, Transcript};
pub use crate::router::{Follow, NOT_HEARD, blame_of};
pub use crate::secrecy::logs_no_secret;
pub use crate::verdict::judge;
pub use cortensor_router_engine as engine;
pub use cortensor_router_model::internals::{FIELDS, Field, Goes, hex};
#[cfg(feature = "miner-socket")]
pub use cortensor_router_protocol as protocol;

/// The stores.
pub mod store {
    pub use crate::store::*;
}

/// The rules of miners that dialled in, without sockets.
#[cfg(feature = "listener")]
pub mod remote {
    pub use crate::miner::remote::{Absence, Occupancy, Output, Session, SessionLimits};
}

/// Tokens and what they are made of.
pub mod token {
    pub use crate::token::*;
}

/// The heads that the listener serves without hyper.
#[cfg(feature = "listener")]
pub mod heads {
    pub use crate::listener::{Judged, judge};
}
