//! Changes the configuration of a running router.
//!
//! A reload has two halves. The first one makes everything that can fail: it reads, checks, and prepares the listeners
//! and the upstreams. The second one cannot fail. A configuration that is wrong therefore changes nothing.

use std::sync::{Arc, Weak};

use serde::Serialize;
use serde_json::json;

use super::in_force::Settings;
use super::miners::MinerHandle;
use super::settings::engine_settings;
use super::shared::{Router, Shared};
use super::slot::Entrance;
use super::upstreams::Plan;
use crate::config::{Config, Differences};
use crate::miner::EchoMiner;
use crate::model::MinerSpec;
use crate::store::{Act, HOST};
use crate::{Error, ErrorKind, Result};

/// The result of a reload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct Reloaded {
    /// The keys that have new values now.
    pub changed: Vec<String>,
    /// The keys whose new values count after a restart. The old ones stay in force until then.
    pub needs_restart: Vec<String>,
    /// The upstreams of the configuration that came, changed and went, by name.
    pub upstreams: ReloadedUpstreams,
    /// Whether nothing differs from the configuration in force.
    pub unchanged: bool,
}

/// The upstreams of the configuration that a reload touched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ReloadedUpstreams {
    /// New ones.
    pub added: Vec<String>,
    /// Those with other settings. The old connections end with the tasks that they have.
    pub changed: Vec<String>,
    /// Those that are no longer configured. They get no new tasks, and go when they have finished those that they have.
    pub removed: Vec<String>,
}

/// A part of the program that works with the configuration and follows it.
#[doc(hidden)]
pub trait Follow: Send + Sync {
    /// Prepares for a configuration that differs from the one in force. The returned function takes it over.
    ///
    /// # Errors
    /// When the part cannot work with the configuration, which then stays as it was.
    fn prepare(&self, old: &Config, new: &Config) -> Result<Box<dyn FnOnce() + Send>>;
}

/// Reads the configuration again.
pub(super) type Source = Arc<dyn Fn() -> Result<Config> + Send + Sync>;

/// The parts of the program that follow the configuration.
#[derive(Default)]
pub(super) struct Followers(parking_lot::Mutex<Vec<Weak<dyn Follow>>>);

