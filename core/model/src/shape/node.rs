//! JSON that grows by pieces, as OpenAI's own SDKs put the deltas of a stream together: texts are joined, lists go on,
//! elements with the same `index` and objects are merged, and anything else is replaced.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::members::{elements, last, members};
use super::reply::MOST_MEMBERS;
use super::text::Joint;
use super::value::Json;

/// How deep pieces are merged. Deeper ones replace each other.
const DEEP: u8 = 16;

/// Members that are words of a model. A piece of one is joined with the others whatever type it has.
const WORDS: &[&str] = &["content", "text", "reasoning", "reasoning_content", "refusal", "arguments", "thinking"];

/// Members that name something: a later piece that has one says the same again.
const NAMES: &[&str] = &["id", "type", "role", "object", "model", "format", "status", "index", "encoding", "mime_type"];

/// A value that grows.
#[derive(Debug)]
pub(super) enum Node {
    /// As it came, in one piece.
    Whole(String),
    Text(Joint),
    List(List),
    Object(Object),
}

/// A list that grows.
#[derive(Debug, Default)]
pub(super) struct List {
    nodes: Vec<Node>,
    /// The places of the elements that have an `index`; of two with one, the first. A later element with that number is
    /// merged with the one at the place.
    places: BTreeMap<String, usize>,
}

/// An object that grows. Its members keep the order in which they first came.
#[derive(Debug, Default)]
pub(super) struct Object(pub(super) Vec<(String, Node)>);

impl Object {
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.iter_mut().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// Adds a piece of a member. Answers by how many bytes of content the object may have grown.
    pub(super) fn add(&mut self, key: &str, value: Json<'_>) -> usize {
        self.add_within(key, value, DEEP)
    }

    /// Adds a piece of a member that is words of a model: a string without escapes. Answers by how many bytes of content
    /// the object may have grown.
    pub(super) fn add_plain(&mut self, key: &str, text: &str) -> usize {
        if let Some(Node::Text(joint)) = self.get_mut(key) {
            let before = joint.as_str().len();
            joint.push(text);
            return joint.as_str().len() - before;
        }
        self.add(key, Json::checked(&format!("\"{text}\"")))
    }

    fn add_within(&mut self, key: &str, value: Json<'_>, deep: u8) -> usize {
        let is_full = self.0.len() >= MOST_MEMBERS;
        match self.get_mut(key) {
            Some(node) => node.add(key, value, deep),
            None if is_full => 0,
            None => {
                let is_words = WORDS.contains(&key) && value.is_string();
                let mut node = if is_words { Node::Text(Joint::default()) } else { Node::whole(value) };
                let grown = match is_words {
                    true => node.join(value),
                    false if is_name(key) || value.is_blank() => 0,
                    false => value.get().len(),
                };
                self.0.push((key.to_owned(), node));
                grown
            }
        }
    }

    /// Sets a member, unless the new value is null. Answers by how many bytes the object may have grown.
    pub(super) fn set(&mut self, key: &str, value: Json<'_>) -> usize {
        match self.get_mut(key) {
            Some(node) => node.replace(value),
            None => self.add(key, value),
        }
    }

    pub(super) fn write(self, out: &mut String) {
        out.push('{');
        self.write_members(out);
        out.push('}');
    }

    /// Writes the members without braces; a comma goes before the first where `out` does not end with a brace.
    pub(super) fn write_members(self, out: &mut String) {
        for (key, node) in self.0 {
            write_key(&key, out);
            node.write(out);
        }
    }
}

impl Node {
    pub(super) fn whole(value: Json<'_>) -> Self {
        Self::Whole(value.get().to_owned())
    }

    /// Adds a piece. Answers by how many bytes the value may have grown.
    fn add(&mut self, key: &str, value: Json<'_>, deep: u8) -> usize {
        if value.is_null() {
            return 0;
        }
        let is_text = value.is_string();
        let is_words = WORDS.contains(&key);
        if is_words && (is_text || !value.get().starts_with(['[', '{'])) {
            return self.join(value);
        }
        if is_name(key) {
            return self.replace(value);
        }
        self.open();
        match (&mut *self, value.get().as_bytes().first()) {
            (Self::List(list), Some(b'[')) if deep > 0 => {
                elements(value.get(), |element| list.add(element, deep - 1));
                value.get().len()
            }
            (Self::Object(object), Some(b'{')) if deep > 0 => {
                let mut grown = 0;
                members(value.get(), |key, member| grown += object.add_within(&key, member, deep - 1));
                grown
            }
            (Self::Text(_), _) if is_words => self.join(value),
            // A name in full again says nothing new; else it goes on.
            (Self::Text(name), Some(b'"')) if key == "name" && name.as_str() == value.text() => 0,
            (Self::Text(_), Some(b'"')) => self.join(value),
            _ => self.replace(value),
        }
    }

