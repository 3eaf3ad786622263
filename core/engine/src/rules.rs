//! The rules of sessions and miners, as far as the engine needs them.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use cortensor_router_model::SessionMode;

use super::skills::Skills;

/// The key of a miner while it is there. A miner that comes back gets a new key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinerKey(pub u32);

/// The properties of a session that the engine needs.
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
    /// The model of its tasks that name none. The engine also counts and reserves miners for the session by this
    /// model.
    pub model: Option<Arc<str>>,
    /// The fewest miners that must be able to serve it; 0: no demand.
    pub min_miners: u32,
    /// Maximum number of miners that work for it at a time; `None`: no limit.
    pub max_miners: Option<NonZeroU32>,
    /// How many ephemeral miners are kept for it alone; 0: none.
    pub reserve: u32,
    /// The time for which they are kept after its last task, in milliseconds.
    pub reserve_ms: u64,
    /// Its service class; 0: no demand.
    pub sla: u32,
}

impl SessionRules {
    /// Whether its tasks need lanes of their own, because not every free miner may have them.
    pub(super) fn restricted(&self) -> bool {
        self.min_miners > 0 || self.max_miners.is_some() || self.reserve > 0 || self.sla > 0
    }
}

/// The properties of a miner that the engine needs.
#[derive(Debug, Clone, Default)]
pub struct MinerRules {
    /// The identity of the miner, which stays the same when the miner comes back under another key.
    pub identity: Arc<str>,
    /// The models it serves; empty: any.
    pub models: Vec<Arc<str>>,
    /// The name under which it is asked for as a model while it lists none; empty: no such name.
    pub called: Arc<str>,
    /// Whether its first list of models, or the first sign that it is up, is still awaited.
    /// [`Event::Heard`](crate::Event::Heard) ends that.
    pub awaited: bool,
    /// Whether it comes up when tasks wait for it, as a model server does that the router starts. Tasks wait for it as
    /// for one that is there.
    pub on_call: bool,
    /// The greatest number of tasks at a time.
    pub capacity: u32,
    /// Its share of the tasks among equal miners, at least 1.
    pub weight: u32,
    /// Whether it makes embeddings.
    pub embeddings: bool,
    /// The things that it can do and others cannot.
    pub skills: Skills,
    /// The person or company that runs it; empty: the miner counts as its own owner.
    pub owner: Arc<str>,
    /// Whether it is dedicated to sessions rather than ephemeral.
    pub dedicated: bool,
    /// Whether it can continue a text that another miner began.
    pub continues: bool,
    /// Whether it accepts every offer without an answer to it, as callbacks and upstreams do.
    pub auto_accept: bool,
    /// Whether it gets a task only if no other miner could serve the task.
    pub last_resort: bool,
    /// The number of the other router that it is at, and of which this one may borrow its slots; 0: it is this router's own.
    /// It never changes.
    pub host: u32,
}

impl MinerRules {
    /// Whether it is a miner of another router.
    pub(crate) fn is_foreign(&self) -> bool {
        self.host != 0
    }
}
