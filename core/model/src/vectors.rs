//! Vectors of texts: the answer of a miner to an embedding.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Vectors, in the order of the inputs.
pub type Vectors = Vec<Vec<f64>>;

/// A vector as OpenAI's servers write it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Numbers(Vec<f64>),
    /// Little-endian 32-bit floats in base64.
    Packed(String),
}

impl Written {
    fn numbers(self) -> Option<Vec<f64>> {
        let packed = match self {
            Self::Numbers(numbers) => return Some(numbers),
            Self::Packed(packed) => packed,
        };
        let bytes = BASE64_STANDARD.decode(packed).ok()?;
        let (floats, rest) = bytes.as_chunks::<4>();
        rest.is_empty().then(|| floats.iter().map(|float| f64::from(f32::from_le_bytes(*float))).collect())
    }
}

/// Reads the vectors in a miner's answer: one vector, a list of vectors, or the object of OpenAI's API. `None` for any
/// other answer.
pub fn vectors_of(json: &[u8]) -> Option<Vectors> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Forms {
        OpenAi { data: Vec<Item> },
        Many(Vectors),
        One(Vec<f64>),
    }
    #[derive(Deserialize)]
    struct Item {
        #[serde(default)]
        index: usize,
        embedding: Written,
    }
    match serde_json::from_slice(json).ok()? {
        Forms::OpenAi { mut data } => {
            data.sort_by_key(|item| item.index);
            data.into_iter().map(|item| item.embedding.numbers()).collect()
        }
        Forms::Many(vectors) => Some(vectors),
        Forms::One(vector) => Some(vec![vector]),
    }
}

/// The number of vectors that the input of an embedding asks for: 1 for a text or for a list of token numbers, else
/// the length of the list.
pub fn inputs(input: &RawValue) -> usize {
    match serde_json::from_str::<Vec<&RawValue>>(input.get()) {
        Ok(items) if items.first().is_some_and(|item| item.get().starts_with(['"', '['])) => items.len(),
        _ => 1,
    }
}

/// Reads the vectors that a miner gave as the text of its answer.
///
/// # Errors
/// A text that says why the answer is of no use.
pub fn vectors_for(input: Option<&RawValue>, text: &str) -> Result<Vectors, String> {
    let vectors = vectors_of(text.as_bytes()).ok_or(
        "the miner answered an embedding with text: its answer must be vectors, a list of numbers for each input",
    )?;
    let wanted = input.map_or(1, inputs);
    if vectors.len() != wanted {
        return Err(format!("the miner answered {} vectors to {wanted} inputs", vectors.len()));
    }
    Ok(vectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_vectors_is_read() {
        let object = br#"{"data":[{"index":1,"embedding":"AACAPwAAAMA="},{"index":0,"embedding":[0.1]}],"model":"m"}"#;
        assert_eq!(vectors_of(object), Some(vec![vec![0.1], vec![1.0, -2.0]]));
        assert_eq!(vectors_of(b"[[1],[2]]"), Some(vec![vec![1.0], vec![2.0]]));
        assert_eq!(vectors_of(b"[1,2]"), Some(vec![vec![1.0, 2.0]]));
        for wrong in
            ["words", "", "5", "[[1],2]", r#"{"data":[{"embedding":"AAA="}]}"#, r#"{"data":[{"embedding":"?"}]}"#]
        {
            assert_eq!(vectors_of(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn there_is_one_vector_for_each_input() {
        let raw = |json: &str| RawValue::from_string(json.to_owned()).unwrap();
        for (input, text, fits) in [
            (r#""a""#, "[1,2]", true),
            (r#""a""#, "[[1,2]]", true),
            ("[1,2,3]", "[1]", true),
            (r#"["a","b"]"#, "[[1],[2]]", true),
            ("[[1],[2]]", "[[1],[2]]", true),
            (r#"["a","b"]"#, "[1]", false),
            (r#"["a","b"]"#, "hello", false),
            (r#""a""#, "", false),
        ] {
            assert_eq!(vectors_for(Some(&raw(input)), text).is_ok(), fits, "{input} {text}");
        }
    }
}
