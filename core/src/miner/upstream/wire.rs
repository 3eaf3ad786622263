//! What an OpenAI-compatible server says, in borrowed form: only what the router acts on is read, all
//! else stays in the bytes that are passed on.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::model::{FinishReason, Usage};

/// A unary answer, or one event of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reply<'a> {
    #[serde(borrow)]
    pub(super) choices: Choices<'a>,
    #[serde(borrow)]
    pub(super) usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) created: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) data: Option<&'a RawValue>,
}

impl Reply<'_> {
    /// The model's name.
    pub(super) fn model(&self) -> Option<String> {
        serde_json::from_str(self.model?.get()).ok()
    }

    /// The token counts; members that are missing or null count 0.
    pub(super) fn usage(&self) -> Option<Usage> {
        #[derive(Deserialize)]
        struct Counts {
            #[serde(rename = "prompt_tokens")]
            prompt: Option<u64>,
            #[serde(rename = "completion_tokens")]
            completion: Option<u64>,
            #[serde(rename = "total_tokens")]
            total: Option<u64>,
        }
        let counts: Counts = serde_json::from_str(self.usage?.get()).ok()?;
        let (prompt, completion) = (counts.prompt.unwrap_or(0), counts.completion.unwrap_or(0));
        Some(Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: counts.total.unwrap_or(prompt.saturating_add(completion)),
        })
    }
}

/// The choices: how many there are, and the one of index 0. Others pass in the raw bytes only.
#[derive(Debug, Default)]
pub(super) struct Choices<'a> {
    pub(super) count: usize,
    pub(super) first: Option<Choice<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Choices<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Choices::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut choices = Choices::default();
                while let Some(choice) = seq.next_element::<Choice<'de>>()? {
                    choices.count += 1;
                    if choice.index.unwrap_or(0) == 0 && choices.first.is_none() {
                        choices.first = Some(choice);
                    }
                }
                Ok(choices)
            }
        }
        deserializer.deserialize_any(List)
    }
}

/// One choice: a chat's message or its delta, or a completion's text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    index: Option<u64>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    delta: Option<Message<'a>>,
    text: Text,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
}

impl<'a> Choice<'a> {
    /// Why it ends, where it does.
    pub(super) fn finish_reason(&self) -> Option<FinishReason> {
        serde_json::from_str(self.finish_reason?.get()).ok()
    }

    /// The text, and the message that it is of.
    pub(super) fn into_text(self) -> (String, Option<Message<'a>>) {
        match self.message.or(self.delta) {
            Some(mut message) => (std::mem::take(&mut message.content.0), Some(message)),
            None => (self.text.0, None),
        }
    }
}

/// A message or a piece of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    content: Text,
    #[serde(borrow)]
    pub(super) tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
}

impl Message<'_> {
    /// What the model thinks before it speaks. Some servers send it under both names.
    pub(super) fn reasoning(&self) -> Option<String> {
        serde_json::from_str(self.reasoning_content.or(self.reasoning)?.get()).ok()
    }
}

/// A text that may be null, or a list of parts.
#[derive(Debug, Default)]
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyText;
        impl<'de> Visitor<'de> for AnyText {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Text, A::Error> {
                let mut out = Text::default();
                while let Some(Text(part)) = seq.next_element()? {
                    out.0.push_str(&part);
                }
                Ok(out)
            }

            /// A part: `{"type":"text","text":"..."}`. Parts without a text are empty.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                let mut out = Text::default();
                while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    if key == "text" {
                        out = map.next_value()?;
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(out)
            }
        }
        deserializer.deserialize_any(AnyText)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        let reply: Reply<'_> = serde_json::from_str(json).unwrap();
        reply.choices.first.unwrap().into_text().0
    }

    #[test]
    fn text_is_found_wherever_servers_put_it() {
        assert_eq!(text(r#"{"choices":[{"text":"a\n"}]}"#), "a\n");
        assert_eq!(text(r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"b"}}]}"#), "b");
        assert_eq!(text(r#"{"choices":[{"index":0,"delta":{"content":null,"tool_calls":[]}}]}"#), "");
        assert_eq!(text(r#"{"choices":[{"delta":{"content":[{"type":"text","text":"c"},{"type":"image"}]}}]}"#), "c");
        assert_eq!(
            text(r#"{"choices":[{"index":1,"delta":{"content":"n"}},{"index":0,"delta":{"content":"y"}}]}"#),
            "y"
        );
    }

    #[test]
    fn nulls_are_as_good_as_nothing() {
        let reply: Reply<'_> = serde_json::from_str(
            r#"{"choices":null,"usage":{"prompt_tokens":3,"completion_tokens":null},"model":null,"error":null}"#,
        )
        .unwrap();
        assert_eq!(reply.choices.count, 0);
        assert!(reply.error.is_none() && reply.model().is_none());
        assert_eq!(reply.usage(), Some(Usage::new(3, 0)));
    }
}
