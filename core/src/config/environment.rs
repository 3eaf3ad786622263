//! Settings from the environment: the router's own names, and those that operators of Cortensor's router already use.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::keys::{self, Key};
use super::kind::KeyKind;
use super::suggest;
use crate::{Error, Result};

/// A name under which operators already set a key.
#[derive(Debug, Clone, Copy)]
pub struct EnvAlias {
    /// The environment variable.
    pub name: &'static str,
    /// The key it sets; empty where it is accepted and not used.
    pub key: &'static str,
    /// How it is read.
    pub note: &'static str,
}

/// The environment names of Cortensor's own router and of OpenTelemetry that are read as aliases. A later one wins over an earlier one.
pub const ENV_ALIASES: &[EnvAlias] = &[
    EnvAlias { name: "API_ENABLE", key: "listen.enabled", note: "`1` or `true`: listen" },
    EnvAlias { name: "API_KEY", key: "listen.token", note: "a token with the scopes `submit`, `read` and `admin`" },
    EnvAlias { name: "API_PORT", key: "listen.port", note: "the port" },
    EnvAlias { name: "ROUTER_REST_BIND_IP", key: "listen.host", note: "the address to listen on" },
    EnvAlias { name: "ROUTER_REST_BIND_PORT", key: "listen.port", note: "the port; wins over `API_PORT`" },
    EnvAlias { name: "ROUTER_EXTERNAL_IP", key: "external_address", note: "the address that clients use" },
    EnvAlias { name: "ROUTER_EXTERNAL_PORT", key: "external_address", note: "its port; needs `ROUTER_EXTERNAL_IP`" },
    EnvAlias { name: "LLM_HOST", key: "upstream", note: "a host: the upstream `http://<LLM_HOST>:<LLM_PORT>/v1`" },
    EnvAlias { name: "LLM_PORT", key: "upstream", note: "its port; 8080 where it is missing" },
    EnvAlias {
        name: "ROUTER_COMPLETION_SESSION_IDS",
        key: "completion_sessions",
        note: "session ids with commas between",
    },
    EnvAlias {
        name: "ROUTER_V3_DELEGATE_SESSION_IDS_1",
        key: "agents.delegate_sessions_1",
        note: "session ids with commas between",
    },
    EnvAlias {
        name: "ROUTER_V3_DELEGATE_SESSION_IDS_3",
        key: "agents.delegate_sessions_3",
        note: "session ids with commas between",
    },
    EnvAlias {
        name: "ROUTER_V3_DELEGATE_SESSION_IDS_5",
        key: "agents.delegate_sessions_5",
        note: "session ids with commas between",
    },
    EnvAlias {
        name: "ROUTER_V3_VALIDATE_SESSION_IDS_1",
        key: "agents.validate_sessions_1",
        note: "session ids with commas between",
    },
    EnvAlias {
        name: "ROUTER_V3_VALIDATE_SESSION_IDS_3",
        key: "agents.validate_sessions_3",
        note: "session ids with commas between",
    },
    EnvAlias {
        name: "ROUTER_V3_VALIDATE_SESSION_IDS_5",
        key: "agents.validate_sessions_5",
        note: "session ids with commas between",
    },
    EnvAlias { name: "WS_HOST_ROUTER", key: "", note: "not used: the miner socket is at `listen.host`" },
    EnvAlias { name: "WS_PORT_ROUTER", key: "miners.port", note: "a port for miners alone" },
    EnvAlias { name: "OTEL_EXPORTER_OTLP_ENDPOINT", key: "otel.endpoint", note: "the base URL of a collector" },
    EnvAlias {
        name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        key: "otel.traces_endpoint",
        note: "the whole URL for spans",
    },
    EnvAlias {
        name: "OTEL_EXPORTER_OTLP_HEADERS",
        key: "otel.headers",
        note: "`name=value` pairs with commas between",
    },
    EnvAlias {
        name: "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        key: "otel.headers",
        note: "wins over `OTEL_EXPORTER_OTLP_HEADERS`",
    },
    EnvAlias { name: "OTEL_EXPORTER_OTLP_CERTIFICATE", key: "otel.ca_file", note: "a file of certificates (PEM)" },
    EnvAlias { name: "OTEL_EXPORTER_OTLP_TIMEOUT", key: "otel.timeout_ms", note: "milliseconds" },
    EnvAlias {
        name: "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
        key: "otel.timeout_ms",
        note: "milliseconds; wins over the one before",
    },
    EnvAlias {
        name: "OTEL_EXPORTER_OTLP_PROTOCOL",
        key: "",
        note: "not used: spans go out by OTLP over HTTP, as JSON (`http/json`)",
    },
    EnvAlias { name: "OTEL_SERVICE_NAME", key: "otel.service_name", note: "the name of this router" },
    EnvAlias { name: "OTEL_BSP_SCHEDULE_DELAY", key: "otel.interval_ms", note: "milliseconds" },
    EnvAlias { name: "OTEL_BSP_MAX_QUEUE_SIZE", key: "otel.max_queued_spans", note: "spans" },
    EnvAlias { name: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", key: "otel.max_batch_spans", note: "spans" },
];

/// Variables of the command itself, which are not keys of the configuration.
pub const COMMAND_ENV: &[(&str, &str)] = &[
    ("CORTENSOR_CONFIG", "the configuration file, as `--config`"),
    ("CORTENSOR_LOG", "what is logged, as `--log`: `info`, `debug`, `cortensor_router=trace` ..."),
    ("CORTENSOR_LOG_FORMAT", "`text` or `json`, as `--log-format`"),
    ("CORTENSOR_URL", "the router that `submit`, `chat`, `top` and the other commands of a client talk to"),
    ("CORTENSOR_TOKEN", "the token that they send"),
    ("CORTENSOR_COMPLETE", "set by the scripts of `completions`, for the shell that asks"),
];

/// A key that a variable sets.
pub(super) struct Setting {
    pub(super) path: String,
    pub(super) value: Value,
    pub(super) from: String,
}

/// The environment, without variables that are set to nothing.
pub(super) struct Environment(BTreeMap<String, String>);

impl Environment {
    pub(super) fn new(variables: impl Iterator<Item = (String, String)>) -> Self {
        Self(variables.filter(|(_, value)| !value.trim().is_empty()).collect())
    }

    /// Settings under the router's own names, and remarks on names that look like a mistake.
    pub(super) fn own(&self) -> Result<(Vec<Setting>, Vec<String>)> {
        let (mut settings, mut remarks) = (Vec::new(), Vec::new());
        for (name, text) in self.0.range("CORTENSOR_".to_owned()..) {
            if !name.starts_with("CORTENSOR_") {
                break;
            }
            if COMMAND_ENV.iter().any(|(known, _)| known == name) {
                continue;
            }
            if let Some((path, key)) = resolve(name) {
                let value = parse(key, text, name)?;
                settings.push(Setting { path, value, from: name.clone() });
                continue;
            }
            let known = keys::keys().iter().map(|key| key.env.as_str()).filter(|env| !env.contains('<'));
            let close = suggest::close_env(name, known);
            let ours = keys::keys()
                .iter()
                .filter(|key| key.kind == KeyKind::Section)
                .any(|key| name.starts_with(&format!("{}_", key.env)));
            match (ours, close) {
                (true, close) => {
                    let hint = close.map_or_else(
                        || ": see `cortensor-router config docs`".to_owned(),
                        |close| format!(": did you mean {close}?"),
                    );
                    return Err(Error::invalid(name, format!("the environment variable {name} sets no key{hint}")));
                }
                (false, Some(close)) => {
                    remarks.push(format!("the environment variable {name} sets no key: did you mean {close}?"));
                }
                (false, None) => {}
            }
        }
        // A list as a whole comes before settings of its elements.
        settings.sort_by_key(|setting| setting.path.contains('['));
        Ok((settings, remarks))
    }

    /// Settings under the aliases, and remarks on those that have no effect.
    pub(super) fn aliases(&self) -> Result<(Vec<Setting>, Vec<String>)> {
        let (mut settings, mut remarks) = (Vec::new(), Vec::new());
        for alias in ENV_ALIASES {
            let Some(text) = self.0.get(alias.name) else { continue };
            let text = text.trim();
            let value = match alias.name {
                "API_KEY" => tokens(alias.name, [text]),
                "ROUTER_EXTERNAL_IP" => Value::String(match self.get("ROUTER_EXTERNAL_PORT") {
                    Some(port) => authority(text, port),
                    None => text.to_owned(),
                }),
                "ROUTER_EXTERNAL_PORT" => {
                    if self.get("ROUTER_EXTERNAL_IP").is_none() {
                        remarks.push("ROUTER_EXTERNAL_PORT is not used: ROUTER_EXTERNAL_IP is not set".into());
                    }
                    continue;
                }
                "LLM_HOST" => upstreams([&llm_url(text, self.get("LLM_PORT"))]),
                "LLM_PORT" => {
                    if self.get("LLM_HOST").is_some() {
                        continue;
                    }
                    upstreams([&llm_url("127.0.0.1", Some(text))])
                }
                _ if alias.key.is_empty() => {
                    remarks.push(format!("{} is {}", alias.name, alias.note));
                    continue;
                }
                _ => match keys::find(alias.key) {
                    Some(key) => parse(key, text, alias.name)?,
                    None => continue,
                },
            };
            settings.push(Setting { path: alias.key.to_owned(), value, from: alias.name.to_owned() });
        }
        Ok((settings, remarks))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim())
    }
}

