//! Makes a ruling from the scores of a comparison.

use super::Scores;
use crate::model::{Policy, Standing, Validation};

/// The ruling of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Ruling {
    /// The verdict.
    pub standing: Standing,
    /// The index of the answer that is taken. If the answers do not agree, this answer is only shown first.
    pub winner: usize,
    /// The degree of agreement, from 0 to 1: the share of answers that match the winner (`quorum`), the mean score of
    /// the winner with the others (`medoid`), or the lowest score of any pair (`all`).
    pub score: f64,
    /// Each answer's score with the winner.
    pub scores: Vec<f64>,
    /// Whether each answer matches the winner.
    pub agrees: Vec<bool>,
}

pub(super) fn rule(how: &Validation, scores: &Scores, asked: u32, primary: Option<usize>) -> Ruling {
    let size = scores.size;
    let all = 0..size;
    let asked = (asked as usize).max(1);
    let matches = |a: usize, b: usize| scores.given(a) && scores.given(b) && scores.get(a, b) >= how.min_score;
    let matching = |a: usize| all.clone().filter(|b| matches(a, *b)).count();
    let mean = |a: usize| {
        let others = size.saturating_sub(1).max(1) as f64;
        all.clone().filter(|b| *b != a).map(|b| scores.get(a, b)).sum::<f64>() / others
    };
    // The first answer with the highest worth. The streamed answer comes before all others.
    let best = |worth: &dyn Fn(usize) -> f64| {
        let order = primary.filter(|p| *p < size).into_iter().chain(all.clone());
        order.fold(None, |best: Option<usize>, at| match best {
            Some(best) if worth(best) >= worth(at) => Some(best),
            _ => Some(at),
        })
    };
    let winner = match how.policy {
        Policy::Medoid => best(&|a| if scores.given(a) { mean(a) } else { -1.0 }),
        Policy::First | Policy::Quorum | Policy::All => best(&|a| matching(a) as f64),
    }
    .unwrap_or_default();
    let wanted = if how.policy == Policy::All { asked } else { asked / 2 + 1 };
    let given = all.clone().filter(|a| scores.given(*a)).count();
    let agreed = match how.policy {
        Policy::All => given >= wanted && all.clone().all(|a| all.clone().all(|b| matches(a, b))),
        _ => size > 0 && matching(winner) >= wanted,
    };
    let standing = match (agreed, given >= wanted) {
        (true, _) => Standing::Agreed,
        (false, true) => Standing::Disputed,
        (false, false) => Standing::Insufficient,
    };
    let score = match how.policy {
        _ if size == 0 => 0.0,
        Policy::Medoid => mean(winner),
        Policy::All => {
            all.clone().flat_map(|a| (0..a).map(move |b| (a, b))).map(|(a, b)| scores.get(a, b)).fold(1.0, f64::min)
        }
        _ => matching(winner) as f64 / size as f64,
    };
    Ruling {
        standing,
        winner,
        score,
        scores: all.clone().map(|at| scores.get(winner, at)).collect(),
        agrees: all.map(|at| matches(winner, at)).collect(),
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // scores of 0 and 1 are exact
mod tests {
    use super::super::judge;
    use super::*;
    use crate::model::Matching;

    fn ruled(policy: Policy, matching: Matching, texts: &[&str], asked: u32, primary: Option<usize>) -> Ruling {
        let min_score = if matching == Matching::Lexical { 0.5 } else { 1.0 };
        judge(
            &Validation::default().policy(policy).matching(matching).min_score(min_score),
            texts,
            asked,
            primary,
            None,
        )
    }

    #[test]
    fn a_majority_wins_and_the_streamed_answer_is_preferred_among_equals() {
        let ruling = ruled(Policy::Quorum, Matching::Normalized, &["no", "Yes", "yes "], 3, Some(0));
        assert_eq!((ruling.standing, ruling.winner), (Standing::Agreed, 1));
        assert_eq!(ruling.agrees, [false, true, true]);
        let ruling = ruled(Policy::Quorum, Matching::Normalized, &["a", "a", "a"], 3, Some(2));
        assert_eq!((ruling.winner, ruling.score), (2, 1.0));
    }

    #[test]
    fn no_majority_is_a_dispute_and_too_few_are_insufficient() {
        assert_eq!(ruled(Policy::Quorum, Matching::Exact, &["a", "b", "c"], 3, None).standing, Standing::Disputed);
        assert_eq!(ruled(Policy::Quorum, Matching::Exact, &["a", "b"], 2, None).standing, Standing::Disputed);
        assert_eq!(ruled(Policy::Quorum, Matching::Exact, &["a", ""], 3, None).standing, Standing::Insufficient);
        assert_eq!(ruled(Policy::Quorum, Matching::Exact, &["a"], 3, None).standing, Standing::Insufficient);
        assert_eq!(ruled(Policy::Quorum, Matching::Exact, &[], 2, None).standing, Standing::Insufficient);
    }

    #[test]
    fn empty_answers_never_agree() {
        assert_eq!(ruled(Policy::Quorum, Matching::Exact, &["", "", "a"], 3, Some(0)).standing, Standing::Insufficient);
        assert_eq!(ruled(Policy::Quorum, Matching::Normalized, &[" ", "", "a", "a"], 4, None).winner, 2);
    }

    #[test]
    fn a_tie_break_needs_the_majority_of_those_asked_first() {
        assert_eq!(ruled(Policy::Quorum, Matching::Exact, &["a", "b", "b"], 2, Some(0)).winner, 1);
        assert_eq!(ruled(Policy::Quorum, Matching::Exact, &["a", "b", "b"], 2, Some(0)).standing, Standing::Agreed);
    }

    #[test]
    fn all_wants_every_pair_to_match() {
        assert_eq!(ruled(Policy::All, Matching::Exact, &["a", "a", "a"], 3, None).standing, Standing::Agreed);
        assert_eq!(ruled(Policy::All, Matching::Exact, &["a", "a", "b"], 3, None).standing, Standing::Disputed);
        assert_eq!(ruled(Policy::All, Matching::Exact, &["a", "a"], 3, None).standing, Standing::Insufficient);
    }

    #[test]
    fn the_medoid_is_in_the_middle() {
        let texts = ["the sky is blue", "the sky is blue.", "the sky is bluish", "fish"];
        let ruling = ruled(Policy::Medoid, Matching::Lexical, &texts, 4, Some(3));
        assert_eq!(ruling.standing, Standing::Agreed);
        assert!(ruling.winner < 3);
        assert_eq!(ruling.agrees, [true, true, true, false]);
        assert!(ruling.score > 0.4 && ruling.score < 1.0);
    }
}
