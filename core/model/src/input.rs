//! Checks the input of a model: messages, prompts and the inputs of embeddings. Requests of every interface pass this
//! one check.

use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::request::Gather;
use super::told::told;
use super::whole::Whole;
use super::{Error, RequestKind, Result, TaskRequest};

/// The forms in which OpenAI's API takes the prompt of a completion and the input of an embedding.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum TextOrTokens {
    /// One text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
    /// One text as token numbers.
    Tokens(Vec<u32>),
    /// Several texts as token numbers.
    Many(Vec<Vec<u32>>),
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for TextOrTokens {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::schema::{AnyOfBuilder, ArrayBuilder, ObjectBuilder, Type};
        use utoipa::openapi::{RefOr, Schema};
        let list = |items: RefOr<Schema>, description: &str| {
            ArrayBuilder::new().items(items).min_items(Some(1)).description(Some(description))
        };
        AnyOfBuilder::new()
            .description(Some("One text, several texts, token numbers, or several lists of token numbers."))
            .item(ObjectBuilder::new().schema_type(Type::String).description(Some("One text.")))
            .item(list(String::schema(), "Texts."))
            .item(list(u32::schema(), "One text as token numbers."))
            .item(list(list(u32::schema(), "Token numbers.").into(), "Texts as token numbers."))
            .into()
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for TextOrTokens {
    fn name() -> std::borrow::Cow<'static, str> {
        "TextOrTokens".into()
    }
}

impl TaskRequest {
    /// Checks that the request has the input that its kind needs, and brings the request into one form: a list of one
    /// prompt becomes that prompt, and an embedding is never streamed.
    ///
    /// # Errors
    /// `InvalidArgument` names the field.
    #[doc(hidden)]
    pub fn with_checked_input(self) -> Result<Self> {
        self.with_checked_text().map(|(request, _)| request)
    }

    /// As [`with_checked_input`](Self::with_checked_input). Also gives the [`prompt_text`](Self::prompt_text), which the
    /// check of a chat finds on its way.
    ///
    /// # Errors
    /// `InvalidArgument` names the field.
    #[doc(hidden)]
    pub fn with_checked_text(mut self) -> Result<(Self, String)> {
        let mut text = None;
        match self.kind {
            RequestKind::Chat => text = check_messages(self.messages.as_deref())?,
            RequestKind::Completion => {
                if let Some(list) = self.extra("prompt") {
                    if let Some(one) = one_prompt(list)? {
                        self.prompt = Some(one);
                        self.extra.retain(|(key, _)| key != "prompt");
                    }
                } else if self.prompt.is_none() {
                    return Err(Error::invalid("prompt", "prompt is missing: give a string, or a list of strings"));
                }
            }
            RequestKind::Embedding => {
                check_input(self.input.as_deref())?;
                self.stream = false;
            }
            RequestKind::Rerank
            | RequestKind::Transcription
            | RequestKind::Speech
            | RequestKind::Image
            | RequestKind::Moderation
            | RequestKind::Compaction => self.check_passed()?,
        }
        self.choices()?;
        // The prompt comes before the messages, if a request has both.
        let text = text.filter(|_| self.prompt.is_none()).unwrap_or_else(|| self.prompt_text());
        Ok((self, text))
    }

    /// The number of choices that the caller wants for each prompt (`n`).
    ///
    /// # Errors
    /// `InvalidArgument` when `n` is no number from 1 to 128.
    #[doc(hidden)]
    pub fn choices(&self) -> Result<u32> {
        let Some(n) = self.extra("n").filter(|value| value.get() != "null") else {
            return Ok(1);
        };
        serde_json::from_str::<Whole<u32>>(n.get())
            .ok()
            .map(|n| n.0)
            .filter(|n| (1..=128).contains(n))
            .ok_or_else(|| Error::invalid("n", "n must be a whole number from 1 to 128"))
    }

    /// The error for a request that only an upstream can serve, for the case that there is no upstream; `None`: every
    /// kind of miner can serve the request. Only upstreams give several choices and take prompts that are not one
    /// text; other miners get one prompt and give one answer.
    #[doc(hidden)]
    pub fn wants_upstream(&self) -> Option<Error> {
        if self.kind.passes() {
            // The engine offers such a request to no other miner.
            return None;
        }
        if self.extra("prompt").is_some() {
            return Some(Error::invalid(
                "prompt",
                "the miners that serve this model take one prompt of text at a time: send one string a request",
            ));
        }
        (self.choices().unwrap_or(1) > 1)
            .then(|| Error::invalid("n", "the miners that serve this model give one choice a request: set n to 1"))
    }
}

