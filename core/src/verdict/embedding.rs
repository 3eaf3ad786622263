//! Scores vectors by their direction.

use serde::Deserialize;

/// The vectors of a list of texts, in the order of the list.
pub(crate) type Vectors = Vec<Vec<f32>>;

/// The cosine of the angle between two vectors; 0 if it is negative or not defined.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f64 {
    if a.len() != b.len() {
        return 0.0;
    }
    let (mut dot, mut of_a, mut of_b) = (0.0_f64, 0.0_f64, 0.0_f64);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (f64::from(*x), f64::from(*y));
        dot += x * y;
        of_a += x * x;
        of_b += y * y;
    }
    let length = (of_a * of_b).sqrt();
    if length > 0.0 && length.is_finite() { (dot / length).clamp(0.0, 1.0) } else { 0.0 }
}

/// Reads the vectors in a miner's answer: OpenAI's object, a list of vectors, or one vector; `None`: the answer is none
/// of these.
pub(crate) fn vectors_of(json: &[u8]) -> Option<Vectors> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Forms {
        OpenAi { data: Vec<Item> },
        Many(Vectors),
        One(Vec<f32>),
    }
    #[derive(Deserialize)]
    struct Item {
        #[serde(default)]
        index: usize,
        embedding: Vec<f32>,
    }
    match serde_json::from_slice(json).ok()? {
        Forms::OpenAi { mut data } => {
            data.sort_by_key(|item| item.index);
            Some(data.into_iter().map(|item| item.embedding).collect())
        }
        Forms::Many(vectors) => Some(vectors),
        Forms::One(vector) => Some(vec![vector]),
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // scores of 0 and 1 are exact
mod tests {
    use super::*;

    #[test]
    fn the_angle_counts_and_not_the_length() {
        assert!((cosine(&[1.0, 2.0], &[10.0, 20.0]) - 1.0).abs() < 1e-9);
        assert!(cosine(&[1.0, 0.0], &[0.0, 1.0]).abs() < 1e-9);
        assert_eq!(cosine(&[1.0, 0.0], &[-1.0, 0.0]), 0.0);
        assert_eq!(cosine(&[0.0], &[0.0]), 0.0);
        assert_eq!(cosine(&[1.0], &[1.0, 1.0]), 0.0);
    }

    #[test]
    fn every_form_of_vectors_is_read() {
        let object = br#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}],"model":"m"}"#;
        assert_eq!(vectors_of(object), Some(vec![vec![1.0], vec![2.0]]));
        assert_eq!(vectors_of(b"[[1],[2]]"), Some(vec![vec![1.0], vec![2.0]]));
        assert_eq!(vectors_of(b"[1,2]"), Some(vec![vec![1.0, 2.0]]));
        assert_eq!(vectors_of(b"words"), None);
    }
}
