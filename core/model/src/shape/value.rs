//! A value in JSON text.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::scan::Cursor;
use super::text::Joint;

/// A value in JSON, valid and without blanks around it, as it stands in the text that it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    /// The value that `text` is; `None`: the text is not JSON.
    pub fn of(text: &'a str) -> Option<Self> {
        let mut cursor = Cursor::new(text);
        let value = cursor.value()?;
        cursor.is_at_end().then_some(value)
    }

    /// The value of text that was checked already.
    pub(super) const fn checked(text: &'a str) -> Self {
        Self(text)
    }

    /// The JSON of the value.
    pub const fn get(self) -> &'a str {
        self.0
    }

    /// Whether the value is null.
    pub fn is_null(self) -> bool {
        self.0 == "null"
    }

    /// Whether the value is a string.
    pub fn is_string(self) -> bool {
        self.0.starts_with('"')
    }

    /// Whether the value is a list.
    pub fn is_list(self) -> bool {
        self.0.starts_with('[')
    }

    /// Whether the value is a string, a list or an object with nothing in it, or null.
    pub fn is_blank(self) -> bool {
        match self.0.as_bytes() {
            b"null" | b"\"\"" => true,
            [b'[', inner @ .., b']'] | [b'{', inner @ .., b'}'] => inner.trim_ascii().is_empty(),
            _ => false,
        }
    }

    /// The text that the value says.
    pub fn text(self) -> Cow<'a, str> {
        match self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(plain) if memchr(b'\\', plain.as_bytes()).is_none() => Cow::Borrowed(plain),
            _ => Cow::Owned(Joint::of(self)),
        }
    }

    /// The place of the value in the bytes that it was read from; `None`: it is not from these.
    pub fn place_in(self, bytes: &[u8]) -> Option<Range<usize>> {
        let start = (self.0.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
        let end = start + self.0.len();
        (end <= bytes.len()).then_some(start..end)
    }
}
