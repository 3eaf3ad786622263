//! Scores texts by similar wording: the Jaccard index of their runs of three words ("shingles"; Broder, "On the
//! resemblance and containment of documents", 1997). Short texts have too few shingles. Their score is their normalized
//! Levenshtein similarity: 1 minus the share of letters that differ.
//!
//! The two measures differ: if one word in ten is changed, the Jaccard index is about 0.6 and the Levenshtein
//! similarity about 0.9.

use rapidfuzz::distance::levenshtein;

use super::normalized;

/// The number of words below which texts are compared letter by letter.
const SHORT: usize = 16;
/// The maximum bytes of texts that are compared letter by letter. The time grows with the product of their lengths.
const MAX_LETTERS: usize = 8 << 10;

/// A text that is prepared for the comparison.
pub(super) struct Words {
    text: String,
    count: usize,
    /// The hashes of the text's shingles, sorted and without duplicates.
    shingles: Vec<u64>,
}

impl Words {
    pub(super) fn of(text: &str) -> Self {
        let text = normalized::even(text);
        let words: Vec<u64> =
            text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(hash).collect();
        let mut shingles: Vec<u64> = words
            .windows(3.min(words.len()).max(1))
            .map(|run| {
                run.iter().fold(0, |mix: u64, word| (mix ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23))
            })
            .collect();
        shingles.sort_unstable();
        shingles.dedup();
        Self { count: words.len(), shingles, text }
    }
}

/// The FNV-1a hash of a word. A collision only makes two texts look slightly more alike.
fn hash(word: &str) -> u64 {
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(super) fn score(a: &Words, b: &Words) -> f64 {
    if a.text == b.text {
        return 1.0;
    }
    if a.count.min(b.count) < SHORT && a.text.len().max(b.text.len()) <= MAX_LETTERS {
        return levenshtein::normalized_similarity(a.text.chars(), b.text.chars());
    }
    let (mut at, mut other, mut both) = (0, 0, 0_usize);
    while let (Some(x), Some(y)) = (a.shingles.get(at), b.shingles.get(other)) {
        both += usize::from(x == y);
        at += usize::from(x <= y);
        other += usize::from(y <= x);
    }
    let all = a.shingles.len() + b.shingles.len() - both;
    if all == 0 { 0.0 } else { both as f64 / all as f64 }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // scores of 0 and 1 are exact
mod tests {
    use super::*;

    fn compared(a: &str, b: &str) -> f64 {
        score(&Words::of(a), &Words::of(b))
    }

    #[test]
    fn short_texts_are_compared_by_letters() {
        assert_eq!(compared("The capital is Paris.", "the capital is  paris."), 1.0);
        assert!(compared("The capital is Paris.", "The capital is Paris!") > 0.9);
        assert!(compared("Paris", "London") < 0.5);
    }

    #[test]
    fn long_texts_are_compared_by_shingles() {
        let words: Vec<String> = (0..100).map(|n| format!("word{n}")).collect();
        let mut changed = words.clone();
        for at in (0..100).step_by(10) {
            changed[at] = "other".into();
        }
        let score = compared(&words.join(" "), &changed.join(" "));
        assert!((0.4..0.7).contains(&score), "{score}");
        assert!(compared(&words.join(" "), &words[..30].join(" ")) < 0.5);
        assert_eq!(
            compared(&words.join(" "), "a few words that are not in it, one after the other, and so on and on"),
            0.0
        );
    }

    #[test]
    fn a_text_of_one_or_two_words_does_not_trip_it() {
        assert_eq!(compared("", "x"), 0.0);
        assert_eq!(compared("yes", "yes"), 1.0);
        assert_eq!(compared("...", "!!!"), 0.0);
    }
}
