//! The service classes of sessions, and which of them a miner meets.

use super::miner::MinerEntry;

/// The demands of a service class on a miner. A miner that was not measured yet counts as good enough, so that it
/// gets measured.
struct ServiceClass {
    /// The greatest share of attempts that may fail by its fault.
    errors: f64,
    /// The smallest number of tokens a second.
    speed: f64,
    /// The greatest number of milliseconds to the first token.
    first_token_ms: f64,
}

/// Classes 1, 2, and 3 and above. Class 0 demands nothing.
const CLASSES: [ServiceClass; 3] = [
    ServiceClass { errors: 0.10, speed: 0.0, first_token_ms: f64::INFINITY },
    ServiceClass { errors: 0.05, speed: 10.0, first_token_ms: 2_000.0 },
    ServiceClass { errors: 0.02, speed: 25.0, first_token_ms: 1_000.0 },
];

impl MinerEntry {
    pub(super) fn meets(&self, class: u32) -> bool {
        let Some(class) = (class as usize).checked_sub(1).map(|index| &CLASSES[index.min(CLASSES.len() - 1)]) else {
            return true;
        };
        self.errors() <= class.errors
            && (self.speed() <= 0.0 || self.speed() >= class.speed)
            && (self.first_token_ms() <= 0.0 || self.first_token_ms() <= class.first_token_ms)
    }

    /// The greatest service class whose demands the miner meets.
    pub(super) fn service_class(&self) -> u32 {
        (1..=CLASSES.len() as u32).rev().find(|class| self.meets(*class)).unwrap_or(0)
    }
}
