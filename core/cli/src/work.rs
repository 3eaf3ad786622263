//! The flags of commands that run a router: who does the work, and what outlives a failure.

use clap::Args;
use cortensor_router::config::{Loaded, MinersConfig, Override, Source, TokenConfig};
use cortensor_router::model::Scope;
use toml::Value;

use crate::room;

/// The flags.
#[derive(Debug, Args)]
pub(crate) struct Work {
    /// An OpenAI-compatible server that does the work (repeatable)
    #[arg(long = "upstream", value_name = "URL")]
    upstreams: Vec<String>,
    /// The failures that an acknowledged task survives: full (a power loss), relaxed (the end of the process) or memory
    /// (none)
    #[arg(long, value_name = "full|relaxed|memory", value_parser = ["full", "relaxed", "memory"])]
    durability: Option<String>,
    /// The PostgreSQL database that keeps tasks and keys, instead of a directory: `postgres://USER@HOST/DATABASE`. A password
    /// is better kept in `CORTENSOR_STORAGE_URL`, since other users see the arguments of a process
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

impl Work {
    /// The settings that the flags make.
    pub(crate) fn flags(&self) -> Vec<Override> {
        let mut flags = Vec::new();
        if let Some(durability) = &self.durability {
            flags.push(Override::new("storage.durability", durability.as_str(), "--durability"));
        }
        if let Some(url) = &self.store {
            flags.push(Override::new("storage.url", url.as_str(), "--store"));
        }
        if !self.upstreams.is_empty() {
            flags.push(Override::new("upstream", tables("url", &self.upstreams, None), "--upstream"));
        }
        flags
    }
}

/// A list of tables that have a value and, if it is given, a name.
pub(crate) fn tables(key: &str, values: &[String], name: Option<&str>) -> Value {
    let table = |value: &String| {
        let mut table = toml::Table::from_iter([(key.to_owned(), Value::String(value.clone()))]);
        if let Some(name) = name {
            table.insert("name".to_owned(), Value::String(name.to_owned()));
        }
        Value::Table(table)
    };
    Value::Array(values.iter().map(table).collect())
}

/// Tells what is odd about a configuration.
pub(crate) fn tell(loaded: &Loaded) {
    for remark in &loaded.remarks {
        tracing::warn!("{remark}");
    }
}

/// Bounds the memory of a router whose user set no bound.
pub(crate) fn bound_memory(loaded: &mut Loaded) {
    if loaded.source("limits.max_memory_bytes") == Source::Default {
        loaded.config.limits.max_memory_bytes = room::default_bytes();
    }
}

/// Whether the configuration names no miner at all. The built-in echo then answers until the first miner comes, so that
/// a new user sees an answer. An operator who set `echo`, an upstream or a key for miners does not need it.
pub(crate) fn nobody_is_expected(loaded: &Loaded) -> bool {
    let config = &loaded.config;
    let lets_miners_in = |token: &TokenConfig| token.scopes.contains(&Scope::Miner);
    loaded.source("echo") == Source::Default
        && config.upstreams.is_empty()
        && config.miners == MinersConfig::default()
        && !config.listen.tokens.iter().any(lets_miners_in)
}
