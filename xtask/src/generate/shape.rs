//! The values that a schema allows, as far as the types of a language can express them.

/// The type of a value.
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
    /// An object with any names, and values of that shape.
    Map(Box<Shape>),
    /// An object with unknown members.
    Object,
    /// The record with that name.
    Record(String),
    Any,
    OneOf(Vec<Shape>),
}

impl Shape {
    /// Makes a choice, without nested or repeated choices.
    pub(super) fn one_of(choices: impl Iterator<Item = Self>) -> Self {
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

    /// Whether the value may be `null`.
    pub(super) fn is_nullable(&self) -> bool {
        matches!(self, Self::Null) || matches!(self, Self::OneOf(choices) if choices.contains(&Self::Null))
    }

    /// The shape without `null`.
    pub(super) fn given(&self) -> Self {
        match self {
            Self::OneOf(choices) => Self::one_of(choices.iter().filter(|choice| **choice != Self::Null).cloned()),
            other => other.clone(),
        }
    }
}

/// The words of a pattern that is a choice between words, such as `^(first|all)?$`.
pub(super) fn words_of(pattern: &str) -> Option<Vec<String>> {
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
