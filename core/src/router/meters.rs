//! The meters of all keys with limits, or of all sessions with limits, by id.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::clock::Clock;
use super::quota::Meter;
use super::spent::Spent;
use crate::Result;
use crate::config::KeyLimits;
use crate::model::{Day, SessionId};
use crate::store::{Store, UsageBy, UsageQuery};

/// The meters of keys or of sessions, and what those without a meter have used up.
pub(super) struct Meters {
    of: UsageBy,
    clock: Clock,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    meters: HashMap<String, Arc<Meter>>,
    /// The tokens that keys had used up when the router started. A token of the configuration gets its meter from the first
    /// listener that has it.
    spent: HashMap<String, Spent>,
}

impl Meters {
    /// No meters of keys or of sessions, and what those have used up so far.
    pub(super) fn new(of: UsageBy, clock: Clock, spent: HashMap<String, Spent>) -> Self {
        Self { of, clock, known: Mutex::new(Known { meters: HashMap::new(), spent }) }
    }

    /// The meter of a key, with these limits from now on; `None`: nothing is limited.
    pub(super) fn of(&self, key: &str, limits: &KeyLimits) -> Option<Arc<Meter>> {
        let mut known = self.known.lock();
        if limits.is_none() {
            if let Some(meter) = known.meters.remove(key) {
                meter.limit(limits);
            }
            return None;
        }
        if let Some(meter) = known.meters.get(key) {
            meter.limit(limits);
            return Some(meter.clone());
        }
        let spent = known.spent.get(key).copied().unwrap_or_default();
        let whose = if self.of == UsageBy::Session { format!("session {key}").into() } else { "this key".into() };
        let meter = Meter::new(whose, limits, spent, self.clock);
        known.meters.insert(key.to_owned(), meter.clone());
        Some(meter)
    }

    /// The meter of the key that this gives, if there is one. Where there are no meters, the key is not made.
    pub(super) fn find(&self, key: impl FnOnce() -> String) -> Option<Arc<Meter>> {
        let known = self.known.lock();
        if known.meters.is_empty() { None } else { known.meters.get(&key()).cloned() }
    }

    /// Whether a key has a limit for a day or a month.
    pub(super) fn has_quotas(&self) -> bool {
        self.known.lock().meters.values().any(|meter| meter.has_quotas())
    }

    /// Sets what keys have used up until `today`.
    pub(super) fn set_spent(&self, spent: &HashMap<String, Spent>, today: Day) {
        let known = self.known.lock();
        for (key, meter) in &known.meters {
            meter.set_spent(spent.get(key).copied().unwrap_or(Spent { on: today, ..Spent::default() }));
        }
    }

    /// Reads from the store what a key without a meter has used up, before these limits give it one.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn learn(&self, store: &dyn Store, key: &str, limits: &KeyLimits) -> Result<()> {
        if limits.is_none() || self.known.lock().meters.contains_key(key) {
            return Ok(());
        }
        if let Some(spent) = spent(store, Day::of(self.clock.now()), self.of, Some(key)).await?.remove(key) {
            self.known.lock().spent.insert(key.to_owned(), spent);
        }
        Ok(())
    }

    /// Counts the tokens of a task that an earlier start admitted.
    pub(super) fn count(&self, key: &str, tokens: u64) {
        let mut known = self.known.lock();
        match known.meters.get(key) {
            Some(meter) => meter.count(tokens),
            None => known.spent.entry(key.to_owned()).or_default().add(tokens, Day::of(self.clock.now())),
        }
    }

    /// Forgets a key that was deleted.
    pub(super) fn forget(&self, key: &str) {
        let mut known = self.known.lock();
        known.meters.remove(key);
        known.spent.remove(key);
    }
}

/// Reads from the store what keys, or sessions, have used up on this day and in its month; `only`: that one alone.
///
/// # Errors
/// The store's.
pub(super) async fn spent(
    store: &dyn Store,
    today: Day,
    by: UsageBy,
    only: Option<&str>,
) -> Result<HashMap<String, Spent>> {
    let only = only.map(str::to_owned);
    let session = only.as_ref().filter(|_| by == UsageBy::Session).and_then(|id| id.parse().ok()).map(SessionId);
    let key_id = only.filter(|_| by == UsageBy::Key);
    let query = |from| UsageQuery { by, from, to: today, key_id: key_id.clone(), session, ..UsageQuery::default() };
    let (month, day) = (store.usage(query(today.first_of_month())), store.usage(query(today)));
    let mut found: HashMap<String, Spent> = HashMap::new();
    for row in month.await?.rows {
        let spent = found.entry(row.name).or_insert(Spent { on: today, ..Spent::default() });
        spent.month = spent.month.saturating_add(row.counts.tokens());
    }
    for row in day.await?.rows {
        let spent = found.entry(row.name).or_insert(Spent { on: today, ..Spent::default() });
        spent.day = spent.day.saturating_add(row.counts.tokens());
    }
    Ok(found)
}
