//! How tasks reach miners, and what happens when one fails.

use serde::{Deserialize, Serialize};

use crate::model::OnFailure;
use crate::{Error, Result};

documented! {
/// Dispatch. Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DispatchConfig {
    /// A miner must take or decline an offer within this. Default 2000.
    pub accept_timeout_ms: u64,
    /// A miner that says nothing for this long loses the task, before its first token only if another miner could
    /// take it. The head and the comments of an upstream's stream count as words. Default 60000.
    pub progress_timeout_ms: u64,
    /// How often a task is tried, on another miner first. Miners that do not have its model or refuse it (404, 403)
    /// do not count: each is asked once. Default 3.
    pub max_attempts: u32,
    /// The shortest wait before a retry; the longest is 25 times that, chosen at random in between. Default 200.
    pub retry_base_ms: u64,
    /// Retries a second that are always allowed. Default 3.
    pub retry_floor_per_sec: f64,
    /// Retries allowed as a share of recent successes. Default 0.2.
    pub retry_ratio: f64,
    /// A miner's breaker opens after so many failed tasks in a row; each task counts once. Default 5.
    pub breaker_failures: u32,
    /// Milliseconds for which a breaker opens the first time; the time doubles up to 20 times that. Default 30000.
    pub breaker_open_ms: u64,
    /// Waiting tasks that a free miner chooses from. Default 16.
    pub scan_window: usize,
    /// A task that waited for this long is served before higher bands. Default 30000.
    pub starvation_ms: u64,
    /// How long a call waits until a miner is up that could serve it, before it fails with `no_miner`. 0: a task that
    /// no miner could ever serve is refused at once. Tasks that go on without a caller wait until their deadline.
    /// Default 2000.
    pub no_miner_grace_ms: u64,
    /// The rule for requests that do not say what follows when a miner is lost after clients have seen tokens:
    /// `fail`, `continue` or `restart`. Default `fail`.
    pub on_failure: OnFailure,
    /// Whether a second miner is asked if the first token takes longer than 95 % of the model's first tokens do.
    /// Default `false`.
    pub hedge_after_p95: bool,
    /// The largest share of all tasks that get such a second miner. Default 0.05.
    pub hedge_budget: f64,
    /// The share of answers of a single miner that are checked in the background by asking another miner. Default 0:
    /// none.
    pub audit_ratio: f64,
    /// Such checks at a time. Default 16.
    pub max_audits: u32,
    /// How much one comparison of answers moves a miner's reputation towards 1 (it agrees) or 0 (it does not). Default 0.1.
    pub reputation_step: f64,
    /// A miner whose reputation falls below this is set aside. Default 0.5: by seven wrong answers in a row. 0: never.
    pub min_reputation: f64,
    /// Milliseconds for which it is set aside before it gets another chance. Default 3600000.
    pub set_aside_ms: u64,
    /// Ephemeral miners that sessions may reserve for themselves, as a share of those that could serve them. Default 0.5.
    pub max_reserved: f64,
    /// Seconds that a reservation holds after the session's last task, if the session does not say. Default 3600.
    pub reserve_period_secs: u64,
    /// Milliseconds that the miner that embeds answers for a comparison has to do so. Default 10000.
    pub verdict_timeout_ms: u64,
}
}

impl Default for DispatchConfig {
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
            on_failure: OnFailure::Fail,
            hedge_after_p95: false,
            hedge_budget: 0.05,
            audit_ratio: 0.0,
            max_audits: 16,
            reputation_step: 0.1,
            min_reputation: 0.5,
            set_aside_ms: 3_600_000,
            max_reserved: 0.5,
            reserve_period_secs: 3_600,
            verdict_timeout_ms: 10_000,
        }
    }
}

impl DispatchConfig {
    pub(super) fn validate(&self) -> Result<()> {
        if self.max_attempts == 0 {
            return Err(Error::invalid("dispatch.max_attempts", "dispatch.max_attempts must be at least 1"));
        }
        if self.scan_window == 0 || self.scan_window > 1_024 {
            return Err(Error::invalid("dispatch.scan_window", "dispatch.scan_window must be 1 to 1024"));
        }
        if self.accept_timeout_ms == 0 || self.progress_timeout_ms == 0 {
            return Err(Error::invalid(
                "dispatch.progress_timeout_ms",
                "dispatch.accept_timeout_ms and dispatch.progress_timeout_ms must be at least 1",
            ));
        }
        for (key, share) in [
            ("hedge_budget", self.hedge_budget),
            ("audit_ratio", self.audit_ratio),
            ("reputation_step", self.reputation_step),
            ("min_reputation", self.min_reputation),
            ("max_reserved", self.max_reserved),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::invalid(format!("dispatch.{key}"), format!("dispatch.{key} must be 0 to 1")));
            }
        }
        if !(0.0..=100.0).contains(&self.retry_ratio) || !(0.0..=1e6).contains(&self.retry_floor_per_sec) {
            return Err(Error::invalid(
                "dispatch.retry_ratio",
                "dispatch.retry_ratio must be 0 to 100 and retry_floor_per_sec 0 to 1000000",
            ));
        }
        Ok(())
    }
}
