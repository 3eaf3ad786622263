//! `key`: creates, lists and revokes API keys, in the data directory or, if a router runs on it, through that router.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use cortensor_router::ApiKey;
use cortensor_router::Config;
use cortensor_router::KeySpec;
use cortensor_router::config::{Durability, LimitsPatch};
use cortensor_router::internals::store::{Act, COMMAND, Holder, SqliteOptions, SqliteStore, Store, holder};
#[cfg(feature = "postgres")]
use cortensor_router::internals::store::{PostgresOptions, PostgresStore};
use http::Method;
use serde_json::{Value, json};

use crate::candidates;
use crate::client::Client;
use crate::command_token::CommandToken;
use crate::exit::{Done, Exit};
use crate::output::{self, ago, text};
use crate::runtime;
use crate::settings::Settings;
use crate::submit::path_segment;
use cortensor_router::Error;
use cortensor_router::model::{Scope, Timestamp};

const EXAMPLES: &str = "\
Examples:
  cortensor-router key create --name app       may submit and read
  cortensor-router key create --name ops --scope admin --ttl 30d
  cortensor-router key create --name tenant-a --session 3 --session 4
  cortensor-router key create --name trial --model tiny --limit tokens_per_day=100000
  cortensor-router key limit 0f3c9a1b2d4e tokens_per_day=200000 tasks_per_minute=none
  cortensor-router key list
  cortensor-router key revoke 0f3c9a1b2d4e

The token is shown once, when it is created. While a router runs on the data directory,
keys are managed through it, with the token that it keeps there for this command, or with
the one given (CORTENSOR_TOKEN); else they are written to the data directory directly.";

/// The arguments of `key`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Keys {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create a key and print its token
    Create(Create),
    /// List the keys
    List(List),
    /// Change the limits of a key
    Limit(Limit),
    /// Revoke a key: its token is refused from now on
    #[command(visible_alias = "delete")]
    Revoke(Revoke),
}

#[derive(Debug, Args)]
struct Create {
    /// A name for people
    #[arg(long)]
    name: String,
    /// A scope: submit, read, admin, miner, or enrol alone (repeatable); submit and read where none is given
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// The only sessions that the key may use (repeatable); all where none is given
    #[arg(long = "session", value_name = "ID", value_delimiter = ',', add = candidates::sessions())]
    sessions: Vec<u64>,
    /// The only models that the key's tasks may use, or that miners with it may serve (repeatable); all where none is
    /// given
    #[arg(long = "model", value_name = "MODEL", value_delimiter = ',', add = candidates::models())]
    models: Vec<String>,
    /// For a key of miners: the person or company that runs them
    #[arg(long, default_value = "", hide_default_value = true)]
    owner: String,
    /// How long the key is valid: 90s, 15m, 12h, 30d; for ever where it is not given
    #[arg(long, value_parser = duration)]
    ttl: Option<u64>,
    /// A limit (repeatable): `requests_per_minute`, `tasks_per_minute`, `tokens_per_minute`, `tokens_per_day`,
    /// `tokens_per_month`, `concurrent_tasks` or `concurrent_streams`
    #[arg(long = "limit", value_name = "LIMIT=NUMBER", value_parser = limit)]
    limits: Vec<(String, Option<u64>)>,
    #[command(flatten)]
    place: Place,
}

/// New limits of a key.
#[derive(Debug, Args)]
struct Limit {
    /// The id, which is the second part of the token
    #[arg(value_name = "ID", add = candidates::keys())]
    id: String,
    /// A limit: `requests_per_minute`, `tasks_per_minute`, `tokens_per_minute`, `tokens_per_day`, `tokens_per_month`,
    /// `concurrent_tasks` or `concurrent_streams`; `none` lifts it
    #[arg(value_name = "LIMIT=NUMBER", value_parser = limit, required = true)]
    limits: Vec<(String, Option<u64>)>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    place: Place,
}

/// A key or a token to revoke.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The id, which is the second part of the token
    #[arg(value_name = "ID", add = candidates::keys())]
    id: String,
    #[command(flatten)]
    place: Place,
}

/// The place of the keys, given by flags.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// The router to ask, instead of the data directory
    #[arg(long, value_name = "URL", env = "CORTENSOR_URL")]
    url: Option<String>,
    /// A token with the scope admin; where none is given, the one that the router keeps in its data directory, or the
    /// development token
    #[arg(long, value_name = "TOKEN", env = "CORTENSOR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Certificates to trust (PEM) instead of the public ones
    #[arg(long, value_name = "FILE", env = "CORTENSOR_CA_FILE")]
    ca_file: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// The place at which keys are changed: a running router, or the store of a configuration, which no router uses.
pub(crate) enum Holding {
    Router(Box<Client>),
    Store(Box<Config>),
}

impl Keys {
    pub(crate) fn run(&self) -> Done {
        match &self.action {
            Action::Create(create) => create.run(),
            Action::List(list) => list.run(),
            Action::Limit(limit) => limit.run(),
            Action::Revoke(revoke) => revoke.run(),
        }
    }
}

