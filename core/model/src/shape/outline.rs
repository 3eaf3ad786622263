//! The facts about an answer's JSON that the router needs in order to put its own id into it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::scan::Cursor;
use super::value::Json;

/// The outline of a JSON object: the places of its ids, and what its other members tell about its form. Everything else
/// passes unread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// The places of the values of the top-level `id`: one, except in a body that names it twice.
    ids: SmallVec<[Range<usize>; 1]>,
    /// The place at which a member can be inserted: after the opening brace.
    open: usize,
    /// Whether the object has a member.
    has_members: bool,
    /// Whether the body has a member other than its choices and its kind.
    has_head: bool,
    /// Whether the body is a `chat.completion`.
    is_chat: bool,
    /// Whether the reader of the body found one message in it that is text alone.
    is_text: bool,
}

impl Outline {
    /// Reads the outline of a JSON object; `None`: the text is no object.
    pub fn of(json: &str) -> Option<Self> {
        let mut outline = Self::begin(json)?;
        let mut cursor = Cursor::new(json);
        cursor.members(|name, cursor| {
            outline.note(json, &name, cursor.value()?);
            Some(())
        })?;
        cursor.is_at_end().then_some(outline)
    }

    /// The outline of an object whose members are still to be noted; `None`: the text has no opening brace.
    pub fn begin(json: &str) -> Option<Self> {
        let open = json.bytes().position(|byte| byte == b'{')? + 1;
        Some(Self { open, ..Self::default() })
    }

    /// Notes a member of the object. `json` must be the text that the value stands in.
    #[inline]
    pub fn note(&mut self, json: &str, name: &str, value: Json<'_>) {
        self.note_name(name);
        match name {
            "id" => self.ids.extend(value.place_in(json.as_bytes())),
            "object" => self.is_chat = value.get() == "\"chat.completion\"",
            _ => {}
        }
    }

    /// Notes a member of the object that is neither its `id` nor its `object`.
    #[inline]
    pub fn note_name(&mut self, name: &str) {
        self.has_members = true;
        self.has_head |= !matches!(name, "choices" | "object");
    }

    /// Whether the body names an id.
    pub fn has_id(&self) -> bool {
        !self.ids.is_empty()
    }

    /// Whether the body has no head. A body that the router makes from a miner's own answer has none.
    pub fn is_headless(&self) -> bool {
        !self.has_head
    }

    /// Whether the body is a whole chat completion.
    pub fn is_chat(&self) -> bool {
        self.is_chat
    }

    /// Notes that the body has one message, which is text alone.
    pub fn note_text(&mut self) {
        self.is_text = true;
    }

    /// Whether the body is known to have one message, which is text alone.
    pub fn is_text(&self) -> bool {
        self.is_text
    }

    /// The bytes between the braces of a body.
    pub fn members<'a>(&self, json: &'a [u8]) -> &'a [u8] {
        let inner = json.get(self.open..).unwrap_or_default().trim_ascii_end();
        inner.strip_suffix(b"}").unwrap_or(inner)
    }

    /// Writes the body with the router's id in it, which is given as JSON. `json` must be the bytes that the outline was
    /// made of.
    pub fn splice(&self, json: &[u8], id: &[u8], out: &mut Vec<u8>) {
        out.reserve(json.len() + id.len() + 8);
        self.splice_part(json, 0..json.len(), id, out);
    }

    /// Writes the beginning of the body with the router's id in it. Gives the place from which on the body stays as it
    /// is.
    pub fn splice_front(&self, json: &[u8], id: &[u8], out: &mut Vec<u8>) -> usize {
        let end = self.ids.last().map_or(self.open, |span| span.end);
        out.reserve(end + id.len() + 8);
        self.splice_part(json, 0..end, id, out);
        end
    }

    /// Writes a part of the body that begins and ends outside the places of ids.
    pub fn splice_part(&self, json: &[u8], part: Range<usize>, id: &[u8], out: &mut Vec<u8>) {
        let mut from = part.start;
        if self.ids.is_empty() && part.contains(&(self.open - 1)) {
            out.extend_from_slice(&json[from..self.open]);
            out.extend_from_slice(b"\"id\":");
            out.extend_from_slice(id);
            if self.has_members {
                out.push(b',');
            }
            from = self.open;
        }
        for span in self.ids.iter().filter(|span| part.contains(&span.start)) {
            out.extend_from_slice(&json[from..span.start]);
            out.extend_from_slice(id);
            from = span.end;
        }
        out.extend_from_slice(&json[from..part.end]);
    }
}

/// The outline of an answer's raw JSON, which the reader of the answer has made, so that its writer need not scan the
/// JSON again. It follows from the JSON, so any two are equal.
#[derive(Clone, Default)]
pub struct Outlined(Option<Arc<(Bytes, Outline)>>);

impl Outlined {
    /// Keeps the outline of this JSON.
    pub fn new(json: Bytes, outline: Outline) -> Self {
        Self(Some(Arc::new((json, outline))))
    }

    /// The outline of `json`; `None`: it is not known.
    pub fn get(&self, json: &[u8]) -> Option<&Outline> {
        let (kept, outline) = &**self.0.as_ref()?;
        // The kept bytes still exist, so that equal addresses mean the same bytes.
        (kept.as_ptr() == json.as_ptr() && kept.len() == json.len()).then_some(outline)
    }
}

impl PartialEq for Outlined {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Outlined {}

impl fmt::Debug for Outlined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "known" } else { "unknown" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outline_is_known_for_its_own_bytes_alone() {
        let json = Bytes::from_static(br#"{"id":"a"}"#);
        let outline = Outline::of(r#"{"id":"a"}"#).unwrap();
        let outlined = Outlined::new(json.clone(), outline.clone());
        assert_eq!(outlined.get(&json.clone()), Some(&outline));
        assert_eq!(outlined.get(&Bytes::copy_from_slice(&json)), None);
        assert_eq!(outlined.get(&json.slice(..9)), None);
        assert_eq!(Outlined::default().get(&json), None);
    }
}
