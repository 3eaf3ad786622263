//! Model miners. Their slots do not slow each other down; they have one rate for the prompt and one for the answer; and
//! their cache of prompt blocks forgets the block that was used the longest ago.

use std::collections::BTreeMap;
use std::collections::HashMap;

use super::workload::{BLOCK_TOKENS, Request};

/// The abilities of a miner.
#[derive(Debug, Clone)]
pub(crate) struct MinerModel {
    /// The number of tasks at a time.
    pub(crate) slots: u32,
    /// Tokens of a prompt a second in each slot.
    pub(crate) prefill: f64,
    /// Tokens of an answer a second in each slot.
    pub(crate) decode: f64,
    /// The number of prompt blocks in its cache.
    pub(crate) cache: usize,
    /// The share of its attempts that fail, a tenth of a second after they began.
    pub(crate) failing: f64,
}

impl MinerModel {
    fn new(slots: u32, prefill: f64, decode: f64) -> Self {
        Self { slots, prefill, decode, cache: 0, failing: 0.0 }
    }

    /// The milliseconds until the first token of a prompt with that number of cached tokens.
    pub(crate) fn prefill_ms(&self, request: &Request, cached: u64) -> f64 {
        request.prompt.saturating_sub(cached) as f64 / self.prefill * 1_000.0
    }

    /// The milliseconds from the first token to the last.
    pub(crate) fn decode_ms(&self, request: &Request) -> f64 {
        request.output as f64 / self.decode * 1_000.0
    }
}

/// Sixteen different miners with 68 slots; the best is three times as fast as the worst.
pub(crate) fn mixed() -> Vec<MinerModel> {
    let kinds = [
        (4, MinerModel::new(8, 8_000.0, 40.0)),
        (6, MinerModel::new(4, 4_000.0, 25.0)),
        (6, MinerModel::new(2, 2_000.0, 12.0)),
    ];
    kinds.into_iter().flat_map(|(count, kind)| std::iter::repeat_n(kind, count)).collect()
}

/// Sixteen equal miners with 8 slots, each with a cache of 4 000 blocks.
pub(crate) fn alike() -> Vec<MinerModel> {
    vec![MinerModel { cache: 4_000, ..MinerModel::new(8, 16_000.0, 40.0) }; 16]
}

/// The requests a second that the fleet serves without a cache while every slot is always busy.
pub(crate) fn capacity(fleet: &[MinerModel], requests: &[Request]) -> f64 {
    fleet
        .iter()
        .map(|miner| {
            let all: f64 = requests.iter().map(|one| miner.prefill_ms(one, 0) + miner.decode_ms(one)).sum();
            f64::from(miner.slots) / (all / requests.len() as f64 / 1_000.0)
        })
        .sum()
}

/// The blocks that a miner has read recently.
#[derive(Debug)]
pub(crate) struct Cache {
    room: usize,
    uses: u64,
    used: HashMap<u64, u64>,
    order: BTreeMap<u64, u64>,
}

impl Cache {
    pub(crate) fn new(room: usize) -> Self {
        Self { room, uses: 0, used: HashMap::new(), order: BTreeMap::new() }
    }

    /// The number of tokens at the beginning of the prompt that are in the cache.
    pub(crate) fn cached(&self, request: &Request) -> u64 {
        let blocks = request.blocks.iter().take_while(|block| self.used.contains_key(block)).count() as u64;
        // The last token is always computed.
        (blocks * BLOCK_TOKENS).min(request.prompt.saturating_sub(1))
    }

    pub(crate) fn read(&mut self, request: &Request) {
        for block in request.blocks.iter() {
            self.uses += 1;
            if let Some(old) = self.used.insert(*block, self.uses) {
                self.order.remove(&old);
            }
            self.order.insert(self.uses, *block);
        }
        while self.used.len() > self.room {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.used.remove(&oldest);
        }
    }
}
