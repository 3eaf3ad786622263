//! A miner as the router holds it beside the engine.

use std::sync::Arc;

use super::figures::OfMiner;
use super::servers::Server;
use super::upstreams::Attached;
use crate::engine::{BreakerState, MinerKey, MinerView};
use crate::miner::Miner;
use crate::model::{MinerInfo, MinerKind, MinerSpec, MinerStatus, SharedText, Timestamp, meant};

/// A miner that was added.
pub(super) struct MinerSlot {
    pub(super) key: MinerKey,
    /// Its models are set by [`set_models`](Self::set_models) alone.
    pub(super) spec: MinerSpec,
    /// The model of a miner that lists one alone, for the records of its attempts.
    pub(super) only_model: Option<Arc<str>>,
    /// The miner's name, as in `spec`, for the records of its attempts.
    pub(super) name: Arc<str>,
    /// The miner's metrics.
    pub(super) figures: Arc<OfMiner>,
    /// The miner's address, which its attempts share.
    pub(super) address: SharedText,
    pub(super) miner: Arc<dyn Miner>,
    /// That miner, if it is an upstream.
    pub(super) upstream: Option<Attached>,
    /// Whether the miner goes once it has finished its tasks. Another one may have its name.
    pub(super) retired: bool,
    pub(super) connected_at: Timestamp,
    pub(super) last_seen: Timestamp,
    pub(super) up: bool,
    /// The reason why the miner is down, or a warning while it is up.
    pub(super) reason: Option<String>,
    /// The maximum number of concurrent tasks while the miner is up.
    pub(super) credits: u32,
    /// The message of the last failure for which the miner was blamed.
    pub(super) last_failure: Option<String>,
    /// Whether the miner's first report is still to come.
    pub(super) awaited: bool,
    /// The miner as its router tells of it, if it is another router's.
    pub(super) abroad: Option<Abroad>,
}

/// A miner of another router.
pub(super) struct Abroad {
    /// The number of its router among those of which slots may be borrowed.
    pub(super) host: u32,
    /// The name of its router.
    pub(super) router: Arc<str>,
    /// Its description by its router.
    pub(super) info: Box<MinerInfo>,
    /// Whether requests may go to it as they are, if it is a miner that can take them.
    pub(super) passes: bool,
}

/// Whether a miner is left alone after failures.
pub(super) fn is_cooling(view: &MinerView) -> bool {
    matches!(view.breaker, BreakerState::Open(_))
}

/// The reason why an upstream whose first probe is still under way gets no tasks.
pub const NOT_HEARD: &str = "it was not heard yet";

/// The maximum number of bytes that are kept of a miner's message about a failure.
const WORDS: usize = 500;

/// The model of a list with one model.
pub(super) fn only_of(models: &[String]) -> Option<Arc<str>> {
    if let [only] = models { Some(Arc::from(only.as_str())) } else { None }
}

/// Whether a miner of that kind takes every offer at once. Only one that dials in may decline.
pub(super) fn takes_every_offer(kind: MinerKind) -> bool {
    kind != MinerKind::Remote
}

/// How a miner joins the router.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entrance {
    /// Whether the miner can be reached.
    pub(super) up: bool,
    /// Whether the miner gets a task only if no other miner could serve it.
    pub(super) last_resort: bool,
    /// Whether a first report will tell if the miner is up and which models it has. Tasks wait for that report.
    pub(super) awaited: bool,
    /// Whether the miner comes up when tasks wait for it.
    pub(super) on_call: bool,
}

impl MinerSlot {
    /// The miner's name for a wanted model: the name that it lists, or else the first that it lists. A miner that
    /// lists no models gets the wanted name unchanged.
    pub(super) fn model_for<'a>(&'a self, asked: Option<&'a str>) -> Option<&'a str> {
        let asked = asked?;
        if self.spec.models.is_empty() {
            // An upstream does not know its name in this router.
            let is_own_name = self.spec.kind == MinerKind::Upstream && asked == self.spec.name;
            return (!is_own_name).then_some(asked);
        }
        meant(&self.spec.models, asked).or_else(|| self.spec.models.first().map(String::as_str))
    }

    /// The model that will answer a request for this model; `None`: only the answer will tell. A miner that lists no
    /// models answers under its own name; an upstream names its model in the answer.
    pub(super) fn answers_as(&self, asked: Option<&str>) -> Option<Arc<str>> {
        match asked {
            _ if self.spec.models.is_empty() => (self.spec.kind != MinerKind::Upstream).then(|| Arc::clone(&self.name)),
            None => self.only_model.clone(),
            Some(_) => self.model_for(asked).map(Arc::from),
        }
    }

    /// Sets the models that the miner lists.
    pub(super) fn set_models(&mut self, models: Vec<String>) {
        self.only_model = only_of(&models);
        self.spec.models = models;
    }

    /// Keeps the message of a failure for which the miner was blamed.
    pub(super) fn blamed(&mut self, words: &str) {
        self.last_failure = Some(words[..words.floor_char_boundary(WORDS)].to_owned());
    }

    /// The reason why the miner gets no tasks at present; `None`: it can get tasks.
    pub(super) fn why_out(&self, view: MinerView) -> Option<String> {
        let because =
            |what: &str, why: Option<&String>| why.map_or_else(|| what.to_owned(), |why| format!("{what}: {why}"));
        match () {
            () if view.draining => Some("it drains".to_owned()),
            () if let Some(words) = self.server().and_then(Server::words) => Some(words),
            () if !self.up && self.awaited => Some(NOT_HEARD.to_owned()),
            () if !self.up => Some(because("it is down", self.reason.as_ref())),
            () if view.set_aside => Some("it is set aside, because its answers do not agree with others'".to_owned()),
            () if is_cooling(&view) => {
                Some(because("it is left alone after failures, the last one", self.last_failure.as_ref()))
            }
            () if view.credits == 0 => Some(because("it takes no tasks", self.reason.as_ref())),
            () => None,
        }
    }

    /// The server, if the router starts it itself.
    pub(super) fn server(&self) -> Option<&Server> {
        self.upstream.as_ref()?.server.as_deref()
    }

    /// The state of a server that the router starts itself; `None`: it is ready, or the miner is no such server.
    pub(super) fn server_status(&self) -> Option<MinerStatus> {
        self.server().and_then(Server::status)
    }

    /// The port of a server that the router starts itself, while it runs.
    #[cfg(feature = "listener")]
    pub(super) fn server_port(&self) -> Option<u16> {
        self.server().and_then(Server::port)
    }

    /// Whether the miner gets tasks, or comes up for them.
    pub(super) fn is_active(&self, view: &MinerView) -> bool {
        let takes_work = self.up || self.server_status().is_some_and(|status| status != MinerStatus::Failed);
        takes_work && !view.draining && !is_cooling(view) && !view.set_aside
    }

    /// The names of models under which clients can ask for the miner: those that it lists, or else its own name.
    pub(super) fn names(&self) -> &[String] {
        let unknown = self.spec.kind == MinerKind::Upstream && !self.up;
        if self.spec.models.is_empty() && !unknown { std::slice::from_ref(&self.spec.name) } else { &self.spec.models }
    }
}
