//! The rules of sessions and miners, as far as the engine needs them.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use cortensor_router_model::SessionMode;

/// A miner while it is there. A miner that comes back gets a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinerKey(pub u32);

/// What the engine needs to know of a session.
#[derive(Debug, Clone, Default)]
pub struct SessionRules {
    /// The band of its tasks.
    pub band: u8,
    /// Its share within a band, at least 1.
    pub weight: u32,
    /// Whether its tasks prefer the miner that served the last one.
    pub affinity: bool,
    /// Maximum number of tasks that it ever takes; `None`: no limit.
    pub max_tasks: Option<NonZeroU64>,
    /// Whether it takes tasks.
    pub open: bool,
    /// Which kinds of miners serve it.
    pub mode: SessionMode,
    /// The model of its tasks where they name none; what miners are counted and reserved by.
    pub model: Option<Arc<str>>,
    /// The fewest miners that must be able to serve it; 0: no demand.
    pub min_miners: u32,
    /// Maximum number of miners that work for it at a time; `None`: no limit.
    pub max_miners: Option<NonZeroU32>,
    /// How many ephemeral miners are kept for it alone; 0: none.
    pub reserve: u32,
    /// For how long after its last task they are kept, in milliseconds.
    pub reserve_ms: u64,
    /// Its service class; 0: the best effort.
    pub sla: u32,
}

impl SessionRules {
    /// Whether its tasks cannot stand in line with those of other sessions, because not every free miner may have them.
    pub(super) fn restricted(&self) -> bool {
        self.min_miners > 0 || self.max_miners.is_some() || self.reserve > 0 || self.sla > 0
    }
}

/// What the engine needs to know of a miner.
#[derive(Debug, Clone, Default)]
pub struct MinerRules {
    /// Who it is: it is the same miner when it comes back under another key.
    pub identity: Arc<str>,
    /// The models it serves; empty: any.
    pub models: Vec<Arc<str>>,
    /// The name under which it is asked for as a model while it lists none; empty: no such name.
    pub called: Arc<str>,
    /// Whether its first list of models, or the first sign that it is up, is still awaited. [`Event::Heard`] ends that.
    pub awaited: bool,
    /// Tasks at a time.
    pub capacity: u32,
    /// Its share among equals, at least 1.
    pub weight: u32,
    /// Whether it embeds.
    pub embeddings: bool,
    /// Who runs it; empty: itself.
    pub owner: Arc<str>,
    /// Whether it is dedicated to sessions rather than ephemeral.
    pub dedicated: bool,
    /// Whether it can go on from a text that another one began.
    pub continues: bool,
    /// Whether an offer is taken without a word (callbacks and upstreams).
    pub auto_accept: bool,
    /// Whether it is asked only where no other miner could serve the task.
    pub last_resort: bool,
}