/// The key that a variable of ours sets, and its place: `CORTENSOR_UPSTREAM_0_URL` is `upstream[0].url`.
fn resolve(name: &str) -> Option<(String, &'static Key)> {
    keys::keys().iter().filter(|key| key.kind != KeyKind::Section).find_map(|key| match key.env.split_once("<N>") {
        None => (key.env == name).then(|| (key.path.clone(), key)),
        Some((head, tail)) => {
            let number = name.strip_prefix(head)?.strip_suffix(tail)?;
            // Lists in the environment are short; a great number is a mistake, not a list to be filled up.
            let index: usize = number.parse().ok().filter(|index| *index < 1_000)?;
            Some((key.path.replace("[]", &format!("[{index}]")), key))
        }
    })
}

/// Reads a text as that key's value; `from` is the variable or flag that it comes from.
///
/// # Errors
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names both.
pub(super) fn parse(key: &Key, text: &str, from: &str) -> Result<Value> {
    let text = text.trim();
    let wrong = || {
        let shown = if key.may_hold_a_secret() { "that".to_owned() } else { format!("{text:?}") };
        Error::invalid(key.path.clone(), format!("{from}: {} takes {}, not {shown}", key.path, key.kind.describe()))
    };
    let inline = || format!("x = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("x"));
    let is_inline = text.starts_with(['[', '{']);
    let list = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
    match key.kind {
        KeyKind::Bool => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Value::Boolean(true)),
            "false" | "0" | "no" | "off" => Ok(Value::Boolean(false)),
            _ => Err(wrong()),
        },
        KeyKind::Integer => text.replace('_', "").parse().map(Value::Integer).map_err(|_| wrong()),
        KeyKind::Number => text.parse().map(Value::Float).map_err(|_| wrong()),
        KeyKind::Text if key.path == "listen.host" && text.eq_ignore_ascii_case("localhost") => {
            Ok(Value::String("127.0.0.1".into()))
        }
        KeyKind::Text => Ok(Value::String(text.to_owned())),
        KeyKind::TextList | KeyKind::IntegerList | KeyKind::Tables if is_inline => json_or_toml(text)
            .or_else(inline)
            .map(|value| if value.is_array() { value } else { Value::Array(vec![value]) })
            .ok_or_else(wrong),
        KeyKind::TextList => Ok(Value::Array(list().map(|item| Value::String(item.to_owned())).collect())),
        KeyKind::IntegerList => list()
            .map(|item| item.parse().map(Value::Integer).map_err(|_| wrong()))
            .collect::<Result<_>>()
            .map(Value::Array),
        // The targets of a list of models are names, unless they are tables.
        KeyKind::Tables if key.path == "model[].targets" => {
            Ok(Value::Array(list().map(|item| Value::String(item.to_owned())).collect()))
        }
        KeyKind::Tables if key.path == "upstream" => Ok(upstreams(list())),
        KeyKind::Tables => Ok(tokens(from, list())),
        KeyKind::TextMap | KeyKind::Section => {
            json_or_toml(text).or_else(inline).filter(Value::is_table).ok_or_else(wrong)
        }
    }
}

