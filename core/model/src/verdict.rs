//! How several answers to one task compare.

use serde::{Deserialize, Serialize};

use crate::word::words;
use crate::{Matching, Policy, absent};

words! {
    /// How the answers stand to each other.
    Standing in "verdict" {
        /// As many as the policy wants agree.
        Agreed = "agreed",
        /// They do not.
        Disputed = "disputed",
        /// Too few came to say.
        Insufficient = "insufficient",
    }
}

crate::record! {
/// How several answers to one task compare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Verdict {
    /// `agreed`, `disputed` or `insufficient`.
    pub verdict: Standing,
    /// How well the answers agree, 0 to 1: the share that match the winner (`quorum`), the mean score of the winner with the
    /// others (`medoid`), the least score of any two (`all`).
    pub score: f64,
    /// How they were compared: `exact`, `normalized`, `json`, `lexical`, `embedding` or `verdict`.
    pub method: Matching,
    /// The rule that decided: `quorum`, `medoid` or `all`.
    #[serde(default, with = "absent::text")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub policy: Option<Policy>,
    /// The address of the miner whose answer was taken; where they do not agree, of the one that is shown first.
    #[serde(with = "absent::text")]
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub winner: Option<String>,
    /// Each miner's answer beside the winner's, the winner first.
    #[serde(default)]
    pub per_miner: Vec<MinerVerdict>,
}
}

crate::record! {
/// How one miner's answer compares with the winner's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MinerVerdict {
    /// The miner's address.
    pub miner: String,
    /// Its score with the winner, 0 to 1.
    pub score: f64,
    /// Whether that is enough to match.
    pub agrees: bool,
}
}

impl Verdict {
    /// A verdict by this method, without scores and miners.
    pub fn new(verdict: Standing, method: Matching) -> Self {
        Self { verdict, score: 0.0, method, policy: None, winner: None, per_miner: Vec::new() }
    }
}
