//! Rules for the comparison of several answers to one task, and for the loss of a miner.

use serde::{Deserialize, Serialize};

use crate::word::{some_word, words};
use crate::{Error, Result};

words! {
    /// The policy that decides which of several answers is taken.
    #[derive(Default)]
    Policy in "validation_policy" {
        /// The first whole answer is taken (of a stream: that of the miner that streams), and the other miners are stopped.
        First = "first",
        /// A majority of the answers that were asked for must match.
        #[default]
        Quorum = "quorum",
        /// The answer that is most like all others is taken; a majority must be like it.
        Medoid = "medoid",
        /// Every answer must match every other.
        All = "all",
    }

    /// When two answers match.
    #[derive(Default)]
    Matching in "match" {
        /// They are the same bytes.
        Exact = "exact",
        /// They are the same after Unicode NFKC, with white space and case evened out.
        #[default]
        Normalized = "normalized",
        /// They are the same JSON, numbers within a tolerance; the whole of it or what some pointers (RFC 6901) point to.
        Json = "json",
        /// They share runs of three words (Jaccard), or few letters differ (Levenshtein) where they are short.
        Lexical = "lexical",
        /// An embedding miner gives vectors that point the same way (cosine).
        Embedding = "embedding",
        /// They give the same verdict on a claim: `VERDICT: <word>` on the first line, or the member `verdict` of JSON.
        Verdict = "verdict",
    }

    /// The way in which a task goes on when its miner is lost after clients have seen some of its tokens.
    #[derive(Default)]
    OnFailure in "on_failure" {
        /// The stream ends with an error.
        #[default]
        Fail = "fail",
        /// A miner that can goes on from the text so far; where there is none the stream ends with an error.
        Continue = "continue",
        /// As `continue`; where no miner can go on, another starts over, and the client is told to forget what it has.
        Restart = "restart",
    }
}

impl Matching {
    /// The default of the least score of a match.
    fn min_score(self) -> f64 {
        match self {
            Self::Exact | Self::Normalized | Self::Json | Self::Verdict => 1.0,
            Self::Lexical => 0.5,
            Self::Embedding => 0.85,
        }
    }
}

/// Settings of a session, or of one request over them. A member that is `None` is not given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(default)]
#[non_exhaustive]
pub struct ValidationSpec {
    /// The rule that decides: `first`, `quorum`, `medoid` or `all`. Default `quorum`.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "some_word")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<String>, pattern = "^(first|quorum|medoid|all)?$"))]
    pub validation_policy: Option<Policy>,
    /// When two answers match: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`. Default `normalized`.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none", deserialize_with = "some_word")]
    #[cfg_attr(
        feature = "schema",
        schema(value_type = Option<String>, pattern = "^(exact|normalized|json|lexical|embedding|verdict)?$")
    )]
    pub matching: Option<Matching>,
    /// From this score on two answers match, 0 to 1. Default 0.5 for `lexical`, 0.85 for `embedding`, else 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 1))]
    pub min_score: Option<f64>,
    /// Whether one more miner is asked where the answers do not agree. Default no; of no use to `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tie_break: Option<bool>,
    /// How much two numbers of JSON may differ, as a share of the greater one. Default 0.000001.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 0, maximum = 1))]
    pub match_tolerance: Option<f64>,
    /// The only places of JSON that are compared (RFC 6901), at most 32; none: the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_pointers: Option<Vec<String>>,
    /// The model that embeds the answers; none: any that a miner embeds with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_model: Option<String>,
}

crate::record! {
/// How several answers are compared, every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// The policy that decides which answer is taken.
    pub policy: Policy,
    /// When two answers match.
    pub matching: Matching,
    /// From this score on two answers match.
    pub min_score: f64,
    /// Whether one more miner is asked where the answers do not agree.
    pub tie_break: bool,
    /// How much two numbers of JSON may differ, as a share of the greater one.
    pub tolerance: f64,
    /// The only places of JSON that are compared; empty: the whole.
    pub pointers: Vec<String>,
    /// The model that embeds the answers; any where it is `None`.
    pub model: Option<String>,
}
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            matching: Matching::default(),
            min_score: 1.0,
            tie_break: false,
            tolerance: 1e-6,
            pointers: Vec::new(),
            model: None,
        }
    }
}

