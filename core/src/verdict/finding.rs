//! Scores opinions on a claim by the verdicts that they give: 1 or 0.

use crate::model::agents::{Finding, Opinion};

/// The verdict of an answer; `None`: it gives none by the rule.
pub(super) fn given(text: &str) -> Option<Finding> {
    let opinion = Opinion::of(text);
    opinion.is_given.then_some(opinion.finding)
}

/// The score of two verdicts. An answer without a verdict has the score 0 with every other.
pub(super) fn score(a: Option<Finding>, b: Option<Finding>) -> f64 {
    f64::from(u8::from(a.is_some() && a == b))
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // scores of 0 and 1 are exact
mod tests {
    use super::*;

    #[test]
    fn only_the_verdict_counts() {
        let compared = |a, b| score(given(a), given(b));
        assert_eq!(compared("VERDICT: VALID\nIt holds.", r#"{"verdict":"valid","reason":"other words"}"#), 1.0);
        assert_eq!(compared("VERDICT: VALID", "VERDICT: INVALID"), 0.0);
        assert_eq!(compared("no idea", "no idea"), 0.0, "an answer without a verdict agrees with none");
    }
}
