//! Webhooks: the ends of tasks are sent to the URLs that requests name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::network::Network;
use crate::model::absent;
use crate::{Error, Result};

/// The beginning of a secret (Standard Webhooks).
const PREFIX: &str = "whsec_";

documented! {
/// Webhooks: the end of a task is sent to the URL that its request names, signed as Standard Webhooks says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksConfig {
    /// Whether requests may name a webhook. Default `true`.
    pub enabled: bool,
    /// The secret that signs messages for webhooks without a secret of their own: `whsec_` and 24 to 64 bytes in base64.
    /// It is better kept in a variable: see `secret_env`.
    #[serde(skip_serializing)]
    #[serde(deserialize_with = "absent::text::deserialize")]
    pub secret: Option<String>,
    /// The environment variable that holds the secret.
    #[serde(with = "absent::text")]
    pub secret_env: Option<String>,
    /// Addresses and networks (`10.0.0.0/8`) that webhooks may have although they are not public: private, loopback and
    /// link-local ones. Only they may be reached without TLS. Empty: none.
    pub networks: Vec<String>,
    /// Deliveries that are not done, at most; beyond it requests with a webhook are refused with 429 `webhooks_full`.
    /// Default 10000.
    pub max_pending: usize,
    /// Deliveries that are sent at a time. Default 16.
    pub max_concurrency: usize,
    /// Deliveries that are sent to one host at a time. Default 4.
    pub max_per_host: usize,
    /// Tries of a delivery. Default 12.
    pub max_tries: u32,
    /// Seconds after the end of a task within which its delivery is tried. Default 259200, three days.
    pub max_age_secs: u64,
    /// Milliseconds to the second try, before chance is added. The wait is four times as long each time. Default 5000.
    pub retry_base_ms: u64,
    /// The longest wait in milliseconds. Default 43200000, twelve hours.
    pub retry_max_ms: u64,
    /// Milliseconds that one try may take. Default 15000.
    pub timeout_ms: u64,
    /// Bytes of a message; a longer one goes without the texts of the task. Default 256 KiB.
    pub max_body_bytes: usize,
}
}

impl Default for WebhooksConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            secret: None,
            secret_env: None,
            networks: Vec::new(),
            max_pending: 10_000,
            max_concurrency: 16,
            max_per_host: 4,
            max_tries: 12,
            max_age_secs: 3 * 24 * 3_600,
            retry_base_ms: 5_000,
            retry_max_ms: 12 * 3_600 * 1_000,
            timeout_ms: 15_000,
            max_body_bytes: 256 << 10,
        }
    }
}

impl std::fmt::Debug for WebhooksConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebhooksConfig").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

impl WebhooksConfig {
    /// The secret for webhooks without one of their own, from the configuration or the environment.
    pub(crate) fn signing_secret(&self) -> Option<String> {
        super::secret(self.secret.as_ref(), self.secret_env.as_ref())
    }

    pub(super) fn validate(&self) -> Result<()> {
        Network::check("webhooks.networks", &self.networks)?;
        if let Some(secret) = self.signing_secret() {
            let field = if self.secret.is_some() { "webhooks.secret" } else { "webhooks.secret_env" };
            signing_key(&secret, field)?;
        } else if let Some(variable) = &self.secret_env {
            let words = format!("the environment variable {variable} is not set");
            return Err(Error::invalid("webhooks.secret_env", words));
        }
        super::at_least_one(
            "webhooks",
            [
                ("max_pending", self.max_pending as u64),
                ("max_concurrency", self.max_concurrency as u64),
                ("max_per_host", self.max_per_host as u64),
                ("max_tries", u64::from(self.max_tries)),
                ("max_age_secs", self.max_age_secs),
                ("retry_base_ms", self.retry_base_ms),
                ("retry_max_ms", self.retry_max_ms),
                ("timeout_ms", self.timeout_ms),
            ],
        )?;
        if self.max_body_bytes < 1_024 {
            return Err(Error::invalid("webhooks.max_body_bytes", "webhooks.max_body_bytes must be at least 1024"));
        }
        Ok(())
    }
}

/// The bytes of a secret (`whsec_` and base64), with which messages are signed.
///
/// # Errors
/// `InvalidArgument` names `field`. The words do not repeat the secret.
pub(crate) fn signing_key(secret: &str, field: &str) -> Result<Vec<u8>> {
    let wrong = |what: &str| {
        let words = format!("{field} {what}: write whsec_ and 24 to 64 random bytes in base64");
        Err(Error::invalid(field, words))
    };
    let Some(encoded) = secret.strip_prefix(PREFIX) else { return wrong("does not begin with whsec_") };
    match STANDARD.decode(encoded) {
        Ok(key) if (24..=64).contains(&key.len()) => Ok(key),
        Ok(key) => wrong(&format!("has {} bytes", key.len())),
        Err(_) => wrong("is no base64"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn a_secret_has_its_form_and_is_never_repeated() {
        let good = format!("whsec_{}", STANDARD.encode([7; 24]));
        assert_eq!(signing_key(&good, "x").unwrap(), [7; 24]);
        for (wrong, words) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with whsec_"),
            ("whsec_%%%%", "is no base64"),
            ("whsec_c2hvcnQ=", "has 5 bytes"),
        ] {
            let text = format!("[webhooks]\nsecret={wrong:?}");
            let error = Config::from_toml(&text).unwrap_err();
            assert_eq!(error.details().param.as_deref(), Some("webhooks.secret"));
            assert!(error.message().contains(words) && !error.message().contains(&wrong[6..]), "{error}");
        }
    }

    #[test]
    fn every_bound_is_checked_by_name() {
        for key in [
            "max_pending",
            "max_concurrency",
            "max_per_host",
            "max_tries",
            "max_age_secs",
            "retry_base_ms",
            "timeout_ms",
        ] {
            let error = Config::from_toml(&format!("[webhooks]\n{key}=0")).unwrap_err();
            assert_eq!(error.details().param, Some(format!("webhooks.{key}")));
        }
        let error = Config::from_toml("[webhooks]\nnetworks=['10.0.0.0/40']").unwrap_err();
        assert_eq!(error.details().param.as_deref(), Some("webhooks.networks"));
        let error = Config::from_toml("[webhooks]\nsecret_env='NO_SUCH_VARIABLE_OF_A_TEST'").unwrap_err();
        assert_eq!(error.details().param.as_deref(), Some("webhooks.secret_env"));
    }
}
