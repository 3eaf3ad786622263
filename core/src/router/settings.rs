//! Maps the configuration to the engine's settings.

use crate::config::{DispatchConfig, FleetConfig, LimitsConfig};
use crate::engine::EngineSettings;

/// The engine's settings for a configuration. The values that depend on the store, such as the epoch, are defaults.
pub(super) fn engine_settings(dispatch: &DispatchConfig, limits: &LimitsConfig, fleet: &FleetConfig) -> EngineSettings {
    EngineSettings {
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
        recheck_ratio: dispatch.audit_ratio,
        max_rechecks: dispatch.max_audits,
        min_reputation: dispatch.min_reputation,
        reputation_step: dispatch.reputation_step,
        set_aside_ms: dispatch.set_aside_ms,
        max_reserved: dispatch.max_reserved,
        max_queued_tasks: limits.max_queued_tasks,
        max_queued_per_session: limits.max_queued_per_session,
        max_queued_bytes: limits.queued_bytes(),
        max_miners: limits.max_miners,
        lend_ms: fleet.lend_ms + fleet.link_timeout_ms,
        ..EngineSettings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_have_the_same_defaults() {
        let from_config =
            engine_settings(&DispatchConfig::default(), &LimitsConfig::default(), &FleetConfig::default());
        assert_eq!(from_config, EngineSettings::default());
    }
}