/// Places of JSON that are compared at the most.
const MAX_POINTERS: usize = 32;

impl ValidationSpec {
    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every setting from these ones if they give it, else from `under`, else its default.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the field.
    pub fn over(&self, under: &Self) -> Result<Validation> {
        let policy = self.validation_policy.or(under.validation_policy).unwrap_or_default();
        let matching = self.matching.or(under.matching).unwrap_or_default();
        // A score belongs to the method with which it was given.
        let same = self.matching.is_none() || self.matching == under.matching;
        let min_score = self.min_score.or(under.min_score.filter(|_| same)).unwrap_or_else(|| matching.min_score());
        if !(0.0..=1.0).contains(&min_score) {
            return Err(Error::invalid("min_score", "min_score must be 0 to 1"));
        }
        let tolerance = self.match_tolerance.or(under.match_tolerance).unwrap_or(1e-6);
        if !(0.0..=1.0).contains(&tolerance) {
            return Err(Error::invalid("match_tolerance", "match_tolerance must be 0 to 1"));
        }
        let pointers = self.match_pointers.as_ref().or(under.match_pointers.as_ref()).cloned().unwrap_or_default();
        if pointers.len() > MAX_POINTERS || pointers.iter().any(|p| !p.is_empty() && !p.starts_with('/')) {
            return Err(Error::invalid(
                "match_pointers",
                format!("match_pointers must be at most {MAX_POINTERS} JSON pointers, such as \"/answer/0\""),
            ));
        }
        Ok(Validation {
            policy,
            matching,
            min_score,
            tie_break: self.tie_break.or(under.tie_break).unwrap_or(false),
            tolerance,
            pointers,
            model: self.match_model.as_ref().or(under.match_model.as_ref()).filter(|model| !model.is_empty()).cloned(),
        })
    }
}

crate::setters! { ValidationSpec {
    validation_policy: Option<Policy> => validation_policy,
    matching: Option<Matching> => matching,
    min_score: Option<f64> => min_score,
    tie_break: Option<bool> => tie_break,
    match_tolerance: Option<f64> => match_tolerance,
    match_pointers: Option<Vec<String>> => match_pointers,
    match_model: Option<String> => match_model,
} }

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> ValidationSpec {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_request_goes_over_its_session_and_defaults_follow_the_method() {
        let session = spec(r#"{"validation_policy":"all","match":"lexical","min_score":0.7,"tie_break":true}"#);
        let asked = ValidationSpec::default().over(&session).unwrap();
        assert_eq!((asked.policy, asked.matching, asked.min_score), (Policy::All, Matching::Lexical, 0.7));
        let asked = spec(r#"{"match":"embedding","tie_break":false}"#).over(&session).unwrap();
        assert_eq!((asked.policy, asked.min_score, asked.tie_break), (Policy::All, 0.85, false));
        assert_eq!(ValidationSpec::default().over(&ValidationSpec::default()).unwrap(), Validation::default());
    }

    #[test]
    fn an_empty_word_is_the_default() {
        let session = spec(r#"{"validation_policy":"all","match":"lexical"}"#);
        let asked = spec(r#"{"validation_policy":"","match":""}"#).over(&session).unwrap();
        assert_eq!((asked.policy, asked.matching), (Policy::Quorum, Matching::Normalized));
    }

    #[test]
    fn a_wrong_value_is_refused_by_name() {
        for (json, field) in [
            (r#"{"validation_policy":"x"}"#, "validation_policy"),
            (r#"{"match":"x"}"#, "match"),
            (r#"{"min_score":1.5}"#, "min_score"),
            (r#"{"match_tolerance":-1}"#, "match_tolerance"),
            (r#"{"match_pointers":["a"]}"#, "match_pointers"),
        ] {
            let read = crate::json::from_json::<ValidationSpec>("request", json.as_bytes());
            let error = read.and_then(|spec| spec.over(&ValidationSpec::default())).unwrap_err();
            assert_eq!(error.details().param.as_deref(), Some(field));
        }
    }
}
