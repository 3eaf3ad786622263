//! The seats of miners that dialled in.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::engine::MinerKey;
use crate::miner::remote::Seat;

/// The miners that dialled in, by id.
#[derive(Default)]
pub(super) struct Remotes {
    pub(super) by_id: Mutex<HashMap<String, Remote>>,
}

/// A miner that dialled in.
pub(super) struct Remote {
    pub(super) seat: Arc<Seat>,
    pub(super) key: MinerKey,
    pub(super) models: Vec<String>,
}
