//! The layers of a configuration on their way into one table, with the place of every value.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::environment::Setting;
use super::keys;
use super::kind::KeyKind;
use super::source::{Source, forget_below, source_of};
use super::{Config, suggest};
use crate::model::in_json;
use crate::{Error, Result};

/// The layers read so far.
#[derive(Default)]
pub(super) struct Layers {
    table: Table,
    pub(super) sources: BTreeMap<String, Source>,
}

impl Layers {
    pub(super) fn file(&mut self, path: &Path) -> Result<()> {
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

    pub(super) fn set(&mut self, setting: &Setting, source: Source) -> Result<()> {
        let path = own_name(&setting.path);
        put(&mut self.table, &path, setting.value.clone())
            .map_err(|(param, why)| Error::invalid(param, format!("{}: {why}", setting.from)))?;
        forget_below(&mut self.sources, &path);
        self.sources.insert(path, source);
        Ok(())
    }

    pub(super) fn finish(&self) -> Result<Config> {
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

pub(super) fn read_toml(text: &str, place: impl Fn(usize) -> String + Copy) -> Result<Config> {
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
pub(super) fn wrong_value(path: &str, message: &str, place: &str) -> Error {
    let key = keys::find(path);
    let message = match key {
        Some(key) if !key.may_hold_a_secret() => in_json(message.trim_end()).into_owned(),
        // A value at a place without a key is an element of a list of tables.
        _ => "not of the right type".to_owned(),
    };
    let takes = key.map(|key| key.kind.describe()).filter(|takes| !message.ends_with(takes));
    let takes = takes.map(|takes| format!(" (it takes {takes})")).unwrap_or_default();
    Error::invalid(path, format!("{place}{path}: {message}{takes}"))
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
