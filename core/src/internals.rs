//! A door for the command and the project's own tests and benchmarks: no part of the public interface, and free to
//! change in any release.

pub use crate::config::client_tls;
#[cfg(feature = "miner-client")]
pub use crate::config::distrust;
pub use crate::miner::listed_models;
pub use crate::model::visible;
pub use crate::secrecy::logs_no_secret;
#[cfg(feature = "miner-socket")]
pub use cortensor_router_protocol as protocol;
