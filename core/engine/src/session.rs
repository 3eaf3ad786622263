//! What the engine keeps of a session.

use std::collections::{BTreeMap, BTreeSet};

use cortensor_router_model::{TaskId, Timestamp};

use super::event::{MinerKey, SessionRules};
use super::line::Tag;

#[derive(Debug, Default)]
pub(super) struct SessionEntry {
    pub(super) rules: SessionRules,
    /// The finish tag of its last task.
    pub(super) finish: Tag,
    pub(super) next_task: TaskId,
    pub(super) taken: u64,
    pub(super) queued: u64,
    pub(super) active: u64,
    /// Mean tokens of an answer, for the estimate of the next; 0 while unknown.
    pub(super) mean_out: f64,
    pub(super) last_miner: Option<MinerKey>,
    /// The miners that work for it and on how many tasks, while it is restricted.
    pub(super) working: BTreeMap<MinerKey, u32>,
    /// The miners that are kept for it.
    pub(super) reserved: BTreeSet<MinerKey>,
    /// Until when miners are kept for it.
    pub(super) reserved_until: Timestamp,
}

impl SessionEntry {
    /// Its share among the sessions that have something waiting.
    pub(super) fn waiting_weight(&self) -> u64 {
        if self.queued > 0 { u64::from(self.rules.weight.max(1)) } else { 0 }
    }
}
