//! Reads settings from defaults, a TOML file, the environment and flags; each wins over those before it.
//!
//! The layers meet in one [`toml::Table`]. The place where each value came from is kept beside it, so that an error
//! and `config show` can name the line of the file, the variable or the flag.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Value;

use super::environment::{self, Environment, Setting};
use super::keys;
use super::layers::{Layers, read_toml, wrong_value};
use super::source::{Source, is_at_or_below, source_of};
use super::{Config, suggest};
use crate::{Error, Result};

/// A key that the caller sets over the file and the environment.
#[derive(Clone)]
pub struct Override {
    key: String,
    value: Value,
    from: String,
}

/// Shows no value, because it may be a secret.
impl std::fmt::Debug for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Override").field("key", &self.key).field("from", &self.from).finish_non_exhaustive()
    }
}

impl Override {
    /// Sets a key to a value; `from` is the flag that asks for it.
    pub fn new(key: impl Into<String>, value: impl Into<Value>, from: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into(), from: from.into() }
    }

    /// Reads `key=value`, the value as in an environment variable; `from` is the flag.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) when there is no such key or the value is none of its kind.
    pub fn parse(assignment: &str, from: &str) -> Result<Self> {
        let (path, text) = assignment.split_once('=').ok_or_else(|| {
            Error::invalid(from, format!("{from}: write it as key=value, for example limits.max_sessions=100"))
        })?;
        let path = &numbered(path.trim());
        let key = keys::find(path).ok_or_else(|| {
            Error::invalid(path, format!("{from}: unknown key {path:?}{}", suggest::did_you_mean(path)))
        })?;
        Ok(Self { key: path.clone(), value: environment::parse(key, text, from)?, from: from.to_owned() })
    }
}

/// `upstream.0.url` as `upstream[0].url`: a number among the names is a place in a list.
fn numbered(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for part in path.split('.') {
        let number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if number && !out.is_empty() {
            out.push('[');
            out.push_str(part);
            out.push(']');
            continue;
        }
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(part);
    }
    out
}

/// A configuration, with the place where each of its values comes from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Loaded {
    /// The configuration, validated.
    pub config: Config,
    /// Remarks for people: variables without effect, names that look like a mistake.
    pub remarks: Vec<String>,
    pub(super) sources: BTreeMap<String, Source>,
}

impl Loaded {
    /// Where the value of a key comes from (`limits.max_sessions`, `upstream[0].url`).
    pub fn source(&self, path: &str) -> Source {
        source_of(&self.sources, path)
    }
}

/// Puts the layers together: the file, the environment, then the overrides.
///
/// # Errors
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the key, where it was set, and for an unknown key
/// the one that was probably meant; [`NotFound`](crate::ErrorKind::NotFound) when the file cannot be read.
pub fn load(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
    overrides: impl IntoIterator<Item = Override>,
) -> Result<Loaded> {
    let mut layers = Layers::default();
    if let Some(path) = file {
        layers.file(path)?;
    }
    let environment = Environment::new(environment);
    let (aliases, mut remarks) = environment.aliases()?;
    let (own, more) = environment.own()?;
    remarks.extend(more);
    // An alias yields to the key's own name, wherever that is set, in the file too.
    let (aliases, unused): (Vec<_>, Vec<_>) =
        aliases.into_iter().partition(|alias| !layers.sources.keys().any(|path| is_at_or_below(path, &alias.path)));
    remarks.extend(unused.iter().map(|alias| not_used(alias, &source_of(&layers.sources, &alias.path))));
    for alias in &aliases {
        layers.set(alias, Source::Environment(alias.from.clone()))?;
    }
    for setting in own {
        layers.set(&setting, Source::Environment(setting.from.clone()))?;
    }
    for Override { key, value, from } in overrides {
        let from_flag = Source::Flag(from.clone());
        layers.set(&Setting { path: key, value, from }, from_flag)?;
    }
    for alias in &aliases {
        let source = source_of(&layers.sources, &alias.path);
        let superseded = source != Source::Environment(alias.from.clone());
        if superseded && aliases.iter().all(|other| source != Source::Environment(other.from.clone())) {
            remarks.push(not_used(alias, &source));
        }
    }
    let config = layers.finish()?;
    Ok(Loaded { config, remarks, sources: layers.sources })
}

impl Config {
    /// Reads a TOML text.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the line and the key, with a suggestion where one is close.
    pub fn from_toml(text: &str) -> Result<Self> {
        let config = read_toml(text, |line| format!("line {line}: "))?;
        config.validate()?;
        Ok(config)
    }

    /// Reads a JSON object with the same keys as the TOML file: sections are objects, names are `snake_case`.
    ///
    /// ```
    /// use cortensor_router::Config;
    /// let config = Config::from_json(r#"{"storage":{"data_dir":"/var/lib/router"}}"#).unwrap();
    /// assert!(config.storage.data_dir.is_some());
    /// let wrong = Config::from_json(r#"{"storage":{"dataDir":"/var/lib/router"}}"#).unwrap_err();
    /// assert!(wrong.message().contains("did you mean \"storage.data_dir\"?"));
    /// ```
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the key, with a suggestion where one is close.
    pub fn from_json(text: &str) -> Result<Self> {
        let mut value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| Error::invalid("config", format!("config is no JSON: {e}")))?;
        drop_nulls(&mut value);
        if !value.is_object() {
            return Err(Error::invalid("config", "config must be a JSON object"));
        }
        suggest::refuse_unknown(&suggest::in_json(&value), |_| String::new())?;
        let config: Self = serde_path_to_error::deserialize(value)
            .map_err(|e| wrong_value(&e.path().to_string(), &e.inner().to_string(), ""))?;
        config.validate()?;
        Ok(config)
    }
}

fn not_used(alias: &Setting, source: &Source) -> String {
    format!("{} is not used: {} is set by {source}", alias.from, alias.path)
}

/// JSON's null means that a key is not set.
fn drop_nulls(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(object) => {
            object.retain(|_, value| !value.is_null());
            object.values_mut().for_each(drop_nulls);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

#[cfg(test)]
#[path = "load_tests.rs"]
mod tests;
