//! The table of all keys, made from the configuration types themselves.
//!
//! [`documented!`] wraps a configuration struct and keeps its fields' doc comments, names and kinds as data. The
//! reference page, `config show`, the environment's names and the spelling suggestions are all made from this one
//! table, so a key cannot exist without its documentation.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::Config;
use super::kind::{FieldDoc, KeyKind, Kind, join};

/// Declares the struct as it stands, with a setter for each field, and makes it a [`Kind`] that knows its fields and their
/// documentation.
macro_rules! documented {
    ($(#[$($outer:tt)*])* pub struct $name:ident { $($(#[$($attr:tt)*])* pub $field:ident: $ty:ty,)* }) => {
        $(#[$($outer)*])*
        #[non_exhaustive]
        pub struct $name { $($(#[$($attr)*])* pub $field: $ty,)* }

        impl $crate::config::kind::Kind for $name {
            const KIND: $crate::config::kind::KeyKind = $crate::config::kind::KeyKind::Section;
            const FIELDS: &'static [$crate::config::kind::FieldDoc] = &[$($crate::config::kind::FieldDoc {
                field: stringify!($field),
                kind: <$ty as $crate::config::kind::Kind>::KIND,
                fields: <$ty as $crate::config::kind::Kind>::FIELDS,
                element: <$ty as $crate::config::kind::Kind>::element,
                doc: concat!($(documented!(@doc $($attr)*)),*),
                names: &[$(documented!(@names $($attr)*)),*],
                secret: &[$(documented!(@secret $($attr)*)),*],
            }),*];

            fn defaults() -> Option<toml::Value> {
                toml::Value::try_from(Self::default()).ok()
            }

            fn settle(&mut self, in_force: &Self, path: &str, found: &mut $crate::config::Differences) {
                $(
                    let names: &[&[&'static str]] = &[$(documented!(@names $($attr)*)),*];
                    let field = $crate::config::kind::path_of(path, stringify!($field), names);
                    $crate::config::kind::Kind::settle(&mut self.$field, &in_force.$field, &field, found);
                )*
            }
        }

        cortensor_router_model::setters! { $name { $($field: $ty => $field,)* } }
    };
    (@doc doc = $text:literal) => { $text };
    (@doc $($other:tt)*) => { "" };
    (@names serde(rename = $name:literal, alias = $alias:literal)) => { &[$name, $alias] };
    (@names $($other:tt)*) => { &[] };
    (@secret serde(skip_serializing)) => { true };
    (@secret $($other:tt)*) => { false };
}

/// One key of the configuration.
#[derive(Debug, Clone)]
pub struct Key {
    /// The path of the key: `limits.max_sessions`, `upstream[].url`.
    pub path: String,
    /// Another spelling of its last name that is accepted.
    pub alias: Option<&'static str>,
    /// The kind of its value.
    pub kind: KeyKind,
    /// Its documentation.
    pub doc: String,
    /// Its default as TOML; empty where there is none.
    pub default: String,
    /// The environment variable that sets it; `<N>` stands for the place in a list, from 0.
    pub env: String,
    /// Whether its value is never shown.
    pub secret: bool,
}

impl Key {
    /// Whether its value is a secret, or a table or a list of tables, which may contain one.
    pub(super) fn may_hold_a_secret(&self) -> bool {
        self.secret || matches!(self.kind, KeyKind::Section | KeyKind::Tables)
    }
}

/// All keys with the ways to find one.
struct Table {
    keys: Vec<Key>,
    /// The places of the keys in the list, by their paths.
    places: HashMap<String, usize>,
    aliases: Vec<Alias>,
}

/// Another spelling of a key's last name.
struct Alias {
    /// The path of the section above the key; empty at the top.
    parent: String,
    also: &'static str,
    name: String,
}

impl Table {
    fn new(keys: Vec<Key>) -> Self {
        let places = keys.iter().enumerate().map(|(place, key)| (key.path.clone(), place)).collect();
        let aliases = keys.iter().filter_map(|key| {
            let (parent, name) = key.path.rsplit_once('.').unwrap_or(("", &key.path));
            Some(Alias { parent: parent.to_owned(), also: key.alias?, name: name.to_owned() })
        });
        Self { aliases: aliases.collect(), places, keys }
    }
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut out = Vec::new();
        let defaults = toml::Value::try_from(Config::default()).unwrap_or(toml::Value::Boolean(false));
        collect("", Config::FIELDS, Some(&defaults), &mut out);
        Table::new(out)
    })
}

/// All keys, in the order of their declaration; sections and lists of tables stand before their own keys.
pub fn keys() -> &'static [Key] {
    &table().keys
}

fn collect(prefix: &str, fields: &[FieldDoc], defaults: Option<&toml::Value>, out: &mut Vec<Key>) {
    for field in fields {
        let names = field.names.iter().copied().find(|names| !names.is_empty()).unwrap_or_default();
        let name = names.first().copied().unwrap_or(field.field);
        let path = join(prefix, name);
        let default = defaults.and_then(|table| table.get(name));
        out.push(Key {
            alias: names.get(1).copied(),
            kind: field.kind,
            doc: field.doc.trim().to_owned(),
            default: default.map(ToString::to_string).unwrap_or_default(),
            env: env_name(&path),
            secret: field.secret.contains(&true),
            path: path.clone(),
        });
        if field.kind == KeyKind::Tables {
            collect(&format!("{path}[]"), field.fields, (field.element)().as_ref(), out);
        } else {
            collect(&path, field.fields, default, out);
        }
    }
}

/// The environment variable of a key: `limits.max_sessions` is `CORTENSOR_LIMITS_MAX_SESSIONS`.
fn env_name(path: &str) -> String {
    format!("CORTENSOR_{}", path.replace("[]", "_<N>").replace('.', "_").to_uppercase())
}

/// The key of that place (`upstream[3].url` and `upstreams[3].url` are `upstream[].url`).
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    let place = table().places.get(&canonical(path))?;
    table().keys.get(*place)
}

