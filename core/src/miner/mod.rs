//! The interface of miners. The router offers a [`Job`] to a miner; the miner answers it exactly once, at any later
//! time and from any thread.

#[cfg(feature = "miner-client")]
pub mod client;
mod echo;
mod home;
mod job;
#[cfg(feature = "miner-socket")]
pub(crate) mod link;
mod network;
#[cfg(test)]
mod recorder;
#[cfg(any(feature = "listener", feature = "postgres"))]
pub(crate) mod remote;
pub(crate) mod server;
mod turn;
mod upstream;

#[cfg(feature = "miner-socket")]
pub(crate) use cortensor_router_protocol as protocol;
pub use echo::EchoMiner;
#[cfg(feature = "listener")]
pub(crate) use home::Home;
pub(crate) use home::spawn;
pub use job::{Chunk, Emit, FailClass, Failure, Job, JobInfo, JobSink, MinerEvent, Settled};
#[cfg(feature = "postgres")]
pub(crate) use network::System;
#[doc(hidden)]
pub use network::{Coming, Connecting, Door, Network, Opening, Transport};
pub(crate) use turn::Turn;
#[cfg(feature = "listener")]
pub(crate) use upstream::ROUTE_NOT_SERVED;
#[doc(hidden)]
pub use upstream::{CreditWindow, ProbeReport, UpstreamMiner, UpstreamProbe};
#[doc(hidden)]
pub use upstream::{Received, Recorded, chain, received, recorded, retry_after_ms};

/// A miner: code that answers jobs. The router calls it on a thread of its runtime, so [`offer`](Self::offer) must not
/// block. Long work must run on a thread or a task of the miner's own.
///
/// ```
/// use cortensor_router::miner::{Job, Miner};
/// use cortensor_router::model::{Answer, FinishReason};
///
/// struct Shout;
/// impl Miner for Shout {
///     fn offer(&self, job: Job) {
///         job.emit(job.prompt().to_uppercase());
///         job.finish(Answer::default().finish_reason(FinishReason::Stop));
///     }
/// }
/// ```
pub trait Miner: Send + Sync + 'static {
    /// Takes a job. The miner may keep the job and answer it later. Dropping an unanswered job fails it.
    fn offer(&self, job: Job);
}

impl<F: Fn(Job) + Send + Sync + 'static> Miner for F {
    fn offer(&self, job: Job) {
        self(job);
    }
}
