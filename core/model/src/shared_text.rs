//! A text that many holders share and nobody changes.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A text whose clones share one copy, because the text of an answer stands in the task, in its result, in the row for
/// the store and in the completion that callers get. It reads like a `&str`.
///
/// ```
/// # mod cortensor_router { pub use cortensor_router_model as model; }
/// use cortensor_router::model::SharedText;
/// let text = SharedText::from("hello");
/// assert_eq!(text, "hello");
/// assert_eq!(text.len(), 5);
/// ```
// `None` is the empty text, so that a record that is still to be filled in allocates nothing.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedText(Option<Arc<str>>);

impl SharedText {
    /// The text.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    fn of(text: impl AsRef<str> + Into<Arc<str>>) -> Self {
        Self((!text.as_ref().is_empty()).then(|| text.into()))
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for SharedText {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl fmt::Display for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self)
    }
}

impl From<&str> for SharedText {
    fn from(text: &str) -> Self {
        Self::of(text)
    }
}

impl From<String> for SharedText {
    fn from(text: String) -> Self {
        Self::of(text)
    }
}

impl From<&String> for SharedText {
    fn from(text: &String) -> Self {
        Self::of(text.as_str())
    }
}

impl From<std::borrow::Cow<'_, str>> for SharedText {
    fn from(text: std::borrow::Cow<'_, str>) -> Self {
        Self::of(text)
    }
}

impl From<Arc<str>> for SharedText {
    fn from(text: Arc<str>) -> Self {
        Self::of(text)
    }
}

impl From<SharedText> for String {
    fn from(text: SharedText) -> Self {
        text.as_str().to_owned()
    }
}

impl PartialEq<str> for SharedText {
    fn eq(&self, other: &str) -> bool {
        // Long texts are often compared with themselves.
        std::ptr::eq(self.as_str(), other) || self.as_str() == other
    }
}

impl PartialEq<&str> for SharedText {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialEq<String> for SharedText {
    fn eq(&self, other: &String) -> bool {
        **self == **other
    }
}

impl Serialize for SharedText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for SharedText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_is_one_however_it_came() {
        let empty = SharedText::default();
        for other in [SharedText::from(""), String::new().into(), serde_json::from_str("\"\"").unwrap()] {
            assert_eq!((&other, other.as_str()), (&empty, ""));
        }
        let a = SharedText::from("a");
        assert!(empty < a);
        assert_eq!(serde_json::to_string(&empty).unwrap(), "\"\"");
        assert_eq!(serde_json::to_string(&SharedText::from("a\n")).unwrap(), "\"a\\n\"");
    }
}
