//! The policies of Cortensor's agents: named sets of the rules by which several miners answer one request.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chat::member;
use crate::whole::Whole;
use crate::word::words;
use crate::{Error, Matching, Policy, Result, TaskRequest, ValidationSpec};

words! {
    /// A policy: how much certainty a request buys with how many miners.
    Tier in "policy" {
        /// One miner answers, and nothing is compared.
        Fast = "fast",
        /// Three miners answer, and two must agree.
        Safe = "safe",
        /// Five miners answer, and three must agree; without a majority one more is asked.
        Oracle = "oracle",
        /// Two miners answer; where they differ a third one decides.
        Adaptive = "adaptive",
    }
}

impl Tier {
    /// The number of miners that the policy asks first.
    pub fn miners(self) -> u32 {
        match self {
            Self::Fast => 1,
            Self::Adaptive => 2,
            Self::Safe => 3,
            Self::Oracle => 5,
        }
    }

    /// How the policy compares the answers of its miners.
    fn validation(self) -> ValidationSpec {
        let compared = ValidationSpec::default()
            .validation_policy(Some(Policy::Quorum))
            .matching(Some(Matching::Lexical))
            .tie_break(Some(matches!(self, Self::Oracle | Self::Adaptive)));
        if self == Self::Fast { ValidationSpec::default() } else { compared }
    }
}

/// The rules by which several miners answer a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// The policy that was named.
    pub tier: Option<Tier>,
    /// The number of miners; `None`: the session's.
    pub miners: Option<u32>,
    /// How their answers are compared, over the session's rules.
    pub validation: ValidationSpec,
}

impl Rules {
    /// The request with these rules over its own.
    #[must_use]
    pub fn over(&self, mut request: TaskRequest) -> TaskRequest {
        request.max_miners = self.miners.or(request.max_miners);
        if !self.validation.is_empty() {
            request.validation = Some(Box::new(self.validation.clone()));
        }
        request
    }

    /// The number of answers that must agree: of one miner, or of a session's own rules, the one that is there.
    pub fn quorum(&self) -> u32 {
        let miners = self.miners.unwrap_or(1);
        match self.validation.validation_policy {
            Some(Policy::First) => 1,
            Some(Policy::All) => miners,
            Some(Policy::Quorum | Policy::Medoid) | None => miners / 2 + 1,
        }
    }
}

impl From<Tier> for Rules {
    fn from(tier: Tier) -> Self {
        Self { tier: Some(tier), miners: Some(tier.miners()), validation: tier.validation() }
    }
}

/// A policy with rules of the caller's own over it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Own {
    #[serde(alias = "name", alias = "mode")]
    tier: Option<Tier>,
    redundancy: Option<Whole<u32>>,
    validation_policy: Option<Policy>,
    r#match: Option<Matching>,
    min_score: Option<f64>,
    tie_break: Option<bool>,
}

impl Rules {
    /// Reads the member `policy`: a word, or an object with the member `tier` and rules over it. At most `most` miners
    /// may be asked.
    ///
    /// # Errors
    /// `InvalidArgument` names the member.
    pub(super) fn read(name: &str, value: &RawValue, most: u32) -> Result<Self> {
        if value.get().trim_start().starts_with('"') {
            let tier = member::<Tier>(name, value)?;
            return Ok(tier.map(Self::from).unwrap_or_default());
        }
        let own = member::<Own>(name, value)?.unwrap_or_default();
        let mut rules = own.tier.map(Self::from).unwrap_or_default();
        if let Some(Whole(miners)) = own.redundancy {
            rules.miners = Some(within(&format!("{name}.redundancy"), miners, 1, most)?);
        }
        let under = rules.validation;
        rules.validation = ValidationSpec {
            validation_policy: own.validation_policy.or(under.validation_policy),
            matching: own.r#match.or(under.matching),
            min_score: own.min_score.or(under.min_score),
            tie_break: own.tie_break.or(under.tie_break),
            ..under
        };
        Ok(rules)
    }
}

/// The number of miners, if it is from `least` to `most`.
///
/// # Errors
/// `InvalidArgument` names the member.
pub(super) fn within(name: &str, miners: u32, least: u32, most: u32) -> Result<u32> {
    if (least..=most).contains(&miners) {
        return Ok(miners);
    }
    let words = format!("{name} must be {least} to {most} (limits.max_answers)");
    Err(Error::invalid(name, words))
}
