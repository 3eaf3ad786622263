//! The router's side of miners that dial in. The frames of the protocol are in the crate `core/protocol`.
//!
//! | file | what it holds |
//! |---|---|
//! | [`session`], `answer`, `output` | one miner's attempts, without sockets, clock or locks |
//! | [`seat`] | a session as a [`Miner`](super::Miner) of the router |
//! | `offer` | a job as the offer that goes out |
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
