//! What a schema lets through, as far as the types of a language can say it.

use super::document::{Document, name_of};
use super::json::Json;

/// What a value looks like.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Null,
    Flag,
    Whole,
    Number,
    Text,
    /// One of these words.
    Words(Vec<String>),
    List(Box<Shape>),
    /// An object with any names and values of that shape.
    Map(Box<Shape>),
    /// An object of which nothing is known.
    Object,
    /// The record of that name.
    Record(String),
    Any,
    OneOf(Vec<Shape>),
}

impl Shape {
    /// The shape that a schema of the document describes.
    pub(super) fn of(document: &Document, schema: &Json) -> Self {
        let reference = schema.get("$ref").text();
        if !reference.is_empty() {
            let target = document.resolve(schema);
            let is_record = target.get("properties").is_given() || target.get("allOf").is_given();
            return if is_record { Self::Record(name_of(reference).to_owned()) } else { Self::of(document, target) };
        }
        for key in ["oneOf", "anyOf"] {
            let choices = schema.get(key).items();
            if !choices.is_empty() {
                return Self::one_of(choices.iter().map(|choice| Self::of(document, choice)));
            }
        }
        let words = schema.get("enum").items();
        if !words.is_empty() {
            return Self::Words(words.iter().map(|word| word.text().to_owned()).collect());
        }
        match schema.get("type") {
            Json::Text(word) => Self::of_type(document, schema, word),
            Json::List(kinds) => Self::one_of(kinds.iter().map(|kind| Self::of_type(document, schema, kind.text()))),
            _ => Self::Any,
        }
    }

    fn of_type(document: &Document, schema: &Json, word: &str) -> Self {
        match word {
            "null" => Self::Null,
            "boolean" => Self::Flag,
            "integer" => Self::Whole,
            "number" => Self::Number,
            "string" => words_of(schema.get("pattern").text()).map_or(Self::Text, Self::Words),
            "array" => Self::List(Box::new(Self::of(document, schema.get("items")))),
            "object" if schema.get("additionalProperties").is_given() => {
                Self::Map(Box::new(Self::of(document, schema.get("additionalProperties"))))
            }
            "object" => Self::Object,
            _ => Self::Any,
        }
    }

    /// A choice, without choices in it and with each of them once.
    fn one_of(choices: impl Iterator<Item = Self>) -> Self {
        let mut out: Vec<Self> = Vec::new();
        for choice in choices {
            let parts = if let Self::OneOf(parts) = choice { parts } else { vec![choice] };
            for part in parts {
                if !out.contains(&part) {
                    out.push(part);
                }
            }
        }
        if let [only] = out.as_slice() { only.clone() } else { Self::OneOf(out) }
    }

    /// Whether it may be `null`.
    pub(super) fn is_nullable(&self) -> bool {
        matches!(self, Self::Null) || matches!(self, Self::OneOf(choices) if choices.contains(&Self::Null))
    }

    /// The shape of what is not `null`.
    pub(super) fn given(&self) -> Self {
        match self {
            Self::OneOf(choices) => Self::one_of(choices.iter().filter(|choice| **choice != Self::Null).cloned()),
            other => other.clone(),
        }
    }
}

/// The words of a pattern that is a choice between words: `^(first|all)?$`.
fn words_of(pattern: &str) -> Option<Vec<String>> {
    let inner = pattern.strip_prefix("^(")?;
    let inner = inner.strip_suffix(")?$").or_else(|| inner.strip_suffix(")$"))?;
    let words: Vec<String> = inner.split('|').map(str::to_owned).collect();
    words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '_')).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_words_is_a_choice_between_them() {
        assert_eq!(words_of("^(first|all)?$").unwrap(), ["first", "all"]);
        assert_eq!(words_of("^[a-z]+$"), None);
        assert_eq!(words_of("^(a.b)$"), None);
    }
}
