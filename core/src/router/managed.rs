//! Upstreams that are managed over HTTP: records in the store, and miners while the router runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use serde::Serialize;
use serde_json::{Map, Value};

use super::servers::ServerRecord;
use super::shared::{Router, Shared};
use super::slot::MinerSlot;
use super::upstreams::{Origin, Prepared};
use crate::config::{UpstreamApi, UpstreamConfig};
use crate::engine::{Event, MinerView};
use crate::model::{ActKind, MinerStatus, Timestamp, from_json};
use crate::reach::port_of;
use crate::secrecy::shown_url;
use crate::store::{Act, UpstreamRecord};
use crate::{Error, ErrorKind, Result};

/// The time within which a host's addresses must be found while an upstream is added. A later look-up decides anyway.
const LOOK_UP: Duration = Duration::from_secs(2);

/// The fields that only the configuration may set, and why.
const OURS: [(&str, &str); 12] = [
    ("api_key_env", "names of variables come from the configuration alone: send api_key"),
    ("ca_file", "paths of files come from the configuration alone"),
    ("command", COMMAND),
    ("env", COMMAND),
    ("group", COMMAND),
    ("idle_stop_ms", COMMAND),
    ("min_stay_ms", COMMAND),
    ("health_path", COMMAND),
    ("start_timeout_ms", COMMAND),
    ("stop_timeout_ms", COMMAND),
    ("restart_backoff_ms", COMMAND),
    ("max_output_line_bytes", COMMAND),
];

const COMMAND: &str = "commands, and all that belongs to them, come from the configuration and from flags alone";

/// Where an upstream comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpstreamSource {
    /// The configuration: it changes by a reload.
    Config,
    /// These routes, or the command `upstreams`.
    Managed,
    /// The program that the router is in.
    Host,
}

/// The state of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpstreamState {
    /// It takes work.
    Up,
    /// It takes no work; `reason` says why.
    Down,
    /// It gets no new tasks and finishes those that it has.
    Draining,
    /// It has no tasks and gets none until it is resumed.
    Drained,
    /// It was removed or replaced, and finishes the tasks that it has.
    Leaving,
    /// The router starts it itself. It does not run, and the next task for its models starts it.
    Stopped,
    /// The router starts it itself, and it is not ready yet.
    Starting,
    /// The router starts it itself. It finishes its tasks, and is then stopped.
    Stopping,
    /// The router starts it itself. It ended by itself or did not get ready, and is started again later.
    Failed,
}

/// The last probe of an upstream.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = UpstreamProbe)]
pub(crate) struct ProbeInfo {
    /// Unix seconds of its end.
    at: u64,
    /// Why the upstream did not answer it well; null: it did. The state changes after `probe_threshold` such probes.
    error: Option<String>,
}

/// An upstream as it is shown.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[schema(as = Upstream)]
pub(crate) struct UpstreamInfo {
    /// Its name, which is also that of its miner.
    pub(crate) name: String,
    /// Its URL, without its query.
    url: String,
    /// The API that it speaks: `openai`, `anthropic` or `responses`.
    api: UpstreamApi,
    /// Where it comes from.
    source: UpstreamSource,
    /// Its state.
    state: UpstreamState,
    /// Why it takes no work, or a warning; null: neither.
    reason: Option<String>,
    /// The models that it offers; empty: not known, or any.
    models: Vec<String>,
    /// Its tasks at present.
    in_flight: u32,
    /// The tasks that it may have at present.
    credits: u32,
    /// Tasks at a time, as set.
    max_concurrency: u32,
    /// Its share among equals.
    weight: u32,
    /// The owner, if one was named.
    owner: Option<String>,
    /// Whether it has a key. The key itself is never shown.
    has_api_key: bool,
    /// Unix seconds at which it was added; null: it is not managed.
    created_at: Option<u64>,
    /// Its last probe; null: none has ended yet.
    last_probe: Option<ProbeInfo>,
    /// The server, if the router starts it itself; null: it does not.
    server: Option<ServerRecord>,
}

impl UpstreamInfo {
    fn new(name: &str, config: &UpstreamConfig, source: UpstreamSource) -> Self {
        Self {
            name: name.to_owned(),
            url: shown_url(&config.url),
            api: config.api,
            source,
            state: UpstreamState::Down,
            reason: None,
            models: config.models.clone(),
            in_flight: 0,
            credits: 0,
            max_concurrency: config.max_concurrency,
            weight: config.weight,
            owner: config.owner.clone(),
            has_api_key: config.key().is_some(),
            created_at: None,
            last_probe: None,
            server: None,
        }
    }

