//! The configuration: one tree for TOML files, JSON from the bindings, environment and flags.
//!
//! Every key is documented here, unknown keys are refused, and [`Config::validate`] names the key that is wrong.

#[macro_use]
mod keys;

mod absent;
mod agents;
mod authority;
mod dispatch;
#[cfg(feature = "miner-client")]
#[doc(hidden)]
pub mod distrust;
mod environment;
mod examples;
mod fixed;
mod fleet;
mod host;
mod key_limits;
mod kind;
mod layers;
mod limits;
mod listen;
mod load;
mod log;
mod miners;
mod models;
mod network;
mod otel;
mod prices;
mod reference;
mod runtime;
mod source;
mod storage;
mod suggest;
mod tls;
mod trial;
mod typescript;
mod upstream;
mod upstream_command;
mod webhooks;

#[doc(no_inline)]
pub use crate::model::Durability;
#[doc(hidden)]
pub use agents::AgentsConfig;
#[cfg(feature = "miner-socket")]
pub(crate) use authority::certificates;
#[doc(hidden)]
pub use authority::client_tls;
pub use dispatch::DispatchConfig;
#[doc(hidden)]
pub use environment::{COMMAND_ENV, ENV_ALIASES, EnvAlias};
pub(crate) use fixed::Differences;
#[doc(hidden)]
pub use fleet::FleetConfig;
pub use key_limits::KeyLimits;
#[doc(hidden)]
pub use key_limits::LimitsPatch;
#[doc(hidden)]
pub use keys::{Key, keys};
#[doc(hidden)]
pub use kind::KeyKind;
pub use limits::LimitsConfig;
#[doc(hidden)]
pub use listen::DEFAULT_DEV_TOKEN;
#[cfg(feature = "listener")]
pub(crate) use listen::TRIAL;
pub use listen::{Anonymous, CorsConfig, ListenConfig, TokenConfig};
pub use load::{Loaded, Override, load};
pub use log::LogConfig;
pub use miners::MinersConfig;
pub(crate) use models::{FallbackReason, targets_of};
#[doc(hidden)]
pub use models::{ModelConfig, ModelTarget};
pub(crate) use network::Network;
#[doc(hidden)]
pub use otel::OtelConfig;
pub(crate) use prices::decimal;
#[doc(hidden)]
pub use prices::{ModelPrice, Price, PricesConfig};
#[doc(hidden)]
pub use reference::reference;
pub use runtime::RuntimeConfig;
pub use source::Source;
pub(crate) use storage::check_schema;
pub use storage::{RetentionConfig, StorageConfig};
pub use tls::TlsConfig;
#[doc(hidden)]
pub use trial::TrialConfig;
#[doc(hidden)]
pub use typescript::typescript;
#[doc(hidden)]
pub use upstream::UpstreamApi;
pub use upstream::{StreamUsage, UpstreamConfig};
pub(crate) use upstream_command::PORT as UPSTREAM_PORT;
#[doc(hidden)]
pub use webhooks::WebhooksConfig;
pub(crate) use webhooks::signing_key;

use serde::{Deserialize, Serialize};

use crate::model::check_name;
use crate::{Error, Result};

/// The name of a router that has none of its own.
const NAME: &str = "cortensor-router";

/// The answer to a request that names a session that does not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnknownSession {
    /// Answer 404.
    #[default]
    Reject,
    /// Use the default session 0.
    Default,
}

