//! The requests of a session to its seat.

use crate::miner::protocol::frame::{ErrorFrame, RouterFrame};
use crate::miner::{Chunk, Failure};
use crate::model::{Answer, Fence};

/// The bounds of a session.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// The maximum bytes of `tokens` frames without an acknowledgement, per attempt.
    pub window: u64,
    /// The maximum bytes of one answer's text.
    pub output: u64,
    /// The maximum bytes of one whole answer, which stands beside the text.
    pub answer: u64,
    /// The time in milliseconds after which a cancelled attempt is forgotten if the miner does not answer.
    pub cancel_ms: u64,
    /// The maximum number of attempts, those included that were cancelled and that the miner has not answered.
    pub attempts: usize,
}

/// A request of a session to its seat. The seat must carry out the requests in their order.
#[derive(Debug)]
pub enum Output {
    /// Send the frame to the miner.
    Send(RouterFrame),
    /// Report that the miner took the offer.
    Accepted(Fence),
    /// Report that the miner refused the offer, or never received it.
    Rejected {
        /// The attempt.
        fence: Fence,
        /// The reason.
        reason: String,
        /// Milliseconds after which the miner wants to be asked again.
        retry_after_ms: Option<u64>,
    },
    /// Report a piece of the answer.
    Piece(Fence, Chunk),
    /// Report the complete answer, whose hash is right. The seat must later report its fate to
    /// [`Session::settled`](super::session::Session::settled).
    Done(Fence, Box<Answer>),
    /// Report that the attempt failed.
    Failed(Fence, Failure),
    /// Forget the attempt: the session sends no more outputs for it.
    Forgotten(Fence),
    /// Set the number of concurrent tasks that the miner may have.
    Credits(u32),
    /// Note that the miner takes no new offers.
    Draining,
    /// Note that the miner leaves.
    Bye,
    /// End the connection for this reason.
    Close(ErrorFrame),
}
