//! Decides whether several answers to one task agree, and which one is taken. The functions are pure: equal answers
//! give equal rulings.
//!
//! A comparison of long answers may take a millisecond, so it must run outside of locks and runtime threads.

mod embedding;
mod exact;
mod finding;
mod json;
mod lexical;
mod normalized;
mod policy;

pub(crate) use embedding::{Vectors, vectors_of};
pub(crate) use policy::Ruling;

use crate::model::{Matching, Validation, answered};

/// The scores of all pairs of answers, from 0 (different) to 1 (equal). A blank answer has the score 0 with every
/// answer.
struct Scores {
    size: usize,
    of: Vec<f64>,
}

impl Scores {
    fn new(texts: &[&str], score: impl Fn(usize, usize) -> f64) -> Self {
        let size = texts.len();
        let given: Vec<bool> = texts.iter().map(|text| !text.trim().is_empty()).collect();
        let mut of = vec![0.0; size * size];
        for a in 0..size {
            of[a * size + a] = f64::from(u8::from(given[a]));
            for b in 0..a {
                if given[a] && given[b] {
                    let score = score(a, b);
                    (of[a * size + b], of[b * size + a]) = (score, score);
                }
            }
        }
        Self { size, of }
    }

    fn get(&self, a: usize, b: usize) -> f64 {
        self.of[a * self.size + b]
    }

    /// Whether the answer is not blank.
    fn given(&self, a: usize) -> bool {
        self.get(a, a) > 0.0
    }
}

/// Compares the texts of answers and makes the ruling.
///
/// `asked` is the number of answers that were wanted at first. It defines the majority; a tie-break does not raise it.
/// `primary` is the index of the answer that was streamed, which is preferred among equals. [`Matching::Embedding`]
/// needs `vectors`, one for each text; without them no answers match.
pub fn judge(
    how: &Validation,
    texts: &[&str],
    asked: u32,
    primary: Option<usize>,
    vectors: Option<&[Vec<f32>]>,
) -> Ruling {
    let scores = match how.matching {
        Matching::Exact => Scores::new(texts, |a, b| exact::score(texts[a], texts[b])),
        Matching::Normalized => {
            let even: Vec<_> = texts.iter().map(|text| normalized::even(text)).collect();
            Scores::new(texts, |a, b| exact::score(&even[a], &even[b]))
        }
        Matching::Json => {
            let read: Vec<_> = texts.iter().map(|text| answered(text)).collect();
            Scores::new(texts, |a, b| json::score(read[a].as_ref(), read[b].as_ref(), &how.pointers, how.tolerance))
        }
        Matching::Lexical => {
            let read: Vec<_> = texts.iter().map(|text| lexical::Words::of(text)).collect();
            Scores::new(texts, |a, b| lexical::score(&read[a], &read[b]))
        }
        Matching::Verdict => {
            let given: Vec<_> = texts.iter().map(|text| finding::given(text)).collect();
            Scores::new(texts, |a, b| finding::score(given[a], given[b]))
        }
        Matching::Embedding => {
            let vectors = vectors.filter(|vectors| vectors.len() == texts.len()).unwrap_or_default();
            Scores::new(texts, |a, b| match (vectors.get(a), vectors.get(b)) {
                (Some(a), Some(b)) => embedding::cosine(a, b),
                _ => 0.0,
            })
        }
    };
    policy::rule(how, &scores, asked, primary)
}
