//! Words on the wire. A newer peer may send a word that this side does not know yet.

use std::fmt;

use cortensor_router_model::internals::with_text;
use serde::de::value::StrDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A word of a list that later versions of the protocol may extend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word<W> {
    /// A word of the list.
    Known(W),
    /// A word that is not in the list, as it came.
    Unknown(Box<str>),
}

impl<W: Copy> Word<W> {
    /// The word, if it is in the list.
    pub fn known(&self) -> Option<W> {
        match self {
            Self::Known(word) => Some(*word),
            Self::Unknown(_) => None,
        }
    }

    /// The word for a log, with the member of the frame that has it, if the word is not in the list.
    pub(crate) fn unknown(&self, member: &'static str) -> Option<Unknown<'_>> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(text) => Some(Unknown { member, text }),
        }
    }
}

impl<W> From<W> for Word<W> {
    fn from(word: W) -> Self {
        Self::Known(word)
    }
}

impl<W: Default> Default for Word<W> {
    fn default() -> Self {
        Self::Known(W::default())
    }
}

impl<W: Serialize> Serialize for Word<W> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(word) => word.serialize(serializer),
            Self::Unknown(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de, W: Deserialize<'de>> Deserialize<'de> for Word<W> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        with_text(deserializer, |text| {
            let known = W::deserialize(StrDeserializer::<serde::de::value::Error>::new(text));
            known.map_or_else(|_| Self::Unknown(text.into()), Self::Known)
        })
    }
}

/// A word that this side does not know, for the log. A peer chose its text, so at most 64 bytes of it are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown<'a> {
    /// The member of the frame that has the word.
    pub member: &'static str,
    text: &'a str,
}

impl fmt::Display for Unknown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.member, &self.text[..self.text.floor_char_boundary(64)])
    }
}

#[cfg(test)]
mod tests {
    use super::Word;
    use crate::record::Class;

    #[test]
    fn an_unknown_word_is_kept_as_it_came() {
        for (text, known) in [(r#""model""#, Some(Class::Model)), (r#""melted""#, None), (r#""""#, None)] {
            let word: Word<Class> = serde_json::from_str(text).unwrap();
            assert_eq!((word.known(), serde_json::to_string(&word).unwrap().as_str()), (known, text));
        }
        assert!(serde_json::from_str::<Word<Class>>("7").is_err());
        let long: Word<Class> = serde_json::from_str(&format!("\"{}\"", "ö".repeat(100))).unwrap();
        assert_eq!(long.unknown("class").unwrap().to_string(), format!("class \"{}\"", "ö".repeat(32)));
    }
}
