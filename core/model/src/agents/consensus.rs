//! The consensus of the third version: how many replicas answer, in which sessions, and what follows if they differ.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::tier::within;
use crate::chat::member;
use crate::whole::Whole;
use crate::word::words;
use crate::{Error, Matching, Policy, Result, ValidationSpec};

words! {
    /// How many of the replicas must agree.
    #[derive(Default)]
    Strategy in "consensus.strategy" {
        /// More than half.
        #[default]
        Majority = "majority",
        /// All of them.
        Unanimous = "unanimous",
    }

    /// The consequence if the replicas do not agree.
    #[derive(Default)]
    Disagreement in "consensus.disagreement_policy" {
        /// The answer has no result, but all the evidence.
        #[default]
        ReturnAll = "return_all",
        /// The request fails with 409.
        FailHard = "fail_hard",
        /// The answer of the largest group is the result.
        BestEffort = "best_effort",
    }
}

impl Strategy {
    /// How many of this many must agree.
    pub fn quorum(self, of: u32) -> u32 {
        match self {
            Self::Majority => of / 2 + 1,
            Self::Unanimous => of.max(1),
        }
    }

    /// The rules by which texts of replicas are compared.
    pub fn validation(self) -> ValidationSpec {
        let policy = match self {
            Self::Majority => Policy::Quorum,
            Self::Unanimous => Policy::All,
        };
        ValidationSpec::default().validation_policy(Some(policy)).matching(Some(Matching::Lexical))
    }
}

/// The replicas that a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicas {
    /// Their number: 1, 3 or 5.
    pub count: u32,
    /// The sessions to choose from, by the names that the caller gave; empty: the router's choice.
    pub pool: Vec<String>,
    /// How many must agree.
    pub strategy: Strategy,
    /// The consequence if they do not.
    pub disagreement: Disagreement,
}

impl Default for Replicas {
    fn default() -> Self {
        Self { count: 3, pool: Vec::new(), strategy: Strategy::default(), disagreement: Disagreement::default() }
    }
}

/// The rule for an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// The number of opinions that were asked for.
    pub wanted: u32,
    /// How many of them must agree.
    pub strategy: Strategy,
    /// Whether the largest group decides where too few agree.
    pub best_effort: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    replicas: Option<Whole<u32>>,
    session_pool: Option<Vec<Box<RawValue>>>,
    strategy: Option<Strategy>,
    disagreement_policy: Option<Disagreement>,
}

impl Replicas {
    /// Reads the member `consensus`. At most `most` miners may be asked.
    ///
    /// # Errors
    /// `InvalidArgument` names the member.
    pub(super) fn read(name: &str, value: &RawValue, most: u32) -> Result<Self> {
        let asked = member::<Asked>(name, value)?.unwrap_or_default();
        let mut replicas = Self::default();
        if let Some(Whole(count)) = asked.replicas {
            let at = format!("{name}.replicas");
            if !matches!(count, 1 | 3 | 5) {
                return Err(Error::invalid(&at, format!("{at} must be 1, 3 or 5")));
            }
            replicas.count = within(&at, count, 1, most)?;
        }
        for (index, session) in asked.session_pool.unwrap_or_default().iter().enumerate() {
            replicas.pool.push(session_name(&format!("{name}.session_pool[{index}]"), session)?);
        }
        if !replicas.pool.is_empty() && replicas.pool.len() < replicas.count as usize {
            let at = format!("{name}.session_pool");
            let words = format!("{at} must name at least as many sessions as there are replicas ({})", replicas.count);
            return Err(Error::invalid(at, words));
        }
        replicas.pool.truncate(replicas.count as usize);
        replicas.strategy = asked.strategy.unwrap_or_default();
        replicas.disagreement = asked.disagreement_policy.unwrap_or_default();
        Ok(replicas)
    }
}

/// The name of a session, which is a text or a number.
fn session_name(at: &str, value: &RawValue) -> Result<String> {
    let wrong = || Error::invalid(at, format!("{at} must be a session's number, or its 0x and 64 digits"));
    let text = value.get().trim();
    let name = if text.starts_with('"') {
        serde_json::from_str::<String>(text).map_err(|_| wrong())?.trim().to_owned()
    } else {
        serde_json::from_str::<Whole<u64>>(text).map_err(|_| wrong())?.0.to_string()
    };
    if name.is_empty() { Err(wrong()) } else { Ok(name) }
}
