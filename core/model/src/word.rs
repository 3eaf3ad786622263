//! Closed lists of words: a field of a record that has one of a few words is an enum and not a text.

use serde::{Deserialize, Deserializer};

use crate::{Error, absent};

/// Makes an enum of words, with the conversions from a word to a value and back. The name in quotes is the field that
/// the error for an unknown word names.
macro_rules! words {
    ($(
        $(#[$meta:meta])*
        $name:ident in $field:literal {
            $($(#[$word_meta:meta])* $variant:ident = $word:tt,)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
        pub enum $name {
            $($(#[$word_meta])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// The word, as in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::Error;

            fn from_str(word: &str) -> crate::Result<Self> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(crate::word::unknown($field, &[$($word),*])),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::json::with_text(deserializer, str::parse)?.map_err(serde::de::Error::custom::<crate::Error>)
            }
        }
    )*};
}

pub(crate) use words;

/// Words to choose from, as a text: `a, b or c`.
pub(crate) fn choice(words: &[&str]) -> String {
    match words {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        words => words.concat(),
    }
}

/// The error for a word that is not in the list.
pub(crate) fn unknown(field: &str, words: &[&str]) -> Error {
    Error::invalid(field, format!("{field} must be {}", choice(words)))
}

/// A word of a list that has a default: clients send an empty text for it.
pub(crate) struct OrDefault<W>(pub(crate) W);

impl<'de, W: Default + Deserialize<'de>> Deserialize<'de> for OrDefault<W> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        absent::text::deserialize(deserializer).map(|word| Self(word.unwrap_or_default()))
    }
}

/// For `deserialize_with`: a word; an empty one is the default.
pub(crate) fn word<'de, D: Deserializer<'de>, W: Default + Deserialize<'de>>(deserializer: D) -> Result<W, D::Error> {
    OrDefault::deserialize(deserializer).map(|word| word.0)
}

/// For `deserialize_with`: a word or none; an empty one is the default.
pub(crate) fn some_word<'de, D, W>(deserializer: D) -> Result<Option<W>, D::Error>
where
    D: Deserializer<'de>,
    W: Default + Deserialize<'de>,
{
    Ok(Option::<OrDefault<W>>::deserialize(deserializer)?.map(|word| word.0))
}

#[cfg(test)]
mod tests {
    use crate::{Outcome, Retention};

    #[test]
    fn a_word_is_read_as_it_is_written() {
        assert_eq!((Outcome::Expired.to_string(), "expired".parse()), ("expired".to_owned(), Ok(Outcome::Expired)));
        assert_eq!(serde_json::to_string(&Retention::Nothing).unwrap(), r#""none""#);
        assert_eq!(serde_json::from_str::<Retention>(r#""n\u006fne""#).unwrap(), Retention::Nothing);
        assert_eq!(format!("{:>4}", Outcome::Ok), "  ok");
    }

    #[test]
    fn an_error_names_the_field_and_lists_the_words() {
        let error = "some".parse::<Retention>().unwrap_err();
        assert_eq!(error.details().param.as_deref(), Some("retention"));
        assert_eq!(error.message(), "retention must be all, result or none");
        let error = serde_json::from_str::<Retention>(r#""some""#).unwrap_err();
        assert!(error.to_string().starts_with("retention must be all, result or none"), "{error}");
    }
}
