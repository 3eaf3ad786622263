//! Miners that dial in: the protocol `cortensor-miner.v1`, of which both ends are made here.
//!
//! | file | what it holds |
//! |---|---|
//! | [`frame`], `record` | the frames, as they are on the wire |
//! | [`identity`] | who a miner is: tokens, keys, signatures |
//! | [`session`], `answer`, `output` | the router's side of one miner, without sockets, clock or locks |
//! | [`seat`] | that side as a [`Miner`](super::Miner) of the router |
//! | `offer` | a job as the offer that goes out |
//! | `connection`, `link` | one WebSocket connection, of a seat and of either side |

mod answer;
pub(crate) mod connection;
pub mod frame;
pub mod identity;
pub(crate) mod link;
mod offer;
mod output;
pub(crate) mod raw;
mod record;
#[cfg(feature = "listener")]
mod schema;
pub mod seat;
pub mod session;
#[cfg(test)]
mod session_tests;

pub use output::{Output, SessionLimits};
#[cfg(feature = "listener")]
pub use schema::protocol_schema;
pub use seat::{Seat, SeatControl, SeatSettings};
pub use session::Session;