    fn of(slot: &MinerSlot, view: MinerView, now: Timestamp) -> Option<Self> {
        let upstream = slot.upstream.as_ref()?;
        let source = match upstream.origin {
            Origin::Config => UpstreamSource::Config,
            Origin::Host => UpstreamSource::Host,
            Origin::Managed => UpstreamSource::Managed,
        };
        let mut info = Self::new(&slot.spec.name, upstream.miner.config(), source);
        let why_out = slot.why_out(view);
        info.state = match () {
            () if slot.retired => UpstreamState::Leaving,
            () if view.draining && view.in_flight > 0 => UpstreamState::Draining,
            () if view.draining => UpstreamState::Drained,
            () if let Some(status) = slot.server_status() => match status {
                MinerStatus::Stopped => UpstreamState::Stopped,
                MinerStatus::Starting => UpstreamState::Starting,
                MinerStatus::Stopping => UpstreamState::Stopping,
                _ => UpstreamState::Failed,
            },
            () if why_out.is_some() => UpstreamState::Down,
            () => UpstreamState::Up,
        };
        if let Some(port) = slot.server_port() {
            info.url = format!("http://127.0.0.1:{port}/v1");
        }
        info.reason = why_out.or_else(|| slot.reason.clone());
        info.models.clone_from(&slot.spec.models);
        info.last_probe =
            upstream.miner.last_probe().map(|probe| ProbeInfo { at: probe.at.as_secs(), error: probe.error });
        info.server = slot.server().map(|server| server.record(view.in_flight, now));
        (info.in_flight, info.credits) = (view.in_flight, view.credits);
        Some(info)
    }
}

/// Reads an upstream that a caller describes.
///
/// # Errors
/// `InvalidArgument` names the field.
fn read(fields: &Map<String, Value>) -> Result<UpstreamConfig> {
    for (field, why) in OURS {
        if fields.contains_key(field) {
            return Err(Error::invalid(field, format!("{field} is not taken over HTTP: {why}")));
        }
    }
    let text = serde_json::to_vec(fields).map_err(Error::internal)?;
    let config: UpstreamConfig = from_json("upstream", &text)?;
    if config.name.is_none() {
        return Err(Error::invalid("name", "name is missing: give the upstream a name of its own"));
    }
    config.validate(0).map_err(unplaced)?;
    Ok(config)
}

/// The error with a field of the caller's, which is in no list.
fn unplaced(error: Error) -> Error {
    let param = error.details().param.clone();
    match param.as_deref().and_then(|param| param.rsplit('.').next()) {
        Some(field) => error.with_param(field.to_owned()),
        None => error,
    }
}

fn taken(name: &str) -> Error {
    let words = format!("a miner called {name:?} is there already: choose another name");
    Error::new(ErrorKind::Conflict, words).with_code("upstream_exists").with_param("name")
}

impl Shared {
    /// Adds the managed upstreams of the store when the router opens.
    pub(super) async fn restore_upstreams(self: &Arc<Self>) -> Result<()> {
        let no_changes = self.upstream_changes.lock().await;
        self.reread_upstreams().await?;
        drop(no_changes);
        if let Some(membership) = &self.membership {
            membership.look_at_upstreams();
        }
        Ok(())
    }

    /// Makes the managed upstreams those of the store. One that cannot be added stays in the store and is shown as down.
    /// The caller holds the lock on changes.
    pub(super) async fn reread_upstreams(self: &Arc<Self>) -> Result<()> {
        let there = self.store.upstreams().await?;
        let there: BTreeMap<_, _> = there.into_iter().map(|record| (record.name().to_owned(), record)).collect();
        let here = self.managed.lock().clone();
        for name in here.keys().filter(|name| !there.contains_key(*name)) {
            self.managed.lock().remove(name);
            self.retire_upstream(name, Origin::Managed);
        }
        for (name, record) in there {
            match here.get(&name) {
                Some(known) if *known == record => continue,
                Some(known) if record.drained && known.config() == record.config() => self.drain_upstream(&name),
                Some(_) => {
                    self.retire_upstream(&name, Origin::Managed);
                    self.enter(&record, self.prepared(&record));
                }
                None => self.enter(&record, self.prepared(&record)),
            }
            tracing::debug!(upstream = name, "a managed upstream is as the store has it");
            self.managed.lock().insert(name, record);
        }
        Ok(())
    }

