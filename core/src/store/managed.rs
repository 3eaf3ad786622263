//! Upstreams that are managed over HTTP, as a store keeps them.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::config::UpstreamConfig;
use crate::secrecy::shown_url;

/// The record of a managed upstream.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct UpstreamRecord {
    /// Its settings, without the key, which is never written with them.
    config: UpstreamConfig,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    api_key: Option<String>,
    /// Whether it drains: it gets no new tasks.
    pub drained: bool,
    /// When it was added, in Unix seconds.
    pub created_at: u64,
}

impl UpstreamRecord {
    /// The record of an upstream with a name of its own.
    pub fn new(mut config: UpstreamConfig, created_at: u64) -> Self {
        config.name = Some(config.miner_name());
        let api_key = config.api_key.take();
        Self { config, api_key, drained: false, created_at }
    }

    /// This upstream with other settings.
    #[must_use]
    pub fn with(&self, config: UpstreamConfig) -> Self {
        Self { drained: self.drained, ..Self::new(config, self.created_at) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.config.name.as_deref().unwrap_or_default()
    }

    /// Its settings, with the key.
    pub fn config(&self) -> UpstreamConfig {
        UpstreamConfig { api_key: self.api_key.clone(), ..self.config.clone() }
    }

    /// Its description in the audit log.
    pub(super) fn told(&self) -> Value {
        json!({
            "url": shown_url(&self.config.url), "models": self.config.models, "has_api_key": self.api_key.is_some(),
            "drained": self.drained,
        })
    }
}

/// Shows no key.
impl fmt::Debug for UpstreamRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamRecord")
            .field("config", &self.config)
            .field("drained", &self.drained)
            .finish_non_exhaustive()
    }
}
