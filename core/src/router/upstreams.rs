//! Adds upstreams as miners, replaces and removes them, and passes on what their probes report.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::Duration;

#[cfg(feature = "listener")]
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::reload::ReloadedUpstreams;
use super::servers::{Keeper, Server};
use super::shared::{Router, Shared};
use super::slot::Entrance;
use crate::config::{UpstreamApi, UpstreamConfig};
use crate::engine::{Event, MinerKey};
use crate::miner::UpstreamMiner;
use crate::miner::server::Launch;
use crate::model::{CONTINUE, MinerKind, MinerSpec};
#[cfg(feature = "listener")]
use crate::model::{TaskRequest, meant, original::kept};
use crate::{Error, ErrorKind, Result};

/// The time after which a miner that drains is looked at again, if no task has ended meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Where an upstream comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The configuration.
    Config,
    /// A call of the program.
    Host,
    /// A caller over HTTP. Its addresses are checked.
    #[cfg(feature = "listener")]
    Managed,
}

/// The upstream of a miner.
pub(super) struct Attached {
    pub(super) miner: Arc<UpstreamMiner>,
    /// The server, if the router starts it itself.
    pub(super) server: Option<Arc<Server>>,
    pub(super) origin: Origin,
    /// Ends its probe.
    pub(super) stop: CancellationToken,
}

/// An upstream that can be added at any time.
pub(super) struct Prepared {
    spec: MinerSpec,
    miner: Arc<UpstreamMiner>,
    server: Option<Arc<Server>>,
    origin: Origin,
    apis: Vec<UpstreamApi>,
}

impl Prepared {
    /// Makes everything that can fail for an upstream, and connects to nothing.
    ///
    /// # Errors
    /// `InvalidArgument` names the field.
    pub(super) fn new(shared: &Shared, config: UpstreamConfig, origin: Origin) -> Result<Self> {
        config.validate(0)?;
        let apis: Vec<UpstreamApi> = own_apis(&config).collect();
        let mut spec = MinerSpec::new(config.miner_name(), config.max_concurrency)
            .kind(MinerKind::Upstream)
            .models(config.models.clone())
            .weight(config.weight)
            .embeddings(config.makes_embeddings())
            .dedicated(config.dedicated)
            .features(config.continues.then_some(CONTINUE).into_iter().chain(apis.iter().map(|api| api.route())));
        spec.owner.clone_from(&config.owner);
        spec.validate()?;
        let settings = shared.settings.now();
        let limits = &settings.limits;
        if config.is_started() {
            // Whoever can write the store must not be able to run programs.
            #[cfg(feature = "listener")]
            if origin == Origin::Managed {
                return Err(Error::invalid("upstream.command", "commands come from the configuration alone"));
            }
            let port = Arc::<AtomicU16>::default();
            let server = Server::new(&config, Launch::new(&config, shared.supervisor()?), port.clone());
            let miner = UpstreamMiner::started(config, limits, port)?;
            return Ok(Self { spec, miner, server: Some(server), origin, apis });
        }
        let miner = match origin {
            #[cfg(feature = "listener")]
            Origin::Managed => UpstreamMiner::within(config, limits, shared.reach.clone())?,
            _ => UpstreamMiner::new_in(config, limits, shared.network.clone())?,
        };
        Ok(Self { spec, miner, server: None, origin, apis })
    }

