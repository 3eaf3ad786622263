//! The engine: a state machine without input or output. `step(event, now)` gives effects. The engine has no clock, no
//! randomness, no runtime and no unordered iteration, so that a run repeats exactly from its events.
//!
//! ```text
//! task:    queued --offer--> assigned --accept--> acked --all answers in--> precommitted --written--> ended
//!             ^                                     |
//!             +------ attempt lost, tries left -----+        cancel, deadline, no tries left --> ended
//! attempt: offered --accept--> running --done--> done        each under a fence that never repeats
//! ```

mod answerers;
mod attempt;
mod breaker;
mod budget;
mod chance;
mod cost;
mod demand;
mod drain;
mod effect;
mod event;
mod fit;
mod fleet;
mod free;
mod hedging;
mod identities;
mod lane;
mod lend;
mod line;
mod machine;
mod miner;
mod names;
mod pace;
mod pages;
mod phase;
mod prefix;
mod rank;
mod rules;
mod service;
mod session;
mod sessions;
mod settings;
mod skills;
mod slots;
mod smoothing;
mod sorted;
mod step;
mod table;
mod task;
mod tasks;
mod timer;
mod trials;
mod trust;

pub use breaker::BreakerState;
pub use demand::{Demand, Lack, Target};
pub use effect::{Effect, EndCause, Refusal, Role, StopReason};
pub use event::{Blame, Event};
pub use lend::{Deputy, Heir, Need, Want, Wanted};
pub use machine::{Engine, MinerView, TaskView};
pub use prefix::prefix_blocks;
pub use rules::{MinerKey, MinerRules, SessionRules};
pub use settings::EngineSettings;
pub use skills::Skills;
