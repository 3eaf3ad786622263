//! The time and the effects of one event, which the parts of the engine hand on to each other.

use cortensor_router_model::Timestamp;

use super::effect::Effect;

/// The step that handles one event.
#[derive(Debug)]
pub(super) struct Step {
    now: Timestamp,
    out: Vec<Effect>,
}

impl Step {
    /// A step without effects yet. `out` is an empty list whose memory the effects take.
    pub(super) fn at(now: Timestamp, out: Vec<Effect>) -> Self {
        debug_assert!(out.is_empty(), "effects of an earlier step are left");
        Self { now, out }
    }

    /// The time of the event.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Adds an effect after those that are there.
    pub(super) fn push(&mut self, effect: Effect) {
        self.out.push(effect);
    }

    /// Adds the effect, if there is one.
    pub(super) fn extend(&mut self, effect: Option<Effect>) {
        self.out.extend(effect);
    }

    /// The number of effects so far.
    pub(super) fn len(&self) -> usize {
        self.out.len()
    }

    /// All effects, in order.
    pub(super) fn effects(self) -> Vec<Effect> {
        self.out
    }
}