    /// Adds the upstream. Its probe runs from now on.
    ///
    /// # Errors
    /// `Conflict` if the name is taken; `Overloaded` if there are as many miners as `limits.max_miners` allows; `Closed`.
    pub(super) fn join(self, shared: &Arc<Shared>) -> Result<MinerKey> {
        let Self { spec, miner, server, origin, apis } = self;
        for speaks in apis.into_iter().filter_map(|api| shared.speaks(api)) {
            speaks.store(true, Ordering::Relaxed);
        }
        // Until the first probe has ended, tasks wait for the upstream instead of failing.
        let entrance = Entrance { awaited: true, on_call: server.is_some(), ..Entrance::default() };
        let handle = shared.join(spec, miner.clone(), entrance)?;
        let (key, stop) = (handle.key, shared.stop.child_token());
        if let Some(slot) = shared.core.lock().miners.get_mut(&key) {
            slot.upstream = Some(Attached { miner: miner.clone(), server: server.clone(), origin, stop: stop.clone() });
        }
        let credits = handle.clone();
        miner.on_credits(Box::new(move |now| credits.set_credits(now)));
        if let Some(server) = server {
            Keeper::begin(shared, server, miner, handle, stop);
            return Ok(key);
        }
        let probe = miner.probe();
        shared.background.spawn_on(
            async move {
                let watch = probe.run(|report| handle.take_report(report, || true));
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = watch => {}
                }
            },
            &shared.runtime,
        );
        Ok(key)
    }
}

/// The changes of the configured upstreams, ready to be carried out.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) told: ReloadedUpstreams,
    /// The upstreams that come, or only go, by name.
    steps: Vec<(String, Option<Prepared>)>,
}

impl Plan {
    /// Compares the upstreams of two configurations.
    ///
    /// # Errors
    /// That of an upstream that cannot be used; `Conflict` if its name is another miner's.
    pub(super) fn of(shared: &Shared, old: &[UpstreamConfig], new: &[UpstreamConfig]) -> Result<Self> {
        let mut gone: BTreeMap<String, &UpstreamConfig> =
            old.iter().map(|upstream| (upstream.miner_name(), upstream)).collect();
        let mut plan = Self::default();
        for (index, upstream) in new.iter().enumerate() {
            let name = upstream.miner_name();
            match gone.remove(&name) {
                Some(same) if same == upstream => continue,
                Some(_) => plan.told.changed.push(name.clone()),
                None if shared.is_taken(&name) => {
                    let words = format!("a miner called {name:?} is there already: give the upstream another name");
                    let error = Error::new(ErrorKind::Conflict, words);
                    return Err(error.with_param(format!("upstream[{index}].name")));
                }
                None => plan.told.added.push(name.clone()),
            }
            let prepared = Prepared::new(shared, upstream.clone(), Origin::Config)
                .map_err(|error| located(error, &format!("upstream[{index}]")))?;
            plan.steps.push((name, Some(prepared)));
        }
        for name in gone.into_keys() {
            plan.told.removed.push(name.clone());
            plan.steps.push((name, None));
        }
        Ok(plan)
    }

    pub(super) fn carry_out(self, shared: &Arc<Shared>) {
        for (name, prepared) in self.steps {
            shared.retire_upstream(&name, Origin::Config);
            if let Some(Err(error)) = prepared.map(|prepared| prepared.join(shared)) {
                tracing::error!(%error, upstream = name, "an upstream of the configuration could not be added");
            }
        }
    }
}

/// The error with the place of the upstream in its field.
fn located(error: Error, place: &str) -> Error {
    let field = error.details().param.as_deref().unwrap_or("url");
    let field = field.rsplit('.').next().unwrap_or(field).to_owned();
    error.with_param(format!("{place}.{field}"))
}

impl Shared {
    /// The program that supervises model servers, with its first arguments.
    fn supervisor(&self) -> Result<Arc<[OsString]>> {
        self.supervisor.clone().filter(|_| cfg!(unix)).ok_or_else(|| {
            let words = if cfg!(unix) {
                "a router inside another program starts model servers with the command cortensor-router: name its path \
                 with runtime.supervisor, or start the server and name its url"
            } else {
                "the router starts model servers on Unix alone: start the server, and name its url"
            };
            Error::invalid("upstream.command", words)
        })
    }

    /// Whether a miner that stays has that name.
    pub(super) fn is_taken(&self, name: &str) -> bool {
        self.core.lock().has_name(name)
    }

