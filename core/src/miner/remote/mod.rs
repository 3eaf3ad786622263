//! The router's side of miners that dial in. The frames of the protocol are in the crate `core/protocol`.
//!
//! | file | content |
//! |---|---|
//! | [`session`], `answer`, `output` | the state of one miner's attempts, without sockets, clock or locks |
//! | [`seat`] | makes a session a [`Miner`](super::Miner) of the router |
//! | `offer` | makes the frame that offers a job |
//! | `connection` | one WebSocket connection of a seat |

mod answer;
pub(crate) mod connection;
mod offer;
mod output;
pub(crate) mod seat;
mod session;
#[cfg(test)]
mod session_tests;

pub(crate) use output::SessionLimits;
pub(crate) use seat::{Seat, SeatSettings};
