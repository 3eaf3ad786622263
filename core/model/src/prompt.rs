//! Reads a prompt in the forms that OpenAI's completions take: one text, or a list.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// One prompt, or a list that only an upstream can take.
pub(super) enum Prompt {
    Text(String),
    List(Box<RawValue>),
}

impl<'de> Deserialize<'de> for Prompt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;
        impl<'de> Visitor<'de> for TextOrList {
            type Value = Prompt;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Prompt, E> {
                Ok(Prompt::Text(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Prompt, E> {
                Ok(Prompt::Text(text))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Prompt, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element::<Box<RawValue>>()? {
                    let Ok(item) = serde_json::from_str::<PromptItem>(item.get()) else {
                        return Err(de::Error::custom("the prompt must be a text, or a list of texts or of tokens"));
                    };
                    list.push(item);
                }
                serde_json::value::to_raw_value(&list).map(Prompt::List).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(TextOrList)
    }
}

/// An element of a prompt that is a list. The type allows no deeper nesting, so reading a prompt needs no deeper
/// recursion.
#[derive(Serialize)]
#[serde(untagged)]
enum PromptItem {
    Text(String),
    Token(u64),
    Tokens(Vec<u64>),
}

impl<'de> Deserialize<'de> for PromptItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Item;
        impl<'de> Visitor<'de> for Item {
            type Value = PromptItem;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts or of tokens, or a text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<PromptItem, E> {
                Ok(PromptItem::Text(text.to_owned()))
            }

            fn visit_u64<E: de::Error>(self, token: u64) -> Result<PromptItem, E> {
                Ok(PromptItem::Token(token))
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<PromptItem, A::Error> {
                let mut tokens = Vec::new();
                while let Some(token) = seq.next_element()? {
                    tokens.push(token);
                }
                Ok(PromptItem::Tokens(tokens))
            }
        }
        deserializer.deserialize_any(Item)
    }
}
