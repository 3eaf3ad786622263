//! The protocol `cortensor-miner.v1`, by which miners dial in to a router: the frames and the handshake.
//!
//! Programs use the crate `cortensor-router`. The protocol is a crate of its own so that it stays free of a runtime,
//! sockets and disk access: its Cargo.toml has no dependency for them.
//!
//! | module | content |
//! |---|---|
//! | [`frame`] | the frames, as they are on the wire |
//! | [`handshake`] | the handshake that admits a miner, as a state machine |
//! | [`hello`] | the rules for a hello |
//! | [`identity`] | the identity of a miner: tokens, keys, signatures |
//! | [`queue`] | the frames of one connection that wait to be sent |
//! | [`raw`] | OpenAI's JSON, which is forwarded unchanged |

mod claim;
pub mod frame;
pub mod handshake;
#[cfg(test)]
mod handshake_tests;
pub mod hello;
pub mod identity;
pub mod queue;
pub mod raw;
mod record;
#[cfg(feature = "schema")]
mod schema;
#[cfg(test)]
mod secrecy_tests;
mod word;

#[cfg(feature = "schema")]
pub use schema::protocol_schema;
