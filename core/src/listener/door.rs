//! The gate of a listener as it is now. A reload puts a new gate in its place, with other tokens and settings; requests
//! that passed the old one go on.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;

use super::auth::Auth;
use super::gate::Gate;
use super::state::AppState;
use super::tls::Certificates;
use super::trials::Trials;
use crate::config::{Config, ListenConfig};
use crate::router::Follow;
use crate::{Result, Router};

/// The gate, and how it follows the router's configuration.
pub(in crate::listener) struct Door {
    gate: ArcSwap<Gate>,
    certificates: Option<Certificates>,
    /// Whether the listener has the router's own settings, and follows them.
    follows: bool,
    own: Weak<Self>,
}

impl Door {
    /// A door with these settings. `certificates`: those with which its listener does TLS.
    pub(in crate::listener) fn new(
        router: Router,
        config: ListenConfig,
        certificates: Option<Certificates>,
    ) -> Result<Arc<Self>> {
        let follows = config.follows(&router.settings().listen);
        let auth = Auth::new(&router, &config)?;
        let gate = Gate::new(super::handler::state(router, config, auth));
        let gate = ArcSwap::from_pointee(gate);
        let door = Arc::new_cyclic(|own| Self { gate, certificates, follows, own: own.clone() });
        let follower: Arc<dyn Follow> = door.clone();
        door.gate().state().router.follow(&follower);
        Ok(door)
    }

    /// The gate now.
    pub(in crate::listener) fn gate(&self) -> Arc<Gate> {
        self.gate.load_full()
    }

    /// The listener's settings now.
    pub(in crate::listener) fn config(&self) -> Arc<ListenConfig> {
        self.gate().state().config.clone()
    }

    /// Puts the present gate into that place, unless it is there.
    pub(in crate::listener) fn renew(&self, place: &mut Arc<Gate>) {
        let now = self.gate.load();
        if !Arc::ptr_eq(&now, place) {
            *place = Arc::clone(&now);
        }
    }

    pub(in crate::listener) fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// Puts a gate with another state in the place of the present one.
    pub(in crate::listener) fn change(&self, with: impl FnOnce(AppState) -> AppState) {
        let state = self.gate().state().clone();
        self.gate.store(Arc::new(Gate::new(with(state))));
    }

    /// Works with other settings from now on.
    fn take_over(&self, listen: ListenConfig) {
        let old = self.gate().state().clone();
        let auth = match Auth::new(&old.router, &listen) {
            Ok(auth) => auth.with_own_of(&old.auth),
            // Its tokens were read a moment ago.
            Err(error) => return tracing::error!(%error, "the listener keeps its old settings"),
        };
        let same_trials = listen.trial == old.config.trial && listen.trusted_proxies == old.config.trusted_proxies;
        let trials = if same_trials { old.trials.clone() } else { Arc::new(Trials::new(&old.router, &listen)) };
        self.change(|state| AppState { config: Arc::new(listen), auth: Arc::new(auth), trials, ..state });
    }
}

impl Follow for Door {
    fn prepare(&self, _: &Config, new: &Config) -> Result<Box<dyn FnOnce() + Send>> {
        let gate = self.gate();
        let state = gate.state();
        let listen = if self.follows { &state.config.followed_by(&new.listen) } else { &*state.config };
        Auth::check(&state.router, listen)?;
        // The files may have other content, whether or not they have other names.
        let certificates = self.certificates.as_ref().map(|current| current.prepare(&listen.tls)).transpose()?;
        let listen = (self.follows && *listen != *state.config).then(|| listen.clone());
        let door = self.own.clone();
        Ok(Box::new(move || {
            let Some(door) = door.upgrade() else { return };
            if let Some(certificates) = certificates {
                certificates.take_over();
            }
            if let Some(listen) = listen {
                door.take_over(listen);
            }
        }))
    }
}
