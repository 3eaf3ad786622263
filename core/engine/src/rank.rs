//! The order among free miners.

use super::rules::MinerKey;

/// The order among free miners: the least loaded first, then the fastest, then the one whose turn it is.
///
/// The parts are packed into two numbers, because ranks are compared often and many of them are kept: one bit for a
/// last resort, 10 bits for the load, 32 for the slowness, 53 for the turn, and 32 for the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    high: u64,
    low: u64,
}

const LOAD_BITS: u32 = 10;
const TURN_BITS: u32 = 53;
/// The bits of the turn that stand in the lower number, above the key.
const LOW_TURN_BITS: u32 = 32;

impl Rank {
    pub(super) fn new(last_resort: bool, load: u64, slowness: u32, turn: u64, key: MinerKey) -> Self {
        let load = load.min((1 << LOAD_BITS) - 1);
        let turn = turn.min((1 << TURN_BITS) - 1);
        let kind = u64::from(last_resort) << LOAD_BITS | load;
        Self {
            high: (kind << 32 | u64::from(slowness)) << (TURN_BITS - LOW_TURN_BITS) | turn >> LOW_TURN_BITS,
            low: turn << LOW_TURN_BITS | u64::from(key.0),
        }
    }

    pub(super) fn is_last_resort(self) -> bool {
        self.high >> 63 == 1
    }

    pub(super) fn key(self) -> MinerKey {
        MinerKey(self.low as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_rank_count_in_their_order_and_keep_apart() {
        let most = Rank::new(false, 999, u32::MAX, u64::MAX, MinerKey(u32::MAX));
        assert_eq!((most.key(), most.is_last_resort()), (MinerKey(u32::MAX), false));
        let ascending = [
            Rank::new(false, 0, 0, 0, MinerKey(7)),
            Rank::new(false, 0, 0, 0, MinerKey(u32::MAX)),
            Rank::new(false, 0, 0, 1, MinerKey(0)),
            Rank::new(false, 0, 0, u64::from(u32::MAX) + 1, MinerKey(0)),
            Rank::new(false, 0, 1, 0, MinerKey(0)),
            Rank::new(false, 1, 0, 0, MinerKey(0)),
            most,
            Rank::new(true, 0, 0, 0, MinerKey(0)),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b), "{ascending:?}");
        assert!(ascending[7].is_last_resort());
    }
}
