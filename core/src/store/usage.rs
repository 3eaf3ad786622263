//! Usage: the ended tasks of each day, counted by key, session, model and miner.
//!
//! A store counts a task in the transaction that writes its end, so that after any crash the counts are the sum over the
//! ended tasks. The rows of a day are bounded: groups that come later are counted together under [`OTHER`].

use serde::Serialize;

use crate::Result;
use crate::model::{Day, MAX_JSON_INTEGER, Outcome, SessionId, Task, UsageBy};

/// The name of the groups that have no row of their own, because the day had no row left.
pub const OTHER: &str = "other";

/// The tasks that one row counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageGroup {
    /// The day in UTC on which the tasks ended.
    pub day: Day,
    /// Their key; empty: nobody was named.
    pub key_id: String,
    /// Their session; `None`: sessions without a row of their own.
    pub session: Option<SessionId>,
    /// Their model; empty: it is not known.
    pub model: String,
    /// The address of the miner whose answer won, else of the last miner that had the task; empty: no miner had it.
    pub miner: String,
}

impl UsageGroup {
    /// The group of an ended task.
    pub fn of(task: &Task) -> Self {
        let (day, session, names) = parts_of(task);
        let [key_id, model, miner] = names.map(str::to_owned);
        Self { day, key_id, session: Some(session), model, miner }
    }

    /// Whether this is the group of that task.
    pub(super) fn is_of(&self, task: &Task) -> bool {
        let (day, session, names) = parts_of(task);
        (self.day, self.session) == (day, Some(session)) && names == [&*self.key_id, &*self.model, &*self.miner]
    }

    /// The next coarser group: all other tasks of the key, then all other tasks of the day.
    fn coarser(&self) -> Option<Self> {
        let of_key = self.session.is_none() && self.model == OTHER && self.miner == OTHER;
        if of_key && self.key_id == OTHER {
            return None;
        }
        Some(Self {
            day: self.day,
            key_id: if of_key { OTHER.to_owned() } else { self.key_id.clone() },
            session: None,
            model: OTHER.to_owned(),
            miner: OTHER.to_owned(),
        })
    }

    /// The place of the group in a list by that name.
    pub(super) fn place(&self, by: UsageBy) -> (i64, &str) {
        match by {
            UsageBy::Day => (self.day.number().cast_signed(), ""),
            UsageBy::Session => (session_of(self.session), ""),
            UsageBy::Key => (0, &self.key_id),
            UsageBy::Model => (0, &self.model),
            UsageBy::Miner => (0, &self.miner),
        }
    }
}

/// The column of the names of that sort.
pub(super) fn column_of(by: UsageBy) -> &'static str {
    match by {
        UsageBy::Day => "day",
        UsageBy::Key => "key_id",
        UsageBy::Model => "model",
        UsageBy::Session => "session_id",
        UsageBy::Miner => "miner",
    }
}

/// A session's number in its column; -1 stands for those without a row of their own.
pub(super) fn session_of(id: Option<SessionId>) -> i64 {
    id.map_or(-1, |id| id.0.cast_signed())
}

/// The parts of the group of an ended task: the day, the session, and the names of the key, the model and the miner.
fn parts_of(task: &Task) -> (Day, SessionId, [&str; 3]) {
    let winner = task.results.first().map(|result| &result.miner);
    let miner = winner.or(task.assigned_miners.last()).map_or("", |miner| miner.as_str());
    let key = task.key_id.as_deref().unwrap_or_default();
    let names = [key, task.model_name().unwrap_or_default(), miner].map(countable);
    (Day::of(task.ended_at.unwrap_or_default()), task.session_id, names)
}

/// The longest name with a row of its own, in bytes: names stand in an index, which takes no long ones.
const MOST_NAME: usize = 256;

/// The name to count under. Callers may ask for a model by any text.
fn countable(name: &str) -> &str {
    if name.len() <= MOST_NAME && !name.contains('\0') { name } else { OTHER }
}

