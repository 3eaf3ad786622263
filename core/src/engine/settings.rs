//! What the engine is set to.

use crate::config::{DispatchConfig, LimitsConfig};
use crate::model::{Gid, TaskId};

/// What the engine is set to.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    pub(super) accept_timeout_ms: u64,
    pub(super) progress_timeout_ms: u64,
    pub(super) max_attempts: u32,
    pub(super) retry_base_ms: u64,
    pub(super) retry_floor_per_sec: f64,
    pub(super) retry_ratio: f64,
    pub(super) breaker_failures: u32,
    pub(super) breaker_open_ms: u64,
    pub(super) scan_window: usize,
    pub(super) starvation_ms: u64,
    pub(super) no_miner_grace_ms: u64,
    pub(super) hedge: bool,
    pub(super) hedge_budget: f64,
    pub(super) audit_ratio: f64,
    pub(super) max_audits: u32,
    pub(super) min_reputation: f64,
    pub(super) reputation_step: f64,
    pub(super) set_aside_ms: u64,
    pub(super) max_reserved: f64,
    pub(super) max_queued_tasks: u64,
    pub(super) max_queued_per_session: u64,
    pub(super) max_queued_bytes: u64,
    pub(super) max_miners: u64,
    /// Counts the starts of the router; the upper part of every fence.
    pub epoch: u64,
    /// The global id of the first new task.
    pub first_gid: Gid,
    /// The id of a session's first task.
    pub first_task_id: TaskId,
}

impl EngineSettings {
    /// Settings from the configuration.
    pub fn new(dispatch: &DispatchConfig, limits: &LimitsConfig) -> Self {
        Self {
            accept_timeout_ms: dispatch.accept_timeout_ms,
            progress_timeout_ms: dispatch.progress_timeout_ms,
            max_attempts: dispatch.max_attempts,
            retry_base_ms: dispatch.retry_base_ms,
            retry_floor_per_sec: dispatch.retry_floor_per_sec,
            retry_ratio: dispatch.retry_ratio,
            breaker_failures: dispatch.breaker_failures,
            breaker_open_ms: dispatch.breaker_open_ms,
            scan_window: dispatch.scan_window,
            starvation_ms: dispatch.starvation_ms,
            no_miner_grace_ms: dispatch.no_miner_grace_ms,
            hedge: dispatch.hedge_after_p95,
            hedge_budget: dispatch.hedge_budget,
            audit_ratio: dispatch.audit_ratio,
            max_audits: dispatch.max_audits,
            min_reputation: dispatch.min_reputation,
            reputation_step: dispatch.reputation_step,
            set_aside_ms: dispatch.set_aside_ms,
            max_reserved: dispatch.max_reserved,
            max_queued_tasks: limits.max_queued_tasks,
            max_queued_per_session: limits.max_queued_per_session,
            max_queued_bytes: limits.queued_bytes(),
            max_miners: limits.max_miners,
            epoch: 1,
            first_gid: Gid(1),
            first_task_id: TaskId(1),
        }
    }
}

/// A defect planted on purpose, to prove that the simulator finds it. None of them exists without the
/// feature `planted-bugs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedBug {
    /// Answers under an old fence count.
    IgnoreFence,
    /// A lost attempt is not queued again.
    DropRequeue,
    /// A credit is given back twice.
    DoubleCredit,
    /// A fence is given out twice.
    ReuseFence,
    /// A cancelled task's miner is not told.
    ForgetCancel,
    /// The end is shown before it is durable.
    ShowBeforeCommit,
    /// One miner answers a redundant task twice.
    SameMinerTwice,
    /// Deadlines are not kept.
    ForgetDeadline,
    /// Every session starts at tag zero.
    UnfairTags,
    /// A text that clients have seen is started over without telling them.
    ContinueFromNothing,
    /// The loser of a race is not told.
    KeepBothHedges,
    /// Answers that do not agree end well.
    SilentPick,
    /// A miner that is kept for one session serves another.
    IgnoreReservation,
    /// A session has more miners than it may.
    IgnoreMaxMiners,
    /// A miner that comes back under another key counts as another one.
    ForgetIdentity,
    /// A miner whose reputation is too low goes on.
    KeepLiar,
    /// An owner's miners confirm each other although others are there.
    IgnoreOwner,
    /// An end that met no row in the store is shown.
    ShowUnwritten,
    /// The pieces of every start are numbered from 1.
    ReuseNumbers,
}
