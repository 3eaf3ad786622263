//! Where settings come from: defaults, a TOML file, the environment, flags; each wins over those before it.
//!
//! The layers meet in one [`toml::Table`]; for every key it is kept where its value came from, so that an error and
//! `config show` can name the file's line, the variable or the flag.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::environment::{self, Environment, Setting};
use super::keys::{self, KeyKind};
use super::{Config, suggest};
use crate::{Error, Result};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A line of the configuration file.
    File(PathBuf, usize),
    /// An environment variable.
    Environment(String),
    /// A flag of the command line, or what else the caller says.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A key that the caller sets over the file and the environment.
#[derive(Debug, Clone)]
pub struct Override {
    key: String,
    value: Value,
    from: String,
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
        let path = path.trim();
        let key = keys::find(path).ok_or_else(|| {
            Error::invalid(path, format!("{from}: unknown key {path:?}{}", suggest::did_you_mean(path)))
        })?;
        Ok(Self { key: path.to_owned(), value: environment::parse(key, text, from)?, from: from.to_owned() })
    }
}

/// A configuration and where each of its values comes from.
#[derive(Debug, Clone)]
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
    // An alias yields to the key's own name wherever that stands, in the file too.
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

/// The layers read so far.
#[derive(Default)]
struct Layers {
    table: Table,
    sources: BTreeMap<String, Source>,
}

impl Layers {
    fn file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::not_found(format!("the configuration file {} cannot be read: {e}", path.display()))
                .with_param("config")
        })?;
        let place = |line: usize| format!("{}:{line}: ", path.display());
        read_toml(&text, place)?;
        let parsed = toml::de::DeTable::parse(&text).map_err(|e| not_toml(&text, &e, place))?;
        for key in suggest::in_toml(&text, parsed.get_ref()) {
            // A section's head sets nothing by itself.
            if keys::find(&key.path).is_some_and(|known| known.kind == KeyKind::Section) {
                continue;
            }
            self.sources.insert(own_name(&key.path), Source::File(path.to_owned(), key.line.unwrap_or(1)));
        }
        let mut table: Table = text.parse().map_err(|e| not_toml(&text, &e, place))?;
        rename_aliases("", &mut table);
        self.table = table;
        Ok(())
    }

    fn set(&mut self, setting: &Setting, source: Source) -> Result<()> {
        let path = own_name(&setting.path);
        put(&mut self.table, &path, setting.value.clone())
            .map_err(|(param, why)| Error::invalid(param, format!("{}: {why}", setting.from)))?;
        self.sources.retain(|known, _| !is_below(known, &path));
        self.sources.insert(path, source);
        Ok(())
    }

    fn finish(&self) -> Result<Config> {
        let place = |path: &str| match source_of(&self.sources, path) {
            Source::Default => String::new(),
            source => format!("{source}: "),
        };
        let config: Config = serde_path_to_error::deserialize(Value::Table(self.table.clone())).map_err(|e| {
            let path = e.path().to_string();
            wrong_value(&path, e.inner().message(), &place(&path))
        })?;
        config.validate().map_err(|e| match e.details().param.clone() {
            Some(param) => Error::invalid(param.clone(), format!("{}{}", place(&param), e.message())),
            None => e,
        })?;
        Ok(config)
    }
}

fn read_toml(text: &str, place: impl Fn(usize) -> String + Copy) -> Result<Config> {
    let parsed = toml::de::DeTable::parse(text).map_err(|e| not_toml(text, &e, place))?;
    let written = suggest::in_toml(text, parsed.get_ref());
    suggest::refuse_unknown(&written, |key| key.line.map(place).unwrap_or_default())?;
    serde_path_to_error::deserialize(toml::de::Deserializer::from(parsed)).map_err(|e| {
        let line = e.inner().span().map(|span| suggest::line_of(text, &span));
        wrong_value(&e.path().to_string(), e.inner().message(), &line.map(place).unwrap_or_default())
    })
}

fn not_toml(text: &str, error: &toml::de::Error, place: impl Fn(usize) -> String) -> Error {
    let line = error.span().map_or(1, |span| suggest::line_of(text, &span));
    Error::invalid("config", format!("{}this is no TOML: {}", place(line), error.message()))
}

/// A value of the wrong type or out of its range, without the value where it may be a secret.
fn wrong_value(path: &str, message: &str, place: &str) -> Error {
    let key = keys::find(path);
    let message = match key {
        Some(key) if key.secret => "not of the right type".to_owned(),
        _ => message.trim_end().to_owned(),
    };
    let takes = key.map(|key| format!(" (it takes {})", key.kind.describe())).unwrap_or_default();
    Error::invalid(path, format!("{place}{path}: {message}{takes}"))
}

fn not_used(alias: &Setting, source: &Source) -> String {
    format!("{} is not used: {} is set by {source}", alias.from, alias.path)
}

/// The source of a key, or of the list or section that was set as a whole.
fn source_of(sources: &BTreeMap<String, Source>, path: &str) -> Source {
    let mut path = path;
    loop {
        if let Some(source) = sources.get(path) {
            return source.clone();
        }
        match path.rfind(['.', '[']) {
            Some(end) => path = &path[..end],
            None => return Source::Default,
        }
    }
}

fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.starts_with(['.', '[']))
}

fn is_at_or_below(path: &str, parent: &str) -> bool {
    path == parent || is_below(path, parent)
}

/// The path with the names that aliases stand for, its numbers kept.
fn own_name(path: &str) -> String {
    let canonical = keys::canonical(path);
    let names = canonical.split('.').map(|name| name.trim_end_matches("[]"));
    let numbers = path.split('.').map(|segment| segment.find('[').map_or("", |at| &segment[at..]));
    names.zip(numbers).map(|(name, number)| format!("{name}{number}")).collect::<Vec<_>>().join(".")
}

fn rename_aliases(prefix: &str, table: &mut Table) {
    let names: Vec<String> = table.keys().cloned().collect();
    for name in names {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        let own = keys::canonical(&path);
        let own = own.rsplit('.').next().unwrap_or(&own);
        if own != name
            && let Some(value) = table.remove(&name)
        {
            table.insert(own.to_owned(), value);
        } else if let Some(Value::Table(inner)) = table.get_mut(&name) {
            rename_aliases(&path, inner);
        }
    }
}

fn put(table: &mut Table, path: &str, value: Value) -> std::result::Result<(), (String, String)> {
    let (head, rest) = match path.split_once('.') {
        Some((head, rest)) => (head, Some(rest)),
        None => (path, None),
    };
    let Some((name, index)) = head.split_once('[') else {
        let Some(rest) = rest else {
            table.insert(head.to_owned(), value);
            return Ok(());
        };
        let inner = table.entry(head).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = inner else {
            return Err((head.to_owned(), format!("{head} is no table")));
        };
        return put(inner, rest, value);
    };
    let index: usize = index.trim_end_matches(']').parse().unwrap_or_default();
    let list = table.entry(name).or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(list) = list else {
        return Err((name.to_owned(), format!("{name} is no list")));
    };
    if index > list.len() {
        return Err((
            path.to_owned(),
            format!("{name} has {} elements: the next one is {name}[{}]", list.len(), list.len()),
        ));
    }
    if index == list.len() {
        list.push(Value::Table(Table::new()));
    }
    match (&mut list[index], rest) {
        (Value::Table(inner), Some(rest)) => put(inner, rest, value),
        (element, None) => {
            *element = value;
            Ok(())
        }
        _ => Err((path.to_owned(), format!("{name}[{index}] is no table"))),
    }
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