documented! {
/// All settings of a router. `Config::default()` is a router in memory without a listener's tokens;
/// the command line starts from the same defaults with a data directory.
///
/// ```
/// use cortensor_router::Config;
/// use cortensor_router::config::LimitsConfig;
/// let config = Config::from_toml("[limits]\nmax_queued_tasks = 500").unwrap();
/// assert_eq!(config.limits.max_queued_tasks, 500);
/// let config = Config::default().echo(true).limits(LimitsConfig::default().max_queued_tasks(500));
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The router's name in `/api/v1/info`. Routers that share a database need different names. Default
    /// `cortensor-router`; with `storage.url` the name of the host, and a new name needs a restart.
    pub name: String,
    /// The address under which the router is reached from outside, shown in `/api/v1/info`.
    #[serde(with = "crate::model::absent::text")]
    pub external_address: Option<String>,
    /// Whether the built-in miner `echo` answers if no other miner could. Default `false`. A `serve` whose
    /// configuration names nobody who does the work lets it answer until the first miner comes.
    pub echo: bool,
    /// The sessions that take turns for requests that name none; empty: session 0.
    pub completion_sessions: Vec<u64>,
    /// The answer to an unknown session: `reject` or `default`.
    pub unknown_session: UnknownSession,
    /// The first task id of a session. Default 1.
    pub first_task_id: u64,
    /// Whether completions repeat the text as `text`, `output`, `result`, `response` and `content`. Default `true`.
    pub compat_aliases: bool,
    /// Where tasks are kept.
    pub storage: StorageConfig,
    /// How long ended tasks are kept.
    pub retention: RetentionConfig,
    /// Bounds: nothing grows beyond them.
    pub limits: LimitsConfig,
    /// How tasks reach miners.
    pub dispatch: DispatchConfig,
    /// The HTTP listener.
    pub listen: ListenConfig,
    /// The details of requests that the log shows.
    pub log: LogConfig,
    /// The export of spans by OTLP over HTTP; only a command with the feature `otel` has it.
    pub otel: OtelConfig,
    /// Threads of an embedded router.
    pub runtime: RuntimeConfig,
    /// Miners that dial in.
    pub miners: MinersConfig,
    /// Links between routers that share a database.
    pub fleet: FleetConfig,
    /// Prices of models, from which the usage gets its cost.
    pub prices: PricesConfig,
    /// Webhooks: the end of a task is sent to the URL that its request names.
    pub webhooks: WebhooksConfig,
    /// Cortensor's routes for agents: delegate, validate and factcheck.
    pub agents: AgentsConfig,
    /// Names of models that stand for several models, which are tried in their order.
    #[serde(rename = "model", alias = "models")]
    pub models: Vec<ModelConfig>,
    /// Model servers that the router calls.
    #[serde(rename = "upstream", alias = "upstreams")]
    pub upstreams: Vec<UpstreamConfig>,
}
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: NAME.into(),
            external_address: None,
            echo: false,
            completion_sessions: Vec::new(),
            unknown_session: UnknownSession::default(),
            first_task_id: 1,
            compat_aliases: true,
            storage: StorageConfig::default(),
            retention: RetentionConfig::default(),
            limits: LimitsConfig::default(),
            dispatch: DispatchConfig::default(),
            listen: ListenConfig::default(),
            log: LogConfig::default(),
            otel: OtelConfig::default(),
            runtime: RuntimeConfig::default(),
            miners: MinersConfig::default(),
            fleet: FleetConfig::default(),
            prices: PricesConfig::default(),
            webhooks: WebhooksConfig::default(),
            agents: AgentsConfig::default(),
            models: Vec::new(),
            upstreams: Vec::new(),
        }
    }
}

impl Config {
    /// Checks every value that its type does not check.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the key.
    pub fn validate(&self) -> Result<()> {
        if self.name.is_empty() {
            return Err(Error::invalid("name", "name must not be empty"));
        }
        check_name("name", &self.name)?;
        self.storage.validate()?;
        self.retention.validate()?;
        self.limits.validate()?;
        self.dispatch.validate()?;
        self.listen.validate()?;
        self.log.validate()?;
        self.otel.validate()?;
        self.runtime.validate()?;
        self.miners.validate()?;
        self.fleet.validate()?;
        self.prices.validate()?;
        self.webhooks.validate()?;
        self.agents.validate()?;
        models::validate(&self.models)?;
        let mut names = std::collections::BTreeSet::new();
        for (index, upstream) in self.upstreams.iter().enumerate() {
            upstream.validate(index)?;
            if !names.insert(upstream.miner_name()) {
                return Err(Error::invalid(
                    format!("upstream[{index}].name"),
                    format!("two upstreams are called {:?}: give each a name of its own", upstream.miner_name()),
                ));
            }
        }
        Ok(())
    }
}

/// Checks that none of a section's keys is 0.
///
/// # Errors
/// `InvalidArgument` names the first one that is.
fn at_least_one<const N: usize>(section: &str, values: [(&str, u64); N]) -> Result<()> {
    match values.iter().find(|(_, value)| *value == 0) {
        Some((key, _)) => {
            let key = format!("{section}.{key}");
            Err(Error::invalid(&key, format!("{key} must be at least 1")))
        }
        None => Ok(()),
    }
}

/// A secret: the value itself, else that of the environment variable with this name, if it is set to something.
fn secret(value: Option<&String>, variable: Option<&String>) -> Option<String> {
    value.cloned().or_else(|| std::env::var(variable?).ok().filter(|value| !value.is_empty()))
}