/// The path as it stands in the table: without numbers, and with names instead of their aliases.
pub(crate) fn canonical(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for segment in path.split('.') {
        let (name, list) = segment.split_once('[').map_or((segment, ""), |(name, _)| (name, "[]"));
        let known = table().aliases.iter().find(|known| known.also == name && known.parent == out);
        let name = known.map_or(name, |known| &known.name);
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(name);
        out.push_str(list);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{
        KeyLimits, ListenConfig, ModelConfig, ModelPrice, ModelTarget, OtelConfig, Price, PricesConfig, RuntimeConfig,
        StorageConfig, TlsConfig, TokenConfig, UpstreamConfig,
    };

    fn walk(path: &str, value: &toml::Value, out: &mut Vec<String>) {
        match value {
            toml::Value::Table(table) if find(path).is_none_or(|key| key.kind != KeyKind::TextMap) => {
                if !path.is_empty() && !path.ends_with(']') {
                    out.push(path.to_owned());
                }
                for (name, value) in table {
                    walk(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, value, out);
                }
            }
            toml::Value::Array(items) if items.iter().any(toml::Value::is_table) => {
                out.push(path.to_owned());
                for item in items {
                    walk(&format!("{path}[]"), item, out);
                }
            }
            _ => out.push(path.to_owned()),
        }
    }

    #[test]
    fn every_key_that_serde_writes_is_in_the_table_and_the_other_way_round() {
        let one = std::num::NonZeroU64::new(1);
        let limited = KeyLimits::default()
            .requests_per_minute(one)
            .tasks_per_minute(one)
            .tokens_per_minute(one)
            .tokens_per_day(one)
            .tokens_per_month(one)
            .concurrent_tasks(one)
            .concurrent_streams(one);
        let config = Config {
            storage: StorageConfig {
                data_dir: Some("/d".into()),
                ca_file: Some("/p".into()),
                ..StorageConfig::default()
            },
            listen: ListenConfig {
                tokens: vec![TokenConfig::default().quota(limited)],
                tls: TlsConfig { cert: Some("/c".into()), key: Some("/k".into()), client_ca: Some("/a".into()) },
                dev_token: Some(true),
                ..ListenConfig::default()
            },
            prices: PricesConfig {
                models: vec![ModelPrice {
                    input: Some(Price::default()),
                    output: Some(Price::default()),
                    cached_input: Some(Price::default()),
                    ..ModelPrice::default()
                }],
                ..PricesConfig::default()
            },
            models: vec![ModelConfig::default().targets(vec![ModelTarget::default()])],
            otel: OtelConfig {
                endpoint: Some("http://h".into()),
                traces_endpoint: Some("http://h".into()),
                ca_file: Some("/o".into()),
                ..OtelConfig::default()
            },
            runtime: RuntimeConfig { supervisor: Some("/s".into()), ..RuntimeConfig::default() },
            upstreams: vec![UpstreamConfig { ca_file: Some("/u".into()), ..UpstreamConfig::default() }],
            ..Config::default()
        };
        let mut written = Vec::new();
        walk("", &toml::Value::try_from(&config).unwrap(), &mut written);
        let mut known: Vec<_> = keys().iter().filter(|key| !key.secret).map(|key| key.path.clone()).collect();
        written.sort();
        known.sort();
        assert_eq!(written, known);
        let secrets: Vec<_> = keys().iter().filter(|key| key.secret).map(|key| key.path.as_str()).collect();
        assert_eq!(
            secrets,
            ["storage.url", "listen.token[].value", "otel.headers", "webhooks.secret", "upstream[].api_key"]
        );
    }

    #[test]
    fn every_key_is_documented_and_says_its_true_default() {
        for key in keys() {
            assert!(key.doc.len() > 10 && key.doc.ends_with('.'), "{}: {:?}", key.path, key.doc);
            let Some((_, said)) = key.doc.split_once("Default ") else { continue };
            let said = said.split([':', ';', ',', '(']).next().unwrap().trim_end().trim_end_matches('.');
            let said = said.split(". ").next().unwrap().trim_matches('`');
            let said = match said.split_once(' ') {
                Some((number, "KiB")) => (number.parse::<u64>().unwrap() << 10).to_string(),
                Some((number, "MiB")) => (number.parse::<u64>().unwrap() << 20).to_string(),
                Some((number, "GiB")) => (number.parse::<u64>().unwrap() << 30).to_string(),
                _ => said.to_owned(),
            };
            let default = key.default.trim_matches('"').trim_end_matches(".0");
            assert_eq!(said, default, "{}: {:?}", key.path, key.doc);
        }
    }

    #[test]
    fn aliases_and_numbers_lead_to_the_same_key() {
        assert_eq!(canonical("upstreams[3].url"), "upstream[].url");
        assert_eq!(canonical("listen.tokens[0].name"), "listen.token[].name");
        assert_eq!(canonical("tokens"), "tokens");
        assert_eq!(find("upstream[7].weight").unwrap().env, "CORTENSOR_UPSTREAM_<N>_WEIGHT");
        assert_eq!(find("listen.cors.origins").unwrap().env, "CORTENSOR_LISTEN_CORS_ORIGINS");
    }
}