    /// Adds what a value says to what was said.
    fn join(&mut self, value: Json<'_>) -> usize {
        if !matches!(self, Self::Text(_)) {
            let mut whole = String::new();
            std::mem::replace(self, Self::Text(Joint::default())).write(&mut whole);
            self.join(Json::checked(&whole));
        }
        let Self::Text(joint) = self else { return 0 };
        let before = joint.as_str().len();
        joint.add(value);
        joint.as_str().len() - before
    }

    /// Sets the value, unless the new one says nothing. Answers by how many bytes it may have grown.
    fn replace(&mut self, value: Json<'_>) -> usize {
        if let Self::Whole(old) = self {
            let says_nothing = value.is_blank() && old != "null";
            if value.is_null() || says_nothing || old == value.get() {
                return 0;
            }
            old.clear();
            old.push_str(value.get());
        } else if !value.is_blank() {
            *self = Self::whole(value);
        }
        value.get().len()
    }

    /// Makes a text, a list or an object that came in one piece one that can grow.
    fn open(&mut self) {
        let Self::Whole(whole) = self else { return };
        let opened = match whole.as_bytes().first() {
            Some(b'"') => {
                let mut joint = Joint::default();
                joint.add(Json::checked(whole));
                Some(Self::Text(joint))
            }
            Some(b'[') => {
                let mut list = List::default();
                elements(whole, |element| list.push(element, list.index_of(element)));
                Some(Self::List(list))
            }
            Some(b'{') => {
                let mut object = Object::default();
                members(whole, |key, value| {
                    object.set(&key, value);
                });
                Some(Self::Object(object))
            }
            _ => None,
        };
        if let Some(opened) = opened {
            *self = opened;
        }
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Whole(whole) => Json::checked(whole).is_blank(),
            Self::Text(joint) => joint.as_str().is_empty(),
            Self::List(list) => list.nodes.is_empty(),
            Self::Object(object) => object.0.is_empty(),
        }
    }

    pub(super) fn write(self, out: &mut String) {
        match self {
            Self::Whole(whole) => out.push_str(&whole),
            Self::Text(joint) => write_string(&joint.into_string(), out),
            Self::List(list) => {
                out.push('[');
                for (place, node) in list.nodes.into_iter().enumerate() {
                    if place > 0 {
                        out.push(',');
                    }
                    node.write(out);
                }
                out.push(']');
            }
            Self::Object(object) => object.write(out),
        }
    }
}

impl List {
    /// Adds an element: to the one with the same `index`, else at the end.
    fn add(&mut self, element: Json<'_>, deep: u8) {
        let index = self.index_of(element);
        match index.and_then(|index| self.places.get(index)) {
            Some(at) => {
                self.nodes[*at].add("", element, deep);
            }
            None => self.push(element, index),
        }
    }

    fn push(&mut self, element: Json<'_>, index: Option<&str>) {
        if let Some(index) = index {
            self.places.entry(index.to_owned()).or_insert(self.nodes.len());
        }
        self.nodes.push(Node::whole(element));
    }

    /// The `index` of an element that is to be added. Elements far behind in a list are not told apart.
    fn index_of<'a>(&self, element: Json<'a>) -> Option<&'a str> {
        if self.nodes.len() <= MOST_MEMBERS { index_of(element.get()) } else { None }
    }
}

fn index_of(json: &str) -> Option<&str> {
    let index = json.starts_with('{').then(|| last(json, "index"))??;
    index.get().bytes().all(|byte| byte.is_ascii_digit()).then_some(index.get())
}

/// That name, if it is one of a member that is words of a model.
pub(super) fn words_name(key: &str) -> Option<&'static str> {
    WORDS.iter().find(|name| **name == key).copied()
}

fn is_name(key: &str) -> bool {
    NAMES.contains(&key) || key.ends_with("_id") || key.ends_with("_type")
}

/// Writes `,"key":`; without the comma behind an opening brace.
pub(super) fn write_key(key: &str, out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
    write_string(key, out);
    out.push(':');
}