impl Place {
    fn client(&self, url: &str) -> Done<Client> {
        Client::new(url, self.token.as_deref(), self.ca_file.as_deref())
    }

    pub(crate) fn find(&self) -> Done<Holding> {
        if let Some(url) = self.url.as_ref().filter(|url| !url.trim().is_empty()) {
            return Ok(Holding::Router(Box::new(self.client(url)?)));
        }
        let config = Box::new(self.settings.load(Vec::new())?.config);
        if config.storage.url.is_some() {
            return Ok(Holding::Store(config));
        }
        let Some(dir) = &config.storage.data_dir else {
            return Err(Exit::usage(
                "tasks and keys are kept in memory only (storage.durability = \"memory\"): name the running router with --url",
            ));
        };
        match holder(dir) {
            None => Ok(Holding::Store(config)),
            Some(Holder { url: Some(url), .. }) => {
                let given = self.token.clone().filter(|token| !token.trim().is_empty());
                let token = given.or_else(|| CommandToken::read(dir));
                let client = Client::new(&url, token.as_deref(), self.ca_file.as_deref())?;
                Ok(Holding::Router(Box::new(client)))
            }
            Some(Holder { pid, url: None }) => Err(Exit::failed(format!(
                "process {pid} has the data directory {} and does not listen: stop it, or name its address with --url",
                dir.display()
            ))),
        }
    }
}

/// Makes a key. Gives its record with its token.
pub(crate) fn create(place: &Place, spec: &KeySpec) -> Done<Value> {
    // The wish is checked here too, so that a mistake is found before the router is called or the directory opened.
    let (record, made) = spec.mint(Timestamp::wall_clock())?;
    match place.find()? {
        Holding::Router(client) => runtime::client(client.send(Method::POST, "/api/v1/keys", Some(&json!(spec)))),
        Holding::Store(config) => {
            let act = Act::key_created(Timestamp::wall_clock(), COMMAND, &record);
            with_store(&config, |store| store.put_key(record, Some(act)).wait())?;
            serde_json::to_value(&made).map_err(|error| Error::internal(error).into())
        }
    }
}

/// Reads the records of all keys.
pub(crate) fn list(place: &Place) -> Done<Vec<Value>> {
    let answer = match place.find()? {
        Holding::Router(client) => runtime::client(client.get("/api/v1/keys"))?,
        Holding::Store(config) => {
            let keys = with_store(&config, |store| store.keys().wait())?;
            json!({"keys": keys.iter().map(shown).collect::<Vec<_>>()})
        }
    };
    Ok(answer.get("keys").and_then(Value::as_array).cloned().unwrap_or_default())
}

impl Limit {
    fn run(&self) -> Done {
        let Self { id, limits, place } = self;
        let id = id_of(id);
        let wanted = object(limits);
        let patch: LimitsPatch =
            serde_json::from_value(wanted.clone()).map_err(|error| Exit::usage(error.to_string()))?;
        let key = match place.find()? {
            Holding::Router(client) => {
                let route = format!("/api/v1/keys/{}", path_segment(id));
                runtime::client(client.send(Method::PATCH, &route, Some(&json!({"limits": wanted}))))?
            }
            Holding::Store(config) => {
                let changed = with_store(&config, |store| {
                    let found = store.keys().wait()?.into_iter().find(|key| key.id == id);
                    let Some(mut key) = found else { return Ok(None) };
                    let before = key.clone();
                    key.limits = patch.applied_to(key.limits);
                    let act = Act::key_limited(Timestamp::wall_clock(), COMMAND, &before, &key);
                    store.put_key(key.clone(), Some(act)).wait()?;
                    Ok(Some(shown(&key)))
                })?;
                changed.ok_or_else(|| no_key(id))?
            }
        };
        if place.json {
            return output::json(&key);
        }
        let limits = key.get("limits").and_then(Value::as_object).cloned().unwrap_or_default();
        let words: Vec<String> = limits.iter().map(|(name, most)| format!("{name}={most}")).collect();
        let words = if words.is_empty() { "no limits".to_owned() } else { words.join(" ") };
        output::line(&format!("key {id} has {words}"))
    }
}

/// The id of a key. Users often paste the whole token; its secret is not needed and not sent.
fn id_of(text: &str) -> &str {
    text.strip_prefix("ctr_").and_then(|rest| rest.split('_').next()).unwrap_or(text)
}

fn no_key(id: &str) -> Exit {
    Exit::new(4, format!("there is no key {id:?}: see `cortensor-router key list`"))
}

/// Reads `tokens_per_day=1000`, or `tokens_per_day=none`.
pub(crate) fn limit(text: &str) -> Result<(String, Option<u64>), String> {
    let wrong = || format!("{text:?} is no limit: write it like tokens_per_day=1000");
    let (name, number) = text.split_once('=').ok_or_else(wrong)?;
    let number = if number == "none" { None } else { Some(number.parse().map_err(|_| wrong())?) };
    Ok((name.to_owned(), number))
}

/// The limits as JSON.
pub(crate) fn object(limits: &[(String, Option<u64>)]) -> Value {
    Value::Object(limits.iter().map(|(name, number)| (name.clone(), json!(number))).collect())
}

