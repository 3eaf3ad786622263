//! One level of JSON: the members of an object, the elements of a list.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::text::lossy;

/// Gives each member of an object to `take`, in its order and also where a name stands twice. Answers whether `json` is
/// an object.
pub fn members<'a>(json: &'a str, take: impl FnMut(Cow<'a, str>, &'a RawValue)) -> bool {
    let mut reader = serde_json::Deserializer::from_str(json);
    Object(take).deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

/// Gives each element of a list to `take`. Answers whether `json` is a list.
pub fn elements<'a>(json: &'a str, take: impl FnMut(&'a RawValue)) -> bool {
    let mut reader = serde_json::Deserializer::from_str(json);
    List(take).deserialize(&mut reader).is_ok() && reader.end().is_ok()
}

/// The last member of that name, where `json` is an object that has it.
pub fn last<'a>(json: &'a str, name: &str) -> Option<&'a RawValue> {
    let mut found = None;
    members(json, |key, value| {
        if key == name {
            found = Some(value);
        }
    });
    found
}

struct Object<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de RawValue)> DeserializeSeed<'de> for Object<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Cow<'de, str>, &'de RawValue)> Visitor<'de> for Object<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((Key(key), value)) = map.next_entry()? {
            (self.0)(key, value);
        }
        Ok(())
    }
}

struct List<F>(F);

impl<'de, F: FnMut(&'de RawValue)> DeserializeSeed<'de> for List<F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for List<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element()? {
            (self.0)(value);
        }
        Ok(())
    }
}

/// A member's name. It is asked for as bytes, because `serde_json` refuses half a surrogate pair in a text.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl<'de> Visitor<'de> for Name {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_bytes<E>(self, name: &'de [u8]) -> Result<Self::Value, E> {
                Ok(Key(lossy(name)))
            }

            fn visit_bytes<E>(self, name: &[u8]) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(lossy(name).into_owned())))
            }
        }
        deserializer.deserialize_bytes(Name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(json: &str) -> Option<Vec<(String, String)>> {
        let mut out = Vec::new();
        members(json, |key, value| out.push((key.into_owned(), value.get().to_owned()))).then_some(out)
    }

    #[test]
    fn members_come_in_their_order_whatever_they_hold() {
        let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
        let json = format!(r#" {{"a":1.50,"\u0061":{deep},"\ud83d":"\ud83d","a": null }} "#);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(pairs(&json).unwrap()[..2], [pair("a", "1.50"), pair("a", &deep)]);
        assert_eq!(pairs(&json).unwrap()[3], pair("a", "null"));
        assert_eq!(last(r#"{"a":1,"b":2,"a":3}"#, "a").unwrap().get(), "3");
        for wrong in ["", "[]", "null", "{", "{} {}", "{\"a\":}"] {
            assert_eq!(pairs(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn elements_come_in_their_order() {
        let mut out = Vec::new();
        assert!(elements("[1, \"\\ud83d\", {}]", |value| out.push(value.get())));
        assert_eq!(out, ["1", "\"\\ud83d\"", "{}"]);
        assert!(!elements("{}", |_| ()));
    }
}