/// The text of a list of one prompt; `None` for several prompts and for tokens.
fn one_prompt(list: &RawValue) -> Result<Option<String>> {
    Ok(match texts("prompt", list)? {
        TextOrTokens::Texts(mut texts) if texts.len() == 1 => texts.pop(),
        _ => None,
    })
}

/// Reads a prompt, or the input of an embedding.
fn texts(param: &str, value: &RawValue) -> Result<TextOrTokens> {
    let texts = serde_json::from_str(value.get()).map_err(|_| {
        Error::invalid(
            param,
            format!(
                "{param} must be a string, a list of strings, a list of token numbers, or a list of lists of token numbers"
            ),
        )
    })?;
    let empty = match &texts {
        TextOrTokens::Text(_) => false,
        TextOrTokens::Texts(list) => list.is_empty(),
        TextOrTokens::Tokens(list) => list.is_empty(),
        TextOrTokens::Many(lists) => lists.is_empty() || lists.iter().any(Vec::is_empty),
    };
    if empty {
        Err(Error::invalid(param, format!("{param} has an empty list: give at least one text")))
    } else {
        Ok(texts)
    }
}

fn check_input(input: Option<&RawValue>) -> Result<()> {
    let Some(input) = input else {
        return Err(Error::invalid("input", "input is missing: give a string or a list of strings"));
    };
    texts("input", input).map(drop)
}

/// Checks a list of messages. Gives its text; `None`: some value in it has no text that could be read, such as a
/// number out of range, although the list is JSON and right in itself.
fn check_messages(messages: Option<&RawValue>) -> Result<Option<String>> {
    let Some(messages) = messages else {
        return Err(Error::invalid("messages", "messages is missing: give a list of {\"role\":...,\"content\":...}"));
    };
    let count = |list: Messages<'_>| list.deserialize(&mut serde_json::Deserializer::from_str(messages.get()));
    let mut text = String::new();
    let (count, text) = match count(Messages(Some(&mut text))) {
        Ok(count) => (Ok(count), Some(text)),
        Err(_) => (count(Messages(None)), None),
    };
    match count {
        Ok(0) => Err(Error::invalid("messages", "messages is an empty list: give at least one message")),
        Ok(_) => Ok(text),
        Err(error) => {
            Err(Error::invalid("messages", format!("messages must be a list of objects with a role: {}", told(&error))))
        }
    }
}

/// Counts the messages in a list. The reader checks that each message is an object with a role that is a string. It
/// keeps the text of the messages, as [`Gather`] does, where there is a place for it, and nothing else.
struct Messages<'a>(Option<&'a mut String>);

impl<'de> DeserializeSeed<'de> for Messages<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Messages<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while seq.next_element_seed(Message(self.0.as_deref_mut()))?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// One message, with the place for its text.
struct Message<'a>(Option<&'a mut String>);

/// The members of a message that are looked at.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Member {
    Role,
    Content,
    Text,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a role")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut role = false;
        while let Some(member) = map.next_key()? {
            match (member, &mut self.0) {
                (Member::Role, _) => {
                    map.next_value::<Role>()?;
                    role = true;
                }
                (Member::Content | Member::Text, Some(text)) => map.next_value_seed(Gather(text))?,
                (Member::Content | Member::Text | Member::Other, _) => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if role { Ok(()) } else { Err(serde::de::Error::missing_field("role")) }
    }
}

/// A string that the reader checks and does not keep.
struct Role;

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Self)
    }
}

