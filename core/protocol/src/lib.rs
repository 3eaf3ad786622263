//! The protocol `cortensor-miner.v1`, by which miners dial in to a router: what goes over the wire, and who may come in.
//!
//! Hosts use the crate `cortensor-router`. This crate of its own keeps the protocol free of a runtime, of sockets and of
//! the disk: Cargo.toml names none of them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`frame`] | the frames, as they are on the wire |
//! | [`handshake`] | whether a miner comes in, as a machine |
//! | [`hello`] | what a hello may say |
//! | [`identity`] | who a miner is: tokens, keys, signatures |
//! | [`raw`] | OpenAI's JSON on its way through |

pub mod frame;
pub mod handshake;
#[cfg(test)]
mod handshake_tests;
pub mod hello;
pub mod identity;
pub mod raw;
mod record;
#[cfg(feature = "schema")]
mod schema;

#[cfg(feature = "schema")]
pub use schema::protocol_schema;