/// Counts in the row of a group, or in a coarser one if the day has no row left. `rows` is the number of the day's rows;
/// `update` adds to a row and answers whether there is one. Answers the group for which the caller must make a row;
/// `None`: a row has counted the task.
///
/// The first `most` rows are those of whole groups. As many again are for the rest of each key, so that the counts of
/// keys stay right.
pub(super) fn count_in<E>(
    mut group: UsageGroup,
    rows: u64,
    most: u64,
    mut update: impl FnMut(&UsageGroup) -> Result<bool, E>,
) -> Result<Option<UsageGroup>, E> {
    let mut bound = most;
    loop {
        if update(&group)? {
            return Ok(None);
        }
        let coarser = if rows < bound { None } else { group.coarser() };
        let Some(coarser) = coarser else { return Ok(Some(group)) };
        group = coarser;
        bound = bound.saturating_add(most);
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// The counts of ended tasks.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
        #[cfg_attr(feature = "listener", derive(utoipa::ToSchema))]
        pub struct UsageCounts {
            $($(#[$doc])* pub $field: u64,)*
        }

        /// The number of counts.
        pub(super) const COUNTS: usize = [$(stringify!($field)),*].len();

        impl UsageCounts {
            /// The names of the counts, in their order.
            pub(super) const NAMES: [&str; COUNTS] = [$(stringify!($field)),*];

            /// The counts in their order.
            pub(super) fn values(&self) -> [u64; COUNTS] {
                [$(self.$field),*]
            }

            /// The counts from their values in that order.
            pub(super) fn from_values(values: [u64; COUNTS]) -> Self {
                let [$($field),*] = values;
                Self { $($field),* }
            }

            /// Adds other counts. No count exceeds what every reader of JSON gets right.
            pub fn add(&mut self, other: &Self) {
                $(self.$field = self.$field.saturating_add(other.$field).min(MAX_JSON_INTEGER);)*
            }
        }
    };
}

counts! {
    /// Tasks that ended. A request that an idempotency key repeats is no further task.
    requests,
    /// Tasks that ended with an answer.
    ok,
    /// Tasks whose answers do not agree.
    disputed,
    /// Tasks that ended without an answer.
    failed,
    /// Tasks that were cancelled.
    cancelled,
    /// Tasks whose deadline passed.
    expired,
    /// Tokens of the prompts.
    prompt_tokens,
    /// Tokens that were generated.
    completion_tokens,
    /// Tokens of the prompts that a model's server had in its cache, as far as the servers say so.
    cached_tokens,
    /// Generated tokens that are not part of the answers' texts, as far as the models' servers say so.
    reasoning_tokens,
    /// Bytes of the requests and of the answers.
    bytes,
    /// The number of times that a miner got a task.
    attempts,
}

impl UsageCounts {
    /// The counts of one ended task. Where several miners answered, the tokens are those of the answer that won.
    pub fn of(task: &Task) -> Self {
        let used = task.results.first().map(|result| result.answer.usage.in_json()).unwrap_or_default();
        let ended = |outcome| u64::from(task.outcome == Some(outcome));
        Self {
            requests: 1,
            ok: ended(Outcome::Ok),
            disputed: ended(Outcome::Disputed),
            failed: ended(Outcome::Failed),
            cancelled: ended(Outcome::Cancelled),
            expired: ended(Outcome::Expired),
            prompt_tokens: used.prompt_tokens,
            completion_tokens: used.completion_tokens,
            cached_tokens: used.cached_tokens,
            reasoning_tokens: used.reasoning_tokens,
            bytes: task.bytes.min(MAX_JSON_INTEGER),
            attempts: u64::from(task.attempts),
        }
    }

    /// The tokens that count against limits: those of the prompts, and those that were generated.
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

/// Selects usage.
#[derive(Debug, Clone)]
pub struct UsageQuery {
    /// The parts by which it is told apart.
    pub by: UsageBy,
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// Only this key.
    pub key_id: Option<String>,
    /// Only this session.
    pub session: Option<SessionId>,
    /// Only this model.
    pub model: Option<String>,
    /// Only the miner with this address.
    pub miner: Option<String>,
    /// Only this key, and these sessions.
    pub visible: Option<(String, Vec<SessionId>)>,
    /// The number of parts to leave out at the beginning.
    pub offset: u64,
    /// The maximum number of parts.
    pub limit: u64,
}

impl Default for UsageQuery {
    /// Everything, by day.
    fn default() -> Self {
        Self {
            by: UsageBy::Day,
            from: Day::default(),
            to: Day::from_number(u64::MAX),
            key_id: None,
            session: None,
            model: None,
            miner: None,
            visible: None,
            offset: 0,
            limit: u64::MAX,
        }
    }
}

impl UsageQuery {
    /// Whether the query selects the tasks of that group.
    pub(super) fn takes(&self, group: &UsageGroup) -> bool {
        let is = |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|wanted| wanted == own);
        (self.from..=self.to).contains(&group.day)
            && is(&self.key_id, &group.key_id)
            && is(&self.model, &group.model)
            && is(&self.miner, &group.miner)
            && self.session.is_none_or(|id| group.session == Some(id))
            && self.visible.as_ref().is_none_or(|(key, sessions)| {
                *key == group.key_id || group.session.is_some_and(|id| sessions.contains(&id))
            })
    }
}

/// The usage of one model within one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The name of the part: a day as `2026-01-31`, a session's number, a key, a model or a miner's address.
    pub name: String,
    /// The model.
    pub model: String,
    /// The counts.
    pub counts: UsageCounts,
}

/// A page of usage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsagePage {
    /// The rows of the page's parts. The rows of one part follow each other.
    pub rows: Vec<UsageRow>,
    /// The number of parts on all pages.
    pub total: u64,
}

