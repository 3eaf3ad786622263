//! Miners that dial in: the protocol `cortensor-miner.v1`, of which both ends are made here.
//!
//! | file | what it holds |
//! |---|---|
//! | [`frame`] | the frames, as they are on the wire |
//! | [`identity`] | who a miner is: tokens, keys, signatures |
//! | [`session`] | the router's side of one miner, without sockets, clock or locks |
//! | [`seat`] | that side as a [`Miner`](super::Miner) of the router |
//! | `link` | one WebSocket connection of either side |

pub mod frame;
pub mod identity;
pub(crate) mod link;
pub(crate) mod raw;
#[cfg(feature = "listener")]
mod schema;
pub mod seat;
pub mod session;
#[cfg(test)]
mod session_tests;

#[cfg(feature = "listener")]
pub use schema::protocol_schema;
pub use seat::{Seat, SeatControl, SeatSettings};
pub use session::{Output, Session, SessionLimits};
