//! Bodies of the OpenAI routes: read once, checked where the router acts on a field, kept as they came elsewhere.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::schema::TextOrTokens;
use crate::model::{RequestKind, TaskRequest, Whole};
use crate::{Error, Result};

/// Checks a body that was read as a request of that kind, and brings it in the form that the router works with.
///
/// # Errors
/// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) that names the field.
pub(super) fn checked(kind: RequestKind, mut request: TaskRequest) -> Result<TaskRequest> {
    request.kind = kind;
    match kind {
        RequestKind::Chat => check_messages(request.messages.as_deref())?,
        RequestKind::Completion => {
            if let Some(list) = request.extra("prompt") {
                if let Some(one) = one_prompt(list)? {
                    request.prompt = Some(one);
                    request.extra.retain(|(key, _)| key != "prompt");
                }
            } else if request.prompt.is_none() {
                return Err(Error::invalid("prompt", "prompt is missing: give a string, or a list of strings"));
            }
            // OpenAI's completions go to the model as they are: no chat template.
            request.prompt_type = 1;
        }
        RequestKind::Embedding => {
            check_input(request.input.as_deref())?;
            request.stream = false;
        }
    }
    choices_wanted(&request)?;
    include_usage(&request)?;
    Ok(request)
}

/// The text of a list of one prompt; `None` for several prompts and for tokens.
fn one_prompt(list: &RawValue) -> Result<Option<String>> {
    Ok(match texts("prompt", list)? {
        TextOrTokens::Texts(mut texts) if texts.len() == 1 => texts.pop(),
        _ => None,
    })
}

/// Reads what OpenAI takes as a prompt or as the input of an embedding.
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

fn check_messages(messages: Option<&RawValue>) -> Result<()> {
    let Some(messages) = messages else {
        return Err(Error::invalid("messages", "messages is missing: give a list of {\"role\":...,\"content\":...}"));
    };
    match serde_json::from_str::<Messages>(messages.get()) {
        Ok(Messages(0)) => Err(Error::invalid("messages", "messages is an empty list: give at least one message")),
        Ok(_) => Ok(()),
        Err(error) => Err(Error::invalid(
            "messages",
            format!(
                "messages must be a list of objects with a role: {}",
                error.to_string().split(" at line").next().unwrap_or_default()
            ),
        )),
    }
}

fn check_input(input: Option<&RawValue>) -> Result<()> {
    let Some(input) = input else {
        return Err(Error::invalid("input", "input is missing: give a string or a list of strings"));
    };
    texts("input", input).map(drop)
}

/// How many choices the caller wants of each prompt (`n`).
///
/// # Errors
/// When `n` is no number from 1 to 128.
pub(super) fn choices_wanted(request: &TaskRequest) -> Result<u32> {
    let Some(n) = request.extra("n").filter(|value| value.get() != "null") else {
        return Ok(1);
    };
    serde_json::from_str::<Whole<u32>>(n.get())
        .ok()
        .map(|n| n.0)
        .filter(|n| (1..=128).contains(n))
        .ok_or_else(|| Error::invalid("n", "n must be a whole number from 1 to 128"))
}

/// What of this request only an upstream can do, as an error for the case that there is none: several choices, or
/// prompts that are not one text. Other miners are given one prompt and give one answer.
pub(super) fn wants_upstream(request: &TaskRequest) -> Option<Error> {
    if request.extra("prompt").is_some() {
        return Some(Error::invalid(
            "prompt",
            "the miners that serve this model take one prompt of text at a time: send one string a request",
        ));
    }
    (choices_wanted(request).unwrap_or(1) > 1)
        .then(|| Error::invalid("n", "the miners that serve this model give one choice a request: set n to 1"))
}

/// Whether a stream ends with a chunk that has the usage.
///
/// # Errors
/// When `stream_options` is no object, or its `include_usage` no boolean.
pub(super) fn include_usage(request: &TaskRequest) -> Result<bool> {
    #[derive(Deserialize)]
    struct StreamOptions {
        #[serde(default)]
        include_usage: Option<bool>,
    }
    let Some(options) = request.extra("stream_options").filter(|value| value.get() != "null") else {
        return Ok(false);
    };
    let wrong = || Error::invalid("stream_options", "stream_options must be an object like {\"include_usage\":true}");
    if !options.get().starts_with('{') {
        return Err(wrong());
    }
    Ok(serde_json::from_str::<StreamOptions>(options.get()).map_err(|_| wrong())?.include_usage.unwrap_or(false))
}