    /// Lets an upstream of that origin go, once it has finished its tasks. `false`: there is none. Its name is free from
    /// now on.
    pub(super) fn retire_upstream(self: &Arc<Self>, name: &str, origin: Origin) -> bool {
        let key = {
            let mut core = self.core.lock();
            let Some(slot) = core.upstream(name, origin) else { return false };
            slot.retired = true;
            slot.key
        };
        tracing::info!(upstream = name, "an upstream goes: it gets no new tasks");
        self.step(Event::Drain(key));
        let shared = self.clone();
        let going = async move {
            if shared.until_idle(key).await
                && let Some(gone) = shared.dismiss(key)
            {
                shared.see_off(gone);
            }
        };
        self.background.spawn_on(going, &self.runtime);
        true
    }

    /// Waits until a miner that drains has no tasks. `false`: the router closes first.
    pub(super) async fn until_idle(&self, key: MinerKey) -> bool {
        loop {
            let ended = self.ended.notified();
            let is_idle = self.core.lock().engine.miner(key).is_none_or(|view| view.in_flight == 0);
            if is_idle {
                return true;
            }
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = ended => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    /// Gives all upstreams the bounds of answers that are in force.
    pub(super) fn settle_output(&self) {
        let settings = self.settings.now();
        for slot in self.core.lock().miners.values() {
            if let Some(upstream) = &slot.upstream {
                upstream.miner.set_limits(&settings.limits);
            }
        }
    }
}

/// The APIs other than OpenAI's chats whose bodies the upstream takes as they are.
fn own_apis(config: &UpstreamConfig) -> impl Iterator<Item = UpstreamApi> {
    config.also.iter().copied().chain([config.api]).filter(|api| *api != UpstreamApi::OpenAi)
}

impl Shared {
    /// The note whether an upstream speaks that API; `None`: chats pass without it.
    fn speaks(&self, api: UpstreamApi) -> Option<&AtomicBool> {
        match api {
            UpstreamApi::OpenAi => None,
            UpstreamApi::Anthropic => Some(&self.speaks_messages),
            UpstreamApi::Responses => Some(&self.speaks_responses),
        }
    }
}

impl Router {
    /// Adds an upstream of the program.
    ///
    /// # Errors
    /// Those of [`Prepared::new`] and [`Prepared::join`].
    pub(super) fn attach_upstream(&self, config: UpstreamConfig, origin: Origin) -> Result<()> {
        Prepared::new(&self.shared, config, origin)?.join(&self.shared).map(drop)
    }

    /// The body of a request of that API as a task keeps it, if an upstream speaks the API. `only`: no chat says all of
    /// it.
    #[cfg(feature = "listener")]
    pub(crate) fn original(&self, api: UpstreamApi, body: &[u8], only: bool) -> Option<Box<RawValue>> {
        let is_spoken = self.shared.speaks(api)?.load(Ordering::Relaxed);
        if is_spoken { kept(api.route(), body, only) } else { None }
    }

    /// The tokens of a body of the Messages API, which the chat stands for, by the tokenizer of an upstream that serves
    /// its model; `None`: no such upstream counts them.
    #[cfg(feature = "listener")]
    pub(crate) async fn count_tokens(&self, chat: &TaskRequest, body: &[u8]) -> Option<u64> {
        let settings = self.shared.settings.kept();
        let asked = chat.model.as_deref().map(|model| settings.aliases.first(model));
        let upstreams: Vec<_> = {
            let core = self.shared.core.lock();
            let up = core.miners.values().filter(|slot| slot.up);
            let serving = up.filter(|slot| asked.is_none_or(|model| meant(&slot.spec.models, model).is_some()));
            serving.filter_map(|slot| Some(slot.upstream.as_ref()?.miner.clone())).collect()
        };
        let mut named = chat.clone();
        named.model = asked.map(str::to_owned);
        for upstream in upstreams {
            if let Some(count) = upstream.count_tokens(&named, body).await {
                return Some(count);
            }
        }
        None
    }
}
