//! Figures by name, for a bounded number of names: those of each model, miner and key.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use parking_lot::RwLock;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;

use crate::model::Usage;

/// The maximum number of names of a kind that have figures of their own. It is no setting, because each name costs some
/// kilobytes in every scrape, and a dashboard shows no more.
pub(super) const NAMES: usize = 50;

/// The name under which all further names are counted.
const OTHER: &str = "other";

/// Figures by name: the first names that are used have figures of their own, and all others share some.
pub(super) struct ByName<T> {
    make: Box<dyn Fn(&str) -> T + Send + Sync>,
    /// The names are few, and a sender can add no further ones, so their hash is a fast one.
    known: RwLock<HashMap<Box<str>, Arc<T>, RandomState>>,
    other: OnceLock<Arc<T>>,
}

impl<T> ByName<T> {
    pub(super) fn new(make: impl Fn(&str) -> T + Send + Sync + 'static) -> Self {
        Self { make: Box::new(make), known: RwLock::default(), other: OnceLock::new() }
    }

    /// The figures of that name, which get a label of their own if there is room.
    pub(super) fn of(&self, name: &str) -> Arc<T> {
        {
            let known = self.known.read();
            if let Some(found) = known.get(name) {
                return found.clone();
            }
            if known.len() >= NAMES {
                return self.other();
            }
        }
        let mut known = self.known.write();
        if known.len() >= NAMES && !known.contains_key(name) {
            return self.other();
        }
        known.entry(name.into()).or_insert_with(|| Arc::new((self.make)(name))).clone()
    }

    /// The figures of a name that a stranger chose. It gets no label of its own.
    pub(super) fn of_stranger(&self, name: Option<&str>) -> Arc<T> {
        let known = name.and_then(|name| self.known.read().get(name).cloned());
        known.unwrap_or_else(|| self.other())
    }

    /// All figures that there are.
    #[cfg(feature = "listener")]
    pub(super) fn all(&self) -> Vec<Arc<T>> {
        let known: Vec<_> = self.known.read().values().cloned().collect();
        known.into_iter().chain(self.other.get().cloned()).collect()
    }

    fn other(&self) -> Arc<T> {
        self.other.get_or_init(|| Arc::new((self.make)(OTHER))).clone()
    }
}

/// The figures of one model.
pub(super) struct OfModel {
    /// Tasks that ended, in the order of [`OUTCOMES`](super::metrics::OUTCOMES).
    pub(super) ended: [Counter; 5],
    pub(super) queue: Histogram,
    pub(super) first_token: Histogram,
    pub(super) per_token: Histogram,
    pub(super) prompt_tokens: Counter,
    pub(super) answer_tokens: Counter,
}

impl OfModel {
    /// Counts the tokens of an answer, which took that many seconds from its first token to its end.
    pub(super) fn answered(&self, usage: Usage, seconds: f64) {
        self.prompt_tokens.inc_by(usage.prompt_tokens);
        self.answer_tokens.inc_by(usage.completion_tokens);
        if usage.completion_tokens > 1 && seconds > 0.0 {
            self.per_token.observe(seconds / (usage.completion_tokens - 1) as f64);
        }
    }
}

/// The figures of one miner.
pub(super) struct OfMiner {
    pub(super) attempts: Counter,
    pub(super) failures: Counter,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_share_their_figures() {
        let figures = ByName::new(str::to_owned);
        for at in 0..NAMES {
            assert_eq!(*figures.of(&format!("m{at}")), format!("m{at}"));
        }
        assert_eq!((figures.of("late").as_str(), figures.of("later").as_str()), ("other", "other"));
        assert_eq!(figures.of("m7").as_str(), "m7", "a name keeps its label");
        assert_eq!(figures.known.read().len(), NAMES);
    }

    #[test]
    fn a_stranger_makes_no_label() {
        let figures = ByName::new(str::to_owned);
        figures.of("tiny");
        assert_eq!(figures.of_stranger(Some("tiny")).as_str(), "tiny");
        assert_eq!(figures.of_stranger(Some("made up")).as_str(), "other");
        assert_eq!(figures.of_stranger(None).as_str(), "other");
        assert_eq!(figures.known.read().len(), 1);
    }
}