    /// Waits until no upstream changes, and takes what other routers changed.
    async fn changing_upstreams(self: &Arc<Self>) -> Result<tokio::sync::MutexGuard<'_, ()>> {
        let no_changes = self.upstream_changes.lock().await;
        if self.membership.is_some() {
            self.reread_upstreams().await?;
        }
        Ok(no_changes)
    }

    fn prepared(&self, record: &UpstreamRecord) -> Result<Prepared> {
        Prepared::new(self, record.config(), Origin::Managed)
    }

    /// Adds the miner of a managed upstream.
    fn enter(self: &Arc<Self>, record: &UpstreamRecord, prepared: Result<Prepared>) {
        match prepared.and_then(|prepared| prepared.join(self)) {
            Ok(key) if record.drained => self.step(Event::Drain(key)),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, upstream = record.name(), "a managed upstream cannot be used"),
        }
    }

    /// The record of a managed upstream.
    fn managed(&self, name: &str) -> Result<UpstreamRecord> {
        if let Some(record) = self.managed.lock().get(name) {
            return Ok(record.clone());
        }
        if self.settings.now().upstreams.iter().any(|upstream| upstream.miner_name() == name) {
            let words = format!("the upstream {name:?} comes from the configuration: change it there and reload");
            return Err(Error::new(ErrorKind::Conflict, words).with_code("upstream_configured").with_param("name"));
        }
        Err(Error::not_found(format!("there is no managed upstream {name:?}"))
            .with_code("upstream_not_found")
            .with_param("name"))
    }

    /// Refuses an upstream whose host has no address that it may have. A name that leads nowhere now may lead somewhere
    /// later; every connection is checked anyway.
    async fn check_reach(&self, config: &UpstreamConfig) -> Result<()> {
        let uri: Uri = config.url.parse().map_err(|e| Error::invalid("url", format!("this is no URL: {e}")))?;
        let host = uri.host().unwrap_or_default();
        match tokio::time::timeout(LOOK_UP, self.reach.addresses(host, port_of(&uri))).await {
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                // An address needs no name in front of itself.
                let place = if error.to_string().starts_with(host) { String::new() } else { format!("{host}: ") };
                Err(Error::invalid("url", format!("{place}{error}")))
            }
            _ => Ok(()),
        }
    }

    /// Writes a changed record, and puts its new miner in the place of the old one.
    async fn replace(self: &Arc<Self>, record: UpstreamRecord, by: &str) -> Result<()> {
        let prepared = self.prepared(&record).map_err(unplaced)?;
        let act = Act::upstream(self.clock.now(), by, ActKind::UpstreamChanged, &record);
        self.store.put_upstream(record.clone(), Some(act)).await?;
        self.tell_others();
        self.retire_upstream(record.name(), Origin::Managed);
        self.enter(&record, Ok(prepared));
        self.managed.lock().insert(record.name().to_owned(), record);
        Ok(())
    }

    /// Lets the miner of a managed upstream drain.
    fn drain_upstream(self: &Arc<Self>, name: &str) {
        let key = self.core.lock().upstream(name, Origin::Managed).map(|slot| slot.key);
        if let Some(key) = key {
            self.step(Event::Drain(key));
        }
    }
}

impl Router {
    /// All upstreams, by name.
    pub(crate) fn upstreams(&self) -> Vec<UpstreamInfo> {
        let (mut managed, now) = (self.shared.managed.lock().clone(), self.shared.clock.now());
        let mut out: Vec<UpstreamInfo> = {
            let core = self.shared.core.lock();
            core.miners.iter().filter_map(|(key, slot)| UpstreamInfo::of(slot, core.engine.miner(*key)?, now)).collect()
        };
        for info in out.iter_mut().filter(|info| info.source == UpstreamSource::Managed) {
            let record = match info.state {
                UpstreamState::Leaving => None,
                _ => managed.remove(&info.name),
            };
            info.created_at = record.map(|record| record.created_at);
        }
        out.extend(managed.into_values().map(|record| UpstreamInfo {
            reason: Some("it cannot be used: the log says why".to_owned()),
            created_at: Some(record.created_at),
            ..UpstreamInfo::new(record.name(), &record.config(), UpstreamSource::Managed)
        }));
        out.sort_by(|a, b| a.name.cmp(&b.name));
        out
    }

    /// The managed upstream of that name as it is now.
    fn shown_upstream(&self, name: &str) -> Result<UpstreamInfo> {
        let found = self.upstreams().into_iter().find(|info| info.name == name && info.state != UpstreamState::Leaving);
        found.ok_or_else(|| Error::internal("a managed upstream is gone"))
    }

