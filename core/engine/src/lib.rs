//! The engine: a state machine without input or output. `step(event, now)` gives effects; no clock, no
//! randomness, no runtime and no unordered iteration, so that a run repeats exactly from its events.
//!
//! ```text
//! task:    queued --offer--> assigned --accept--> acked --all answers in--> precommitted --written--> committed, ended
//!             ^                                     |
//!             +------ attempt lost, tries left -----+        cancel, deadline, no tries left --> ended
//! attempt: offered --accept--> running --done--> done        each under a fence that never repeats
//! ```

mod admission;
mod breaker;
mod budget;
mod check;
mod choice;
mod dispatch;
mod ending;
mod entering;
mod event;
mod fit;
mod fleet;
mod hedge;
mod lifecycle;
mod line;
mod machine;
mod miner;
mod nodes;
mod pace;
mod phase;
mod prefix;
mod session;
mod settings;
mod step;
mod task;
mod timer;
mod trust;
mod view;

pub use breaker::BreakerState;
pub use event::{
    Blame, Demand, Effect, EndCause, Event, MinerKey, MinerRules, Refusal, Role, SessionRules, Standing, StopReason,
};
pub use machine::Engine;
pub use prefix::prefix_blocks;
pub use settings::{EngineSettings, PlantedBug};
pub use view::{MinerView, TaskView};
