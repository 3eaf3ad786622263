//! The parts that several tests of the engine share.

use cortensor_router_engine::{Effect, MinerKey};
use cortensor_router_model::Fence;

/// The miners that the effects offer a task to, each with the fence of its attempt.
pub(crate) fn offers(effects: &[Effect]) -> Vec<(MinerKey, Fence)> {
    let offer = |effect: &Effect| match effect {
        Effect::Offer { miner, fence, .. } => Some((*miner, *fence)),
        _ => None,
    };
    effects.iter().filter_map(offer).collect()
}
