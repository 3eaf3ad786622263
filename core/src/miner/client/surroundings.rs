//! The network that a miner dials on, and the source of its random numbers. A test on a simulated network gives others.

use crate::miner::network::{Network, System};

/// The network that a miner dials on, and the source of its random numbers.
pub trait Surroundings: Network {
    /// A random number.
    fn chance(&self) -> u64;
}

impl Surroundings for System {
    /// If the system has no randomness, the number comes from the clock.
    fn chance(&self) -> u64 {
        let mut bytes = [0_u8; 8];
        if getrandom::fill(&mut bytes).is_err() {
            return std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |d| u64::from(d.subsec_nanos()));
        }
        u64::from_le_bytes(bytes)
    }
}
