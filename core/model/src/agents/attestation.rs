//! The attestation of a verdict: a hash over the claim, the answers and the verdict, which anybody can make again.

use std::fmt::Write as _;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::answer::Evidence;
use super::opinion::Finding;
use crate::hex::hex;

/// A hash over a verdict and what led to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Attestation {
    /// `sha256`
    pub kind: &'static str,
    /// The hexadecimal SHA-256 of these lines, with a line feed between: `cortensor-router/validation/1`, the verdict,
    /// `claim_sha256`, and for each answer of `evidence` its `miner_id`, its `verdict` and its `sha256` with a blank
    /// between.
    pub digest: String,
    /// The hexadecimal SHA-256 of the claim as the miners were told it.
    pub claim_sha256: String,
    /// The words about what the hash shows, and what it does not show.
    pub attests: &'static str,
}

const ATTESTS: &str = "This router got these answers from these miners to this claim, and gave this verdict by its \
                       rule. It is a hash and no signature: it does not show who the miners are or that the verdict \
                       is true.";

impl Attestation {
    /// The attestation of that verdict.
    pub fn of(claim: &str, finding: Finding, evidence: &[Evidence<'_>]) -> Self {
        let claim_sha256 = hex(&Sha256::digest(claim));
        let mut lines = format!("cortensor-router/validation/1\n{finding}\n{claim_sha256}");
        for answer in evidence.iter().filter(|answer| answer.error.is_none()) {
            let verdict = answer.verdict.unwrap_or_default();
            // Writing to a text never fails.
            let _ = write!(lines, "\n{} {verdict} {}", answer.miner_id, answer.sha256);
        }
        Self { kind: "sha256", digest: hex(&Sha256::digest(lines)), claim_sha256, attests: ATTESTS }
    }
}
