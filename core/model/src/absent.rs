//! `None` in JSON as clients of the REST API have always read it: an empty text or the number 0.

/// For serde's `with`: an optional text or word. `None` is the empty text in JSON.
pub mod text {
    use serde::de::value::StrDeserializer;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::json::with_text;

    /// The text; `None` for an empty one.
    pub fn of(text: impl Into<String>) -> Option<String> {
        Some(text.into()).filter(|text| !text.is_empty())
    }

    /// Writes the text, or an empty one.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer, T: Serialize>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }

    /// Reads a text; an empty one is `None`.
    ///
    /// # Errors
    /// A value that is no text, or a word that is not in the list of its type.
    pub fn deserialize<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        D: Deserializer<'de>,
        T: Deserialize<'de>,
    {
        with_text(deserializer, |text| match text {
            "" => Ok(None),
            text => T::deserialize(StrDeserializer::new(text)).map(Some),
        })?
    }
}

/// For serde's `with`: an optional whole number. `None` is 0 in JSON; a reader takes `null` for `None`, too.
pub mod number {
    use std::num::{NonZeroU32, NonZeroU64};

    use serde::{Deserializer, Serialize, Serializer};

    use crate::whole::{Number, number};

    /// Numbers that are not 0.
    pub trait NonZero: Copy + Serialize {
        /// The plain numbers of the same width.
        type Plain: Number;

        /// `None` for 0.
        fn of(number: Self::Plain) -> Option<Self>;
    }

    impl NonZero for NonZeroU32 {
        type Plain = u32;

        fn of(number: u32) -> Option<Self> {
            Self::new(number)
        }
    }

    impl NonZero for NonZeroU64 {
        type Plain = u64;

        fn of(number: u64) -> Option<Self> {
            Self::new(number)
        }
    }

    /// Writes the number, or 0.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer, N: NonZero>(value: &Option<N>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_u8(0),
        }
    }

    /// Reads a whole number; 0 is `None`.
    ///
    /// # Errors
    /// A value that is no whole number, or a number that is too great for its type.
    pub fn deserialize<'de, D: Deserializer<'de>, N: NonZero>(deserializer: D) -> Result<Option<N>, D::Error> {
        number::<D, N::Plain>(deserializer).map(N::of)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use serde::{Deserialize, Serialize};

    use crate::Policy;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    struct Record {
        #[serde(with = "super::text")]
        name: Option<String>,
        #[serde(with = "super::text")]
        policy: Option<Policy>,
        #[serde(with = "super::number")]
        most: Option<NonZeroU32>,
    }

    #[test]
    fn what_is_absent_is_written_as_it_always_was() {
        let none = r#"{"name":"","policy":"","most":0}"#;
        assert_eq!(serde_json::to_string(&Record::default()).unwrap(), none);
        let some = r#"{"name":"n","policy":"all","most":5}"#;
        let full = Record { name: Some("n".into()), policy: Some(Policy::All), most: NonZeroU32::new(5) };
        assert_eq!(serde_json::to_string(&full).unwrap(), some);
        let read = |text| serde_json::from_str::<Record>(text);
        assert_eq!((read(none).unwrap(), read(some).unwrap()), (Record::default(), full));
        assert_eq!(read(r#"{"most":null}"#).unwrap(), Record::default());
        for wrong in [r#"{"name":null}"#, r#"{"policy":"some"}"#, r#"{"most":4294967296}"#, r#"{"most":-1}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
