//! The router's side of miners that dial in. The frames of the protocol are in the crate `core/protocol`.
//!
//! | file | content |
//! |---|---|
//! | [`session`], `answer`, `output` | the state of one miner's attempts, without sockets, clock or locks |
//! | `occupancy` | the rules of a seat over its miner's connections, without sockets, clock or locks |
//! | [`seat`] | makes a session a [`Miner`](super::Miner) of the router |
//! | `offer` | makes the frame that offers a job |
//! | `connection` | one WebSocket connection of a seat |

mod answer;
pub(crate) mod connection;
mod occupancy;
mod offer;
mod output;
pub(crate) mod seat;
mod session;
#[cfg(test)]
mod session_tests;

pub use occupancy::{Absence, Occupancy};
pub use output::{Output, SessionLimits};
pub(crate) use seat::{Seat, SeatSettings};
pub use session::Session;
