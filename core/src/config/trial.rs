//! Trials: work for callers without a token, with a quota for each address.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

#[cfg(feature = "listener")]
use super::KeyLimits;
use crate::Result;

documented! {
/// Trials: `/api/v1/trial/...` works without a token, with a quota for each address of a client. Off by default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrialConfig {
    /// Whether there are trials. Default `false`: the routes answer 404.
    pub enabled: bool,
    /// The session of all trials; the requests cannot name another one. Default 0.
    pub session: u64,
    /// Requests of one address in `window_secs`. IPv6 addresses count together by their first 64 bits. Default 10.
    pub requests: u32,
    /// IPv6 networks of 64 bits that count apart within one network of 48 bits, which one person may hold. Further
    /// ones count together. Default 16.
    pub max_subnets: u32,
    /// Seconds after which an address has all its requests again. Default 3600.
    pub window_secs: u64,
    /// Addresses that are remembered at a time; further ones are refused until an older one is forgotten. Default 10000.
    pub max_addresses: usize,
    /// The most tokens of an answer. Default 512. A trial gets one answer, and no members of the request pass that could
    /// make it longer.
    pub max_tokens: u64,
    /// Requests of all trials together in one minute; 0: no bound.
    #[serde(with = "super::absent")]
    pub all_requests_per_minute: Option<NonZeroU64>,
    /// Tasks of all trials together that have not ended; 0: no bound.
    #[serde(with = "super::absent")]
    pub all_concurrent_tasks: Option<NonZeroU64>,
    /// Tokens of prompts and answers of all trials together on one day in UTC; 0: no bound.
    #[serde(with = "super::absent")]
    pub all_tokens_per_day: Option<NonZeroU64>,
}
}

impl Default for TrialConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            session: 0,
            requests: 10,
            max_subnets: 16,
            window_secs: 3_600,
            max_addresses: 10_000,
            max_tokens: 512,
            all_requests_per_minute: None,
            all_concurrent_tasks: None,
            all_tokens_per_day: None,
        }
    }
}

impl TrialConfig {
    /// The limits of all trials together.
    #[cfg(feature = "listener")]
    pub(crate) fn quota(&self) -> KeyLimits {
        KeyLimits::default()
            .requests_per_minute(self.all_requests_per_minute)
            .concurrent_tasks(self.all_concurrent_tasks)
            .tokens_per_day(self.all_tokens_per_day)
    }

    pub(super) fn validate(&self) -> Result<()> {
        super::at_least_one(
            "listen.trial",
            [
                ("requests", u64::from(self.requests)),
                ("max_subnets", u64::from(self.max_subnets)),
                ("window_secs", self.window_secs),
                ("max_addresses", self.max_addresses as u64),
                ("max_tokens", self.max_tokens),
            ],
        )
    }
}
