//! Values of the wrong type, and the words that an error about one of them must not have.

use serde_json::{Value, json};

/// Words of Rust and of its JSON reader, which callers in other languages do not know.
const RUST: &[&str] = &[
    "bool", "borrowed", "enum", "f32", "f64", "i16", "i32", "i64", "i8", "isize", "newtype", "nonzero", "sequence",
    "str", "struct", "tuple", "u16", "u32", "u64", "u8", "untagged", "usize", "variant", "Option", "Vec",
];

/// A value of each type of JSON. At least one of them is wrong for every field.
pub fn values() -> Vec<Value> {
    vec![json!(true), json!("Zürich"), json!(1.5), json!(-1), json!([]), json!([[1.5]]), json!({}), json!({"a": [1]})]
}

/// The first word of Rust in a text for people.
pub fn rust_word(text: &str) -> Option<&'static str> {
    let mut words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words.find_map(|word| RUST.iter().copied().find(|rust| *rust == word))
}