/// The name of a part whose place is that number: a day or a session.
pub(super) fn name_of(by: UsageBy, number: i64) -> String {
    match by {
        UsageBy::Day => Day::from_number(number.cast_unsigned()).to_string(),
        _ if number == -1 => OTHER.to_owned(),
        _ => number.cast_unsigned().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However many groups there are, the rows stay bounded, and nothing of a key and of the day is lost.
        #[test]
        fn counts_are_kept_within_the_bound(
            groups in prop::collection::vec((0u8..4, 0u64..6, 0u8..3), 1..120),
            most in 1u64..12,
        ) {
            let mut rows: BTreeMap<UsageGroup, u64> = BTreeMap::new();
            let mut keys: BTreeMap<String, u64> = BTreeMap::new();
            for (key, session, model) in &groups {
                let group = UsageGroup {
                    day: Day::from_number(7),
                    key_id: format!("k{key}"),
                    session: Some(SessionId(*session)),
                    model: format!("m{model}"),
                    miner: String::new(),
                };
                *keys.entry(group.key_id.clone()).or_default() += 1;
                let before = rows.len() as u64;
                let new = count_in::<()>(
                    group,
                    before,
                    most,
                    |group| Ok(rows.get_mut(group).map(|count| *count += 1).is_some()),
                ).unwrap();
                let made = new.is_some();
                rows.extend(new.map(|group| (group, 1)));
                prop_assert_eq!(rows.len() as u64, before + u64::from(made));
            }
            prop_assert!(rows.len() as u64 <= 2 * most + 1);
            prop_assert_eq!(rows.values().sum::<u64>(), groups.len() as u64);
            // As many rows as there are keys are enough for the counts of keys.
            if most >= 4 {
                for (key, count) in keys {
                    let found: u64 = rows.iter().filter(|(group, _)| group.key_id == key).map(|(_, count)| count).sum();
                    prop_assert_eq!(found, count);
                }
            }
        }
    }

    #[test]
    fn counts_do_not_overflow_and_keep_their_order() {
        let mut values = [0; COUNTS];
        for (at, value) in values.iter_mut().enumerate() {
            *value = at as u64 + 1;
        }
        let mut counts = UsageCounts::from_values(values);
        assert_eq!(counts.values(), values);
        assert_eq!((UsageCounts::NAMES[6], counts.prompt_tokens), ("prompt_tokens", 7));
        counts.add(&UsageCounts::from_values([u64::MAX; COUNTS]));
        assert_eq!(counts.values(), [MAX_JSON_INTEGER; COUNTS]);
    }
}
