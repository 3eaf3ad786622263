//! The configuration in force. A reload replaces it as a whole, so that no request sees a part of it.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::aliases::Aliases;
use crate::config::Config;

/// A configuration, and what is made of it for requests.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(super) config: Arc<Config>,
    /// The names that stand for several models.
    pub(super) aliases: Aliases,
}

impl Settings {
    /// The settings of a configuration that was checked.
    pub(super) fn of(config: Config) -> Self {
        Self { aliases: Aliases::new(&config.models), config: Arc::new(config) }
    }
}

impl Deref for Settings {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.config
    }
}

/// The settings that are in force now. A reader takes them without a lock and sees them as they were at that moment.
#[derive(Debug)]
pub(super) struct InForce(ArcSwap<Settings>);

impl InForce {
    pub(super) fn new(settings: Settings) -> Self {
        Self(ArcSwap::from_pointee(settings))
    }

    /// The settings now, for a short look at them.
    pub(super) fn now(&self) -> Guard<Arc<Settings>> {
        self.0.load()
    }

    /// The settings now, for work that takes a while.
    pub(super) fn kept(&self) -> Arc<Settings> {
        self.0.load_full()
    }

    pub(super) fn replace(&self, settings: Settings) {
        self.0.store(Arc::new(settings));
    }
}
