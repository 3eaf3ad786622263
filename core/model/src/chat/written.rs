//! A body for a server, member by member.

use serde::Serialize;
use serde_json::value::RawValue;

use super::into_raw;
use crate::{Error, Result};

/// A body that is being written: each member once, in the order in which they came.
#[derive(Debug, Default)]
pub struct Written(Vec<(String, Box<RawValue>)>);

impl Written {
    /// Sets a member.
    ///
    /// # Errors
    /// `Internal` when the value has no JSON form.
    pub fn set(&mut self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<()> {
        self.set_raw(name, into_raw(&value)?);
        Ok(())
    }

    /// Sets a member to JSON as it came.
    pub fn set_raw(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Whether it has no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object as JSON.
    ///
    /// # Errors
    /// `Internal` when a member is no JSON, which no record of this crate is.
    pub fn into_raw(self) -> Result<Box<RawValue>> {
        let text = String::from_utf8(self.write(Vec::new())).map_err(Error::internal)?;
        RawValue::from_string(text).map_err(Error::internal)
    }

    /// Writes the members behind the bytes that are there.
    pub fn write(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        bytes.push(b'{');
        for (place, (name, value)) in self.0.iter().enumerate() {
            if place > 0 {
                bytes.push(b',');
            }
            // A text always has a JSON form.
            let _ = serde_json::to_writer(&mut bytes, name);
            bytes.push(b':');
            bytes.extend_from_slice(value.get().as_bytes());
        }
        bytes.push(b'}');
        bytes
    }
}