    /// Adds an upstream for a caller.
    ///
    /// # Errors
    /// `InvalidArgument` names the field; `Conflict` if the name is taken; `Overloaded` if there are as many as
    /// `listen.max_managed_upstreams` allows; the store's.
    pub(crate) async fn add_managed(&self, fields: &Map<String, Value>, by: &str) -> Result<UpstreamInfo> {
        let config = read(fields)?;
        let (router, by) = (self.clone(), by.to_owned());
        let add = async move {
            let shared = &router.shared;
            let _one_at_a_time = shared.changing_upstreams().await?;
            let record = UpstreamRecord::new(config, shared.clock.now().as_secs());
            let name = record.name().to_owned();
            let most = shared.settings.now().listen.max_managed_upstreams;
            if shared.is_taken(&name) || shared.managed.lock().contains_key(&name) {
                return Err(taken(&name));
            }
            if shared.managed.lock().len() >= most {
                let words = format!("there are {most} managed upstreams, as listen.max_managed_upstreams allows");
                return Err(Error::new(ErrorKind::Overloaded, words).with_code("upstreams_full"));
            }
            shared.check_reach(&record.config()).await?;
            let prepared = shared.prepared(&record).map_err(unplaced)?;
            let act = Act::upstream(shared.clock.now(), &by, ActKind::UpstreamAdded, &record);
            shared.store.put_upstream(record.clone(), Some(act)).await?;
            shared.tell_others();
            shared.enter(&record, Ok(prepared));
            shared.managed.lock().insert(name.clone(), record);
            tracing::info!(upstream = name, by, "an upstream was added");
            router.shown_upstream(&name)
        };
        self.shared.see_through(add).await
    }

    /// Changes an upstream for a caller: fields that are missing stay, and `null` gives a field its default. `drained`
    /// drains it, or resumes it.
    ///
    /// # Errors
    /// Those of [`add_managed`](Self::add_managed); `NotFound`; `Conflict` if it comes from the configuration.
    pub(crate) async fn change_managed(
        &self,
        name: &str,
        mut fields: Map<String, Value>,
        by: &str,
    ) -> Result<UpstreamInfo> {
        let drained = match fields.remove("drained") {
            None | Some(Value::Null) => None,
            Some(Value::Bool(drained)) => Some(drained),
            Some(_) => return Err(Error::invalid("drained", "drained must be true or false")),
        };
        if fields.get("name").is_some_and(|new| new.as_str() != Some(name)) {
            return Err(Error::invalid("name", "a name stays: add an upstream with the new name, and remove this one"));
        }
        let (router, name, by) = (self.clone(), name.to_owned(), by.to_owned());
        let change = async move {
            let shared = &router.shared;
            let _one_at_a_time = shared.changing_upstreams().await?;
            let before = shared.managed(&name)?;
            let mut after = if fields.is_empty() { before.clone() } else { patched(&before, fields)? };
            after.drained = drained.unwrap_or(before.drained);
            let is_reconfigured = after.config() != before.config();
            if is_reconfigured {
                shared.check_reach(&after.config()).await?;
            }
            if after == before {
                return router.shown_upstream(&name);
            }
            if !is_reconfigured && after.drained {
                let act = Act::upstream(shared.clock.now(), &by, ActKind::UpstreamChanged, &after);
                shared.store.put_upstream(after.clone(), Some(act)).await?;
                shared.tell_others();
                shared.managed.lock().insert(name.clone(), after);
                shared.drain_upstream(&name);
            } else {
                // A miner never comes back from a drain: one that is resumed is a new one.
                shared.replace(after, &by).await?;
            }
            tracing::info!(upstream = name, by, drained, "an upstream was changed");
            router.shown_upstream(&name)
        };
        self.shared.see_through(change).await
    }

    /// Removes an upstream for a caller. It finishes the tasks that it has.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` if it comes from the configuration; the store's.
    pub(crate) async fn remove_managed(&self, name: &str, by: &str) -> Result<()> {
        let (shared, name, by) = (self.shared.clone(), name.to_owned(), by.to_owned());
        let remove = async move {
            let _one_at_a_time = shared.changing_upstreams().await?;
            let record = shared.managed(&name)?;
            let act = Act::upstream(shared.clock.now(), &by, ActKind::UpstreamRemoved, &record);
            shared.store.delete_upstream(name.clone(), Some(act)).await?;
            shared.tell_others();
            shared.managed.lock().remove(&name);
            shared.retire_upstream(&name, Origin::Managed);
            tracing::info!(upstream = name, by, "an upstream was removed");
            Ok(())
        };
        self.shared.see_through(remove).await
    }
}

/// The record with the fields of a patch.
fn patched(record: &UpstreamRecord, patch: Map<String, Value>) -> Result<UpstreamRecord> {
    let before = record.config();
    let Ok(Value::Object(mut fields)) = serde_json::to_value(&before) else {
        return Err(Error::internal("the settings of an upstream are no object"));
    };
    for (field, _) in OURS {
        fields.remove(field);
    }
    let keeps_key = !patch.contains_key("api_key");
    for (field, value) in patch {
        if value.is_null() {
            fields.remove(&field);
        } else {
            fields.insert(field, value);
        }
    }
    let mut config = read(&fields)?;
    if keeps_key {
        config.api_key = before.api_key;
    }
    Ok(record.with(config))
}
