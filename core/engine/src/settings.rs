//! Settings of the engine.

use cortensor_router_model::{Gid, TaskId};

/// Settings of the engine. Times are milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineSettings {
    /// The time within which a miner must take or decline an offer.
    pub accept_timeout_ms: u64,
    /// A miner that says nothing for this long loses the task: before its first token only to another miner that could
    /// take it.
    pub progress_timeout_ms: u64,
    /// The greatest number of tries of a task.
    pub max_attempts: u32,
    /// The base of the random wait before a retry. The wait is at most 25 times the base.
    pub retry_base_ms: u64,
    /// Retries a second that are always allowed.
    pub retry_floor_per_sec: f64,
    /// Retries allowed as a share of recent successes.
    pub retry_ratio: f64,
    /// The number of tasks that must fail in a row to open a miner's breaker. Each task counts once.
    pub breaker_failures: u32,
    /// The time for which a breaker opens the first time. It doubles with each further opening, up to 20 times that.
    pub breaker_open_ms: u64,
    /// Waiting tasks that a free miner chooses from.
    pub scan_window: usize,
    /// A task that waited for so long is served before those of higher bands.
    pub starvation_ms: u64,
    /// The time for which a task whose caller waits stays while no miner could serve it. With 0 the engine refuses it
    /// at once.
    pub no_miner_grace_ms: u64,
    /// Whether a second miner races one that is slow to begin.
    pub hedge: bool,
    /// The greatest share of tasks for which a second miner races.
    pub hedge_budget: f64,
    /// The share of ended tasks whose answers are checked: another miner gets the same request.
    pub recheck_ratio: f64,
    /// The greatest number of such checks at a time.
    pub max_rechecks: u32,
    /// The reputation below which a miner is set aside.
    pub min_reputation: f64,
    /// How far one comparison moves a reputation.
    pub reputation_step: f64,
    /// The time for which a miner is set aside.
    pub set_aside_ms: u64,
    /// The greatest share of the ephemeral miners that may be kept for sessions.
    pub max_reserved: f64,
    /// The greatest number of tasks that wait for a miner.
    pub max_queued_tasks: u64,
    /// The greatest number of tasks of one session that wait for a miner.
    pub max_queued_per_session: u64,
    /// The greatest number of bytes of all waiting requests together.
    pub max_queued_bytes: u64,
    /// The greatest number of miners at a time. The engine remembers reputations for twice as many.
    pub max_miners: u64,
    /// The number of this start of the router, which is the upper part of every fence.
    pub epoch: u64,
    /// The global id of the first new task.
    pub first_gid: Gid,
    /// The greatest global id that this engine may give out. Those beyond it belong to other routers.
    pub last_gid: Gid,
    /// The time within which another router must begin to use a slot that was lent to it.
    pub lend_ms: u64,
    /// Whether the ids of a session's tasks come in blocks with [`Event::Ids`](crate::Event::Ids), because other routers
    /// number tasks of the session, too.
    pub ids_in_blocks: bool,
    /// The id of a session's first task.
    pub first_task_id: TaskId,
}

/// The defaults of the configuration.
impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            accept_timeout_ms: 2_000,
            progress_timeout_ms: 60_000,
            max_attempts: 3,
            retry_base_ms: 200,
            retry_floor_per_sec: 3.0,
            retry_ratio: 0.2,
            breaker_failures: 5,
            breaker_open_ms: 30_000,
            scan_window: 16,
            starvation_ms: 30_000,
            no_miner_grace_ms: 2_000,
            hedge: false,
            hedge_budget: 0.05,
            recheck_ratio: 0.0,
            max_rechecks: 16,
            min_reputation: 0.5,
            reputation_step: 0.1,
            set_aside_ms: 3_600_000,
            max_reserved: 0.5,
            max_queued_tasks: 100_000,
            max_queued_per_session: 100_000,
            max_queued_bytes: 1 << 30,
            max_miners: 10_000,
            epoch: 1,
            first_gid: Gid(1),
            last_gid: Gid(u64::MAX),
            lend_ms: 6_250,
            ids_in_blocks: false,
            first_task_id: TaskId(1),
        }
    }
}