impl Visitor<'_> for Role {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a role, which is a string")
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: RequestKind, body: &str) -> Result<TaskRequest> {
        TaskRequest { kind, ..crate::json::from_json("body", body.as_bytes())? }.with_checked_input()
    }

    fn param(kind: RequestKind, body: &str) -> String {
        read(kind, body).unwrap_err().details().param.clone().unwrap()
    }

    #[test]
    fn a_chat_wants_messages_with_roles() {
        let body =
            r#"{"messages":[{"content":[{"type":"image_url"}],"role":"user"},{"role":"assistant","tool_calls":[]}]}"#;
        let request = read(RequestKind::Chat, body).unwrap();
        assert_eq!(request.kind, RequestKind::Chat);
        assert!(request.messages.unwrap().get().contains("image_url"));
        for bad in [
            "{}",
            r#"{"messages":null}"#,
            r#"{"messages":[]}"#,
            r#"{"messages":"hi"}"#,
            r#"{"messages":["hi"]}"#,
            r#"{"messages":[{"content":"hi"}]}"#,
            r#"{"messages":[{"role":1}]}"#,
            r#"{"messages":{"role":"user"}}"#,
        ] {
            assert_eq!(param(RequestKind::Chat, bad), "messages", "{bad}");
        }
    }

    #[test]
    fn an_embedding_wants_input() {
        for good in [r#""a""#, r#"["a","b"]"#, "[1,2]", "[[1],[2,3]]"] {
            read(RequestKind::Embedding, &format!(r#"{{"input":{good}}}"#)).unwrap();
        }
        for bad in ["null", "[]", "1", "[[]]", "[1,\"a\"]", "{}", "[-1]"] {
            assert_eq!(param(RequestKind::Embedding, &format!(r#"{{"input":{bad}}}"#)), "input", "{bad}");
        }
    }

    #[test]
    fn a_prompt_may_be_a_list() {
        let body = |prompt: &str| format!(r#"{{"model":"m","prompt":{prompt},"x":[1.50]}}"#);
        let one = read(RequestKind::Completion, &body(r#"["a\"b"]"#)).unwrap();
        assert_eq!((one.prompt.as_deref(), one.extra("prompt").is_none()), (Some("a\"b"), true));
        assert_eq!((one.model.as_deref(), one.extra("x").unwrap().get()), (Some("m"), "[1.50]"));
        for many in [r#"["a","b"]"#, "[1,2]", "[[1],[2]]"] {
            let request = read(RequestKind::Completion, &body(many)).unwrap();
            assert_eq!((request.prompt.as_deref(), request.extra("prompt").unwrap().get()), (None, many));
            assert!(request.wants_upstream().is_some());
        }
        for bad in ["[]", "[[]]", "[null]", "[1.5]", r#"["a",1]"#] {
            assert_eq!(param(RequestKind::Completion, &body(bad)), "prompt", "{bad}");
        }
        assert!(read(RequestKind::Completion, &body("\"a\"")).unwrap().wants_upstream().is_none());
        assert_eq!(param(RequestKind::Completion, "{}"), "prompt");
    }

    #[test]
    fn choices_are_1_to_128() {
        let chat = |n: &str| format!(r#"{{"messages":[{{"role":"user"}}],"n":{n}}}"#);
        assert_eq!(read(RequestKind::Chat, &chat("3")).unwrap().choices().unwrap(), 3);
        for bad in ["0", "129", "1.5", "\"2\"", "-1"] {
            assert_eq!(param(RequestKind::Chat, &chat(bad)), "n", "{bad}");
        }
    }

    #[test]
    fn the_check_gives_the_text_of_the_prompt() {
        let chats = [
            r#"[{"role":"user","content":"a"}]"#,
            r#"[{"content":[{"type":"text","text":"a\nb"},{"image_url":{"url":"x"}}],"role":"user"},{"role":"x","text":"c"}]"#,
            r#"[{"role":"user","content":null,"tool_calls":[{"content":"no"}]},{"content":"t\u00e9xt","role":"b","content":7}]"#,
            // The text ends before a value that cannot be read.
            r#"[{"role":"user","content":"a"},{"role":"user","content":["b",1e999,"c"]},{"role":"user","content":"d"}]"#,
            r#"[{"role":"user","content":"a\ud800"},{"role":"user","content":"b"}]"#,
        ];
        for chat in chats {
            for other in ["", r#","prompt":"p","prompt_template":"<{prompt}>""#] {
                let body = format!(r#"{{"messages":{chat}{other}}}"#);
                let request: TaskRequest = crate::json::from_json("body", body.as_bytes()).unwrap();
                let (checked, text) = request.kind(RequestKind::Chat).with_checked_text().unwrap();
                assert_eq!(text, checked.prompt_text(), "{body}");
            }
        }
        for (kind, body) in [
            (RequestKind::Completion, r#"{"prompt":["one"],"prompt_template":"<{prompt}>"}"#),
            (RequestKind::Completion, r#"{"prompt":["a","b"]}"#),
            (RequestKind::Embedding, r#"{"input":["a","b"]}"#),
        ] {
            let request: TaskRequest = crate::json::from_json("body", body.as_bytes()).unwrap();
            let (checked, text) = request.kind(kind).with_checked_text().unwrap();
            assert_eq!(text, checked.prompt_text(), "{body}");
        }
    }
}