fn json_or_toml(text: &str) -> Option<Value> {
    serde_json::from_str::<serde_json::Value>(text).ok().and_then(|value| Value::try_from(value).ok())
}

fn upstreams<S: AsRef<str>>(urls: impl IntoIterator<Item = S>) -> Value {
    let table = |url: &str| Table::from_iter([("url".to_owned(), Value::String(url.to_owned()))]);
    Value::Array(urls.into_iter().map(|url| Value::Table(table(url.as_ref()))).collect())
}

fn tokens<'a>(from: &str, tokens: impl IntoIterator<Item = &'a str>) -> Value {
    let table = |token: &str| {
        Table::from_iter([
            ("name".to_owned(), Value::String(from.to_owned())),
            ("value".to_owned(), Value::String(token.to_owned())),
        ])
    };
    Value::Array(tokens.into_iter().map(|token| Value::Table(table(token))).collect())
}

fn llm_url(host: &str, port: Option<&str>) -> String {
    if host.contains("://") {
        let url = host.trim_end_matches('/');
        return if url.ends_with("/v1") { url.to_owned() } else { format!("{url}/v1") };
    }
    format!("http://{}/v1", authority(host, port.unwrap_or("8080")))
}

/// `host:port`; an IPv6 address gets its brackets, and a host that has a port already keeps it.
fn authority(host: &str, port: &str) -> String {
    match host.parse::<std::net::Ipv6Addr>() {
        Ok(address) => format!("[{address}]:{port}"),
        Err(_) if host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) => host.to_owned(),
        Err(_) => format!("{host}:{port}"),
    }
}