pub(super) fn write_string(text: &str, out: &mut String) {
    match serde_json::to_string(text) {
        Ok(json) => out.push_str(&json),
        // Every text has a JSON form.
        Err(_) => {
            let _ = write!(out, "{text:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(pieces: &[&str]) -> String {
        let mut object = Object::default();
        for piece in pieces {
            members(piece, |key, value| {
                object.add(&key, value);
            });
        }
        let mut out = String::new();
        object.write(&mut out);
        out
    }

    #[test]
    fn pieces_are_put_together_as_openais_sdks_do() {
        for (pieces, wanted) in [
            (
                &[r#"{"role":"assistant","content":"a"}"#, r#"{"role":"assistant","content":"b"}"#][..],
                r#"{"role":"assistant","content":"ab"}"#,
            ),
            (&[r#"{"content":null}"#, r#"{"content":null}"#], r#"{"content":null}"#),
            (
                &[r#"{"content":null}"#, r#"{"content":"a"}"#, r#"{"content":null}"#, r#"{"content":""}"#],
                r#"{"content":"a"}"#,
            ),
            (&[r#"{"content":"a"}"#, r#"{"content":5}"#, r#"{"content":true}"#], r#"{"content":"a5true"}"#),
            (&[r#"{"content":5}"#, r#"{"content":6}"#], r#"{"content":"56"}"#),
            (&[r#"{"content":"\ud83d"}"#, r#"{"content":"\ude00"}"#], r#"{"content":"😀"}"#),
            (
                &[r#"{"content":[{"text":"a"}]}"#, r#"{"content":[{"text":"b"}]}"#],
                r#"{"content":[{"text":"a"},{"text":"b"}]}"#,
            ),
            (&[r#"{"content":"a"}"#, r#"{"content":[{"text":"b"}]}"#], r#"{"content":"ab"}"#),
            (
                &[
                    r#"{"audio":{"id":"x","data":"QQ","expires_at":1}}"#,
                    r#"{"audio":{"id":"x","data":"BB","expires_at":2}}"#,
                ],
                r#"{"audio":{"id":"x","data":"QQBB","expires_at":2}}"#,
            ),
            (
                &[
                    r#"{"d":[{"index":0,"type":"t","text":"a"}]}"#,
                    r#"{"d":[{"index":1,"text":"c"},{"index":0,"type":"t","text":"b"}]}"#,
                ],
                r#"{"d":[{"index":0,"type":"t","text":"ab"},{"index":1,"text":"c"}]}"#,
            ),
            (&[r#"{"annotations":[{"u":1}]}"#, r#"{"annotations":[{"u":2}]}"#], r#"{"annotations":[{"u":1},{"u":2}]}"#),
            (&[r#"{"n":1.50}"#, r#"{"n":2.50}"#], r#"{"n":2.50}"#),
            (&[r#"{"n":1}"#, r#"{"n":"x"}"#, r#"{"n":[]}"#], r#"{"n":"x"}"#),
            (
                &[
                    r#"{"function_call":{"name":"add","arguments":""}}"#,
                    r#"{"function_call":{"name":"add","arguments":"{}"}}"#,
                ],
                r#"{"function_call":{"name":"add","arguments":"{}"}}"#,
            ),
            (
                &[r#"{"function_call":{"name":"ad"}}"#, r#"{"function_call":{"name":"d"}}"#],
                r#"{"function_call":{"name":"add"}}"#,
            ),
        ] {
            assert_eq!(joined(pieces), wanted, "{pieces:?}");
        }
    }

    #[test]
    #[allow(clippy::disallowed_types, reason = "a test measures")]
    fn very_many_members_take_no_time() {
        let wide = |from: u32| (from..from + 50_000).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",");
        let list = (0..50_000).map(|n| format!("{{\"index\":{n}}}")).collect::<Vec<_>>().join(",");
        let piece = format!("{{\"list\":[{list}],{}}}", wide(0));
        let began = std::time::Instant::now();
        let out = joined(&[&piece, &piece, &format!("{{{}}}", wide(50_000))]);
        assert!(out.contains("\"k0\":0") && !out.contains("\"k50000\""));
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[test]
    fn an_element_stays_the_one_of_its_number_however_it_grows() {
        let list = joined(&[
            r#"{"d":[{"index":0,"text":"a"},{"index":1},{"index":0,"text":"again"},7]}"#,
            r#"{"d":[{"index":1,"index":0,"text":"b"},{"index":"0"},{"index":1,"text":"c"}]}"#,
            r#"{"d":[{"index":0,"text":null},{"index":0,"text":"d"}]}"#,
        ]);
        let wanted =
            r#"{"d":[{"index":0,"text":"abd"},{"index":1,"text":"c"},{"index":0,"text":"again"},7,{"index":"0"}]}"#;
        assert_eq!(list, wanted);
    }

    #[test]
    fn what_lies_deep_is_replaced_and_not_walked() {
        let deep = |text: &str| format!("{{\"x\":{}\"{text}\"{}}}", "{\"y\":".repeat(300), "}".repeat(300));
        assert_eq!(joined(&[&deep("a"), &deep("b")]), deep("b"));
    }
}
