//! `Router`: the typed API. It drives the engine, the store and the miners on tokio.
//!
//! The engine stands behind one lock, which is held for microseconds and never over an `await`, a miner's
//! code or the disk. Tokens do not pass through it: they go from the miner's job to the task's transcript.
//!
//! Calls go one way. Each line uses those below it:
//!
//! ```text
//! listener, embed, Rust programs
//! complete, tasks, submission, stream      the API: the calls of a program, and its handles
//! intake                                   who asks for what, checked
//! admit                                    a task comes in
//! drive                                    passes events to the engine and carries out its effects; judge and
//!                                          ending are two of the deeds, unwritten repeats one of them
//! attempt, wait                            one miner's work on a task; the callers that hold or await the task
//! outbox, message                          the ends of tasks on their way to webhooks
//! reload, miners, remote, upstreams,       the calls that change the configuration, miners, sessions, keys and known
//! managed, sessions, keys, known, usage    miners, and that read usage
//! shared                                   all that the router holds, with the state of `core` behind its lock
//! core, live, slot, seats, key_ring,       the parts of that state
//! quota, rate, spent, meters, underway, transcript,
//! recent, claim, memory, metrics, commits, totals,
//! spans, skills, clock, in_force
//! ```
//!
//! `servers` stands beside `upstreams`: it starts and stops the model servers among them that have a command.
//!
//! `fleet` stands beside them: the work of a router that shares its store with others. Of a router that does not,
//! nothing of it exists.
//!
//! A module below `drive` reports upwards by an event, with `Shared::step`: an attempt reports its miner's tokens and
//! answer, a deed reports its result, and `sessions` and `miners` report changes. One call goes against the
//! order: a comparison that needs vectors admits a task of its own. A task holds the `underway` half of each attempt,
//! so that it can cancel the attempt.

#[cfg(feature = "listener")]
pub(crate) mod accept;
#[cfg(test)]
#[cfg(feature = "listener")]
mod accept_tests;
mod admit;
mod aliases;
mod attempt;
mod claim;
mod clock;
mod commits;
mod complete;
mod core;
mod cost;
mod drive;
mod ending;
#[cfg(feature = "listener")]
mod exposition;
#[cfg(feature = "listener")]
mod facts;
mod figures;
mod fleet;
mod house;
mod in_force;
mod inspect;
mod intake;
mod judge;
#[cfg(feature = "listener")]
pub(crate) mod key_end;
mod key_ring;
mod keys;
mod known;
mod live;
#[cfg(feature = "listener")]
mod managed;
mod memory;
mod message;
mod meters;
mod metrics;
mod miners;
mod open;
mod outbox;
mod quota;
mod rate;
mod recent;
mod reload;
#[cfg(feature = "listener")]
mod remote;
#[cfg(feature = "listener")]
mod seats;
mod servers;
mod sessions;
mod settings;
mod shared;
mod skills;
mod slot;
pub(crate) mod spans;
mod spent;
mod stream;
mod submission;
mod tasks;
mod terms;
#[cfg(feature = "listener")]
mod totals;
pub(crate) mod transcript;
#[cfg(feature = "listener")]
mod undelivered;
mod underway;
mod unwritten;
mod upstreams;
mod usage;
mod wait;

pub use attempt::blame_of;
#[cfg(feature = "listener")]
pub(crate) use exposition::Exposition;
#[cfg(feature = "listener")]
pub(crate) use facts::{Facts, Observed};
#[cfg(feature = "listener")]
pub(crate) use intake::{Checked, Fingerprint, Wish};
#[cfg(any(feature = "listener", feature = "embed"))]
pub(crate) use intake::{Intake, RepeatKey};
#[cfg(feature = "listener")]
pub(crate) use judge::said;
#[cfg(feature = "listener")]
pub(crate) use key_ring::{KeyRing, Known};
#[cfg(feature = "listener")]
pub(crate) use managed::UpstreamInfo;
#[cfg(feature = "listener")]
pub(crate) use memory::{Held, Memory};
#[cfg(feature = "listener")]
pub(crate) use metrics::{Metrics, RequestLabels};
pub use miners::{MinerHandle, ModelInfo};
pub use open::RouterBuilder;
#[cfg(feature = "listener")]
pub(crate) use quota::{Left, Meter};
pub use reload::{Follow, Reloaded, ReloadedUpstreams};
pub use sessions::SessionFilter;
pub use shared::Router;
pub use slot::NOT_HEARD;
pub use stream::{StreamEvent, TokenStream};
pub use submission::{Submission, SubmitOptions};
#[cfg(feature = "listener")]
pub(crate) use totals::Totals;
#[cfg(feature = "listener")]
pub(crate) use undelivered::WaitingMessage;
pub use usage::{UsagePart, UsageReport};
