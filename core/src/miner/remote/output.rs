//! The requests of a session to its seat.

use crate::miner::protocol::frame::{ErrorFrame, RouterFrame};
use crate::miner::{Chunk, Failure};
use crate::model::{Answer, Fence};

/// Bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionLimits {
    /// Bytes of `tokens` frames that may be under way unacknowledged, per attempt.
    pub(crate) window: u64,
    /// Bytes of one answer.
    pub(crate) output: u64,
}

/// The actions, in the order in which they must be done.
#[derive(Debug)]
pub(crate) enum Output {
    /// Send it to the miner.
    Send(RouterFrame),
    /// The miner took the offer.
    Accepted(Fence),
    /// The miner did not take the offer; it, or its last connection, never had it.
    Rejected {
        /// The attempt.
        fence: Fence,
        /// The reason.
        reason: String,
        /// Milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// A piece of the answer.
    Piece(Fence, Chunk),
    /// The answer is complete and its hash is right: [`Session::settled`] must tell what becomes of it.
    Done(Fence, Box<Answer>),
    /// The attempt failed.
    Failed(Fence, Failure),
    /// The attempt is over, and nothing more of it comes.
    Forgotten(Fence),
    /// How many tasks the miner may have in all from now on.
    Credits(u32),
    /// The miner takes no new offers.
    Draining,
    /// The miner leaves.
    Bye,
    /// The connection must end, for this reason.
    Close(ErrorFrame),
}