impl Revoke {
    /// Revokes the key with that id, or with that token.
    pub(crate) fn run(&self) -> Done {
        let Self { id, place } = self;
        let id = id_of(id);
        match place.find()? {
            Holding::Router(client) => {
                let path = format!("/api/v1/keys/{}", path_segment(id));
                runtime::client(client.send(Method::DELETE, &path, None))?;
            }
            Holding::Store(config) => {
                let found = with_store(&config, |store| {
                    let key = store.keys().wait()?.into_iter().find(|key| key.id == id);
                    let act = Act::key_revoked(Timestamp::wall_clock(), COMMAND, id, key.as_ref());
                    store.delete_key(id.to_owned(), Some(act)).wait()
                })?;
                if !found {
                    return Err(no_key(id));
                }
            }
        }
        if place.json {
            return output::json(&json!({"id": id, "deleted": true}));
        }
        output::line(&format!("key {id} is revoked"))
    }
}

impl Create {
    fn run(&self) -> Done {
        let limits =
            serde_json::from_value(object(&self.limits)).map_err(|error| Exit::usage(format!("--limit: {error}")))?;
        let spec = KeySpec::new(self.name.clone())
            .limits(limits)
            .scopes(self.scopes.clone())
            .sessions(self.sessions.clone())
            .ttl_secs(self.ttl.and_then(NonZeroU64::new))
            .models(self.models.clone())
            .owner(self.owner.clone());
        let made = create(&self.place, &spec)?;
        if self.place.json {
            return output::json(&made);
        }
        output::line(&text(&made, "token"))?;
        output::remark(&format!(
            "key {} {:?} may {}{}. Keep the token: it is not shown again.",
            text(&made, "id"),
            self.name,
            text(&made, "scopes"),
            self.ttl.map(|ttl| format!(" for {}", output::span(ttl))).unwrap_or_default(),
        ));
        Ok(())
    }
}

impl List {
    fn run(&self) -> Done {
        let keys = list(&self.place)?;
        if self.place.json {
            return output::json(&json!({"count": keys.len(), "keys": keys}));
        }
        let rows: Vec<Vec<String>> = keys
            .iter()
            .map(|key| {
                let sessions = text(key, "sessions");
                vec![
                    text(key, "id"),
                    text(key, "name"),
                    text(key, "scopes"),
                    if sessions.is_empty() { "all".to_owned() } else { sessions },
                    ago(key, "created_at"),
                    expiry(key),
                ]
            })
            .collect();
        output::table(&["ID", "NAME", "SCOPES", "SESSIONS", "CREATED", "EXPIRES"], &rows)
    }
}

/// Works with the store of a configuration, which no router uses meanwhile.
pub(crate) fn with_store<T>(config: &Config, work: impl FnOnce(&dyn Store) -> cortensor_router::Result<T>) -> Done<T> {
    let store = open(config)?;
    let done = work(&*store);
    store.close().wait()?;
    Ok(done?)
}

fn open(config: &Config) -> Done<Box<dyn Store>> {
    #[cfg(feature = "postgres")]
    if let Some(url) = &config.storage.url {
        // The routers that share the database learn of it with their next beat.
        return Ok(Box::new(PostgresStore::visit(url, Durability::Full, PostgresOptions::from(config))?));
    }
    let Some(dir) = &config.storage.data_dir else { return Err(Exit::usage("there is no data directory: --data-dir")) };
    Ok(Box::new(SqliteStore::open_with(dir, Durability::Full, SqliteOptions::from(config))?))
}

/// The record as it is shown, without its hash.
fn shown(key: &ApiKey) -> Value {
    let mut shown = json!({
        "id": key.id, "name": key.name, "scopes": key.scopes, "sessions": key.sessions,
        "created_at": key.created_at, "expires_at": key.expires_at.map_or(0, NonZeroU64::get), "models": key.models,
        "owner": key.owner.as_deref().unwrap_or_default(),
    });
    if !key.limits.is_none() {
        shown["limits"] = json!(key.limits);
    }
    shown
}

pub(crate) fn expiry(key: &Value) -> String {
    let now = Timestamp::wall_clock().as_secs();
    match key.get("expires_at").and_then(Value::as_u64) {
        None | Some(0) => "never".to_owned(),
        Some(at) if at <= now => "expired".to_owned(),
        Some(at) => format!("in {}", output::span(at - now)),
    }
}

/// Reads `90s`, `15m`, `12h` or `30d` as seconds; a number alone means seconds.
pub(crate) fn duration(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err("write it like 90s, 15m, 12h or 30d".to_owned()),
    };
    match digits.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        None | Some(0) => Err("write it like 90s, 15m, 12h or 30d".to_owned()),
        Some(seconds) => Ok(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(
            [duration("90"), duration("2m"), duration("1h"), duration("30d")],
            [Ok(90), Ok(120), Ok(3_600), Ok(2_592_000)]
        );
        for wrong in ["", "0", "d", "3w", "-1d", "99999999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