impl Followers {
    fn all(&self) -> Vec<Arc<dyn Follow>> {
        let mut followers = self.0.lock();
        followers.retain(|follower| follower.strong_count() > 0);
        followers.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Router {
    /// Changes the configuration while the router works. Tasks and connections go on.
    ///
    /// Keys that a running router cannot change keep their values; [`Reloaded::needs_restart`] names them. Listeners that
    /// were started with the router's own `listen` settings follow the new ones.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> cortensor_router::Result<()> {
    /// use cortensor_router::{Config, Router};
    /// let router = Router::open(Config::default().echo(true)).await?;
    /// let config = Config::clone(&router.config()).name("renamed".into()).first_task_id(9);
    /// let done = router.reload(config).await?;
    /// assert_eq!((done.changed, done.needs_restart), (vec!["name".into()], vec!["first_task_id".into()]));
    /// assert_eq!(router.config().name, "renamed");
    /// # router.close().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `InvalidArgument` names the key that is wrong; `Conflict` if an upstream has the name of another miner; the
    /// store's error, because the audit log records every reload. After an error everything is as it was.
    pub async fn reload(&self, config: Config) -> Result<Reloaded> {
        self.take_over(config, HOST).await
    }

    /// Sets the function that reads the configuration again: `POST /api/v1/reload` calls it, on a thread that may block.
    pub fn reload_from(&self, source: impl Fn() -> Result<Config> + Send + Sync + 'static) {
        *self.shared.source.lock() = Some(Arc::new(source));
    }

    /// Reads the configuration again and takes it over, for that caller.
    ///
    /// # Errors
    /// Those of [`reload`](Self::reload); `Conflict` if the program has no [source](Self::reload_from).
    #[doc(hidden)]
    pub async fn read_again(&self, by: &str) -> Result<Reloaded> {
        let source = self.shared.source.lock().clone();
        let Some(source) = source else {
            let words = "this program has no configuration to read again: it changes its own by Router::reload";
            return Err(Error::new(ErrorKind::Conflict, words).with_code("no_config_source"));
        };
        let read = tokio::task::spawn_blocking(move || source()).await;
        let done = match read.map_err(|e| Error::internal(format!("reading the configuration panicked: {e}")))? {
            Ok(config) => self.take_over(config, by).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &done {
            tracing::error!(%error, by, "the configuration was not reloaded: the old one stays in force");
        }
        done
    }

    /// Lets a part of the program follow the configuration, as long as it lives.
    #[doc(hidden)]
    pub fn follow(&self, follower: &Arc<dyn Follow>) {
        self.shared.followers.0.lock().push(Arc::downgrade(follower));
    }

    async fn take_over(&self, config: Config, by: &str) -> Result<Reloaded> {
        config.validate()?;
        let (router, by) = (self.clone(), by.to_owned());
        // A caller that goes away must not leave half of it.
        self.shared.see_through(async move { router.shared.adopt_config(config, &by).await }).await
    }
}

impl Shared {
    async fn adopt_config(self: &Arc<Self>, config: Config, by: &str) -> Result<Reloaded> {
        let _one_at_a_time = self.upstream_changes.lock().await;
        if self.closed.load(std::sync::atomic::Ordering::Acquire) {
            return Err(Self::closed_error());
        }
        let _sessions = self.session_changes.lock().await;
        let old = self.settings.kept();
        let (new, Differences { changed, fixed }) = config.settled(&old);
        // Together with the values that stay, the new ones may be wrong.
        new.validate()?;
        let plan = Plan::of(self, &old.upstreams, &new.upstreams)?;
        let (before, after, followers) = (old.config.clone(), new.clone(), self.followers.all());
        let prepared = tokio::task::spawn_blocking(move || {
            followers.iter().map(|follower| follower.prepare(&before, &after)).collect::<Result<Vec<_>>>()
        });
        let followers = prepared.await.map_err(|e| Error::internal(format!("a reload panicked: {e}")))??;
        let done = Reloaded {
            unchanged: changed.is_empty() && fixed.is_empty(),
            changed,
            needs_restart: fixed,
            upstreams: plan.told.clone(),
        };
        let detail = json!({
            "changed": done.changed, "needs_restart": done.needs_restart, "upstreams": done.upstreams,
        });
        self.store.note(Act::config_reloaded(self.clock.now(), by, detail)).await?;
        // Nothing fails from here on.
        self.put_in_force(&old, new);
        plan.carry_out(self);
        self.settle_output();
        for take_over in followers {
            take_over();
        }
        tracing::info!(by, changed = ?done.changed, "the configuration was reloaded");
        if !done.needs_restart.is_empty() {
            tracing::warn!(keys = ?done.needs_restart, "a new value of these keys needs a restart");
        }
        Ok(done)
    }

    fn put_in_force(self: &Arc<Self>, old: &Settings, new: Config) {
        let rules_differ = old.dispatch != new.dispatch || old.models != new.models;
        let echo = (old.echo, new.echo);
        self.memory.set_most(new.limits.max_memory_bytes);
        #[cfg(feature = "listener")]
        {
            self.reach.allow(&new.listen.upstream_networks);
            self.log.resize(new.log.recent_lines);
        }
        let engine = engine_settings(&new.dispatch, &new.limits, &new.fleet);
        self.outbox.settle(&new);
        self.settings.replace(Settings::of(new));
        let sessions = {
            let mut core = self.core.lock();
            core.engine.set_settings(&engine);
            if rules_differ { core.sessions.values().cloned().collect() } else { Vec::new() }
        };
        for session in sessions {
            self.rule_session(&session);
        }
        match echo {
            (false, true) => self.keep_echo(),
            (true, false) => self.end_echo(),
            _ => {}
        }
    }

    /// Lets the built-in miner answer from now on.
    fn keep_echo(self: &Arc<Self>) {
        {
            let mut core = self.core.lock();
            core.echo = core.stand_in.take();
            if core.echo.is_some() {
                return;
            }
        }
        match self.join_echo() {
            Ok(echo) => self.core.lock().echo = Some(echo.key),
            Err(error) => tracing::warn!(%error, "the built-in echo cannot answer"),
        }
    }

    /// Adds the built-in miner.
    pub(super) fn join_echo(self: &Arc<Self>) -> Result<MinerHandle> {
        let spec = MinerSpec::new("echo", 1_024);
        let entrance = Entrance { up: true, last_resort: true, ..Entrance::default() };
        self.join(spec, Arc::new(EchoMiner::default()), entrance)
    }

    fn end_echo(self: &Arc<Self>) {
        let key = self.core.lock().echo.take();
        if let Some(gone) = key.and_then(|key| self.dismiss(key)) {
            self.see_off(gone);
        }
    }
}
