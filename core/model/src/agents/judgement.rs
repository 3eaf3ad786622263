//! One verdict from several opinions.

use super::consensus::Quorum;
use super::opinion::{Finding, Opinion};

/// The verdict on a claim.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The verdict: that of the opinions that agree, or `RETRY` where too few agree.
    pub finding: Finding,
    /// Whether enough opinions agree.
    pub is_agreed: bool,
    /// The share of the miners asked that gave this verdict, from 0 to 1.
    pub confidence: f64,
    /// How right the claim is by all opinions for or against it, from 0 to 1.
    pub score: f64,
    /// The number of opinions for the largest verdict.
    pub agreeing: u32,
}

impl Judgement {
    /// The verdict of these opinions under that rule. The order of the opinions does not matter.
    pub fn of(rule: Quorum, opinions: &[Opinion]) -> Self {
        let count = |finding| opinions.iter().filter(|opinion| opinion.finding == finding).count() as u32;
        let most = [Finding::Valid, Finding::Invalid, Finding::NeedsSpec, Finding::Retry].map(|one| (one, count(one)));
        let agreeing = most.iter().map(|(_, count)| *count).max().unwrap_or_default();
        let mut largest = most.iter().filter(|(_, count)| *count == agreeing);
        let leader = largest.next().filter(|_| largest.next().is_none()).map(|(finding, _)| *finding);
        let is_agreed = leader.is_some() && agreeing >= rule.strategy.quorum(rule.wanted);
        let finding = leader.filter(|_| is_agreed || rule.best_effort).unwrap_or_default();
        let asked = rule.wanted.max(opinions.len() as u32).max(1);
        Self {
            finding,
            is_agreed,
            confidence: f64::from(count(finding)) / f64::from(asked),
            score: score(opinions),
            agreeing,
        }
    }
}

/// The mean of what the opinions for and against the claim say; an opinion without a number says 1 or 0.
fn score(opinions: &[Opinion]) -> f64 {
    let each = opinions.iter().filter_map(|opinion| match opinion.finding {
        Finding::Valid => Some(opinion.score.unwrap_or(1.0)),
        Finding::Invalid => Some(opinion.score.unwrap_or(0.0)),
        Finding::Retry | Finding::NeedsSpec => None,
    });
    let (sum, count) = each.fold((0.0, 0_u32), |(sum, count), score| (sum + score, count + 1));
    if count == 0 { 0.0 } else { sum / f64::from(count) }
}