/// The session that a model's name stands for: `session-<id>`.
pub(super) fn session_in_model(model: &str) -> Option<&str> {
    model.strip_prefix("session-").filter(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A list of messages, counted: each an object with a role that is a string. Nothing of them is kept.
struct Messages(usize);

impl<'de> Deserialize<'de> for Messages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Messages;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of messages")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Messages, A::Error> {
                let mut count = 0;
                while seq.next_element::<Message>()?.is_some() {
                    count += 1;
                }
                Ok(Messages(count))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

struct Message;

impl<'de> Deserialize<'de> for Message {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Member {
            Role,
            #[serde(other)]
            Other,
        }

        /// Any string, not kept.
        struct Text;
        impl<'de> Deserialize<'de> for Text {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Self)
            }
        }
        impl Visitor<'_> for Text {
            type Value = Self;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a role, which is a string")
            }

            fn visit_str<E>(self, _: &str) -> Result<Self, E> {
                Ok(self)
            }
        }

        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Message;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a role")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Message, A::Error> {
                let mut role = false;
                while let Some(member) = map.next_key()? {
                    match member {
                        Member::Role => {
                            map.next_value::<Text>()?;
                            role = true;
                        }
                        Member::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                role.then_some(Message).ok_or_else(|| serde::de::Error::missing_field("role"))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: RequestKind, body: &str) -> Result<TaskRequest> {
        checked(kind, crate::model::from_json("body", body.as_bytes())?)
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
    fn a_completions_prompt_is_raw_and_may_be_a_list() {
        let request = read(RequestKind::Completion, r#"{"prompt":"a","prompt_type":0}"#).unwrap();
        assert_eq!(request.prompt_type, 1);
        let body = |prompt: &str| format!(r#"{{"model":"m","prompt":{prompt},"x":[1.50]}}"#);
        let one = read(RequestKind::Completion, &body(r#"["a\"b"]"#)).unwrap();
        assert_eq!((one.prompt.as_deref(), one.extra("prompt").is_none()), (Some("a\"b"), true));
        assert_eq!((one.model.as_deref(), one.extra("x").unwrap().get()), (Some("m"), "[1.50]"));
        for many in [r#"["a","b"]"#, "[1,2]", "[[1],[2]]"] {
            let request = read(RequestKind::Completion, &body(many)).unwrap();
            assert_eq!((request.prompt.as_deref(), request.extra("prompt").unwrap().get()), (None, many));
            assert!(wants_upstream(&request).is_some());
        }
        for bad in ["[]", "[[]]", "[null]", "[1.5]", r#"["a",1]"#] {
            assert_eq!(param(RequestKind::Completion, &body(bad)), "prompt", "{bad}");
        }
        assert!(wants_upstream(&read(RequestKind::Completion, &body("\"a\"")).unwrap()).is_none());
        assert_eq!(param(RequestKind::Completion, "{}"), "prompt");
    }

    #[test]
    fn options_that_the_router_reads_are_checked() {
        let chat = |rest: &str| format!(r#"{{"messages":[{{"role":"user"}}],{rest}}}"#);
        let usage = |rest: &str| include_usage(&read(RequestKind::Chat, &chat(rest)).unwrap()).unwrap();
        assert!(usage(r#""stream_options":{"include_usage":true}"#));
        assert!(!usage(r#""stream_options":{"include_usage":null,"x":1}"#));
        assert!(!usage(r#""stream_options":null"#));
        for bad in ["[true]", "true", r#"{"include_usage":"yes"}"#] {
            assert_eq!(
                param(RequestKind::Chat, &chat(&format!(r#""stream_options":{bad}"#))),
                "stream_options",
                "{bad}"
            );
        }
        assert_eq!(choices_wanted(&read(RequestKind::Chat, &chat(r#""n":3"#)).unwrap()).unwrap(), 3);
        for bad in ["0", "129", "1.5", "\"2\"", "-1"] {
            assert_eq!(param(RequestKind::Chat, &chat(&format!(r#""n":{bad}"#))), "n", "{bad}");
        }
    }

    #[test]
    fn a_model_may_name_a_session() {
        assert_eq!(session_in_model("session-12"), Some("12"));
        for other in ["session-", "session-a", "session", "12", "session--1"] {
            assert_eq!(session_in_model(other), None, "{other}");
        }
    }
}
