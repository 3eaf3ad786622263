//! Where settings come from: a TOML file, the environment, JSON from a binding.

use super::Config;
use crate::{Error, Result};

/// A name under which operators already set a key.
#[derive(Debug, Clone, Copy)]
pub struct EnvAlias {
    /// The environment variable.
    pub name: &'static str,
    /// The key it sets, with dots.
    pub key: &'static str,
}

/// The environment names of Cortensor's own router that are read as aliases.
pub const ENV_ALIASES: &[EnvAlias] = &[];

impl Config {
    /// Reads a TOML text.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the key, with a suggestion where one is close.
    pub fn from_toml(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|e| Error::invalid("config", e.to_string()))?;
        config.validate()?;
        Ok(config)
    }
}
