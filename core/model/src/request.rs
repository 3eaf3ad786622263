//! The request of a caller: one record for completions, chats and embeddings.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::word::words;
use super::work::READING;
use super::{OnFailure, ValidationSpec, Webhook};

words! {
    /// The kind of answer that a request wants.
    #[derive(Default)]
    RequestKind in "kind" {
        /// Text that continues a prompt.
        #[default]
        Completion = "completion",
        /// The next message of a conversation.
        Chat = "chat",
        /// Vectors.
        Embedding = "embedding",
        /// Documents in the order of their relevance to a query.
        Rerank = "rerank",
        /// The text of speech.
        Transcription = "transcription",
        /// Speech of a text.
        Speech = "speech",
        /// Images.
        Image = "image",
        /// Whether texts and images may be shown.
        Moderation = "moderation",
        /// A shorter input that stands for a long one.
        Compaction = "compaction",
    }
}

impl RequestKind {
    /// Whether a request passes to a model's server as it came, and the answer is the server's bytes. Only upstreams
    /// serve such requests.
    #[doc(hidden)]
    pub fn passes(self) -> bool {
        match self {
            Self::Completion | Self::Chat | Self::Embedding => false,
            Self::Rerank | Self::Transcription | Self::Speech | Self::Image | Self::Moderation | Self::Compaction => {
                true
            }
        }
    }

    /// The API of the only servers that can serve such requests.
    #[doc(hidden)]
    pub fn only_api(self) -> Option<&'static str> {
        (self == Self::Compaction).then_some("responses")
    }
}

/// Fields that the router does not need. They pass through to the miner untouched, in their order.
pub type Extra = Vec<(String, Box<RawValue>)>;

/// A request. Fields that are `None` were not given; unknown fields are kept in `extra`.
///
/// ```
/// # mod cortensor_router { pub use cortensor_router_model as model; }
/// use cortensor_router::model::TaskRequest;
/// let request = TaskRequest::completion("Hi").model("small").max_tokens(20).stream(true);
/// assert_eq!(request.token_limit(), Some(20));
///
/// let request: TaskRequest = serde_json::from_str(r#"{"prompt":"Hi","top_p":0.9}"#).unwrap();
/// assert_eq!(request.prompt.as_deref(), Some("Hi"));
/// assert_eq!(request.extra[0].0, "top_p");
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct TaskRequest {
    /// The kind of the answer; not part of the body, the route says it.
    pub kind: RequestKind,
    /// The prompt of a completion. A list of prompts, as OpenAI's completions take it, stands in `extra` as it came.
    pub prompt: Option<String>,
    /// The messages of a chat, as they came.
    pub messages: Option<Box<RawValue>>,
    /// The input of an embedding, as it came.
    pub input: Option<Box<RawValue>>,
    /// 0: the model's chat template is applied; 1: the prompt goes to the model as it is.
    pub prompt_type: u8,
    /// A text with `{prompt}` in it, put around the prompt before it goes to the model.
    pub prompt_template: Option<String>,
    /// The model that is wanted; any model where it is `None`.
    pub model: Option<String>,
    /// Whether tokens are wanted as they come.
    pub stream: bool,
    /// Seconds until the task is given up.
    pub timeout: Option<f64>,
    /// Seconds within which several answers must be in: then those that are in are compared, if one is.
    pub precommit_timeout: Option<f64>,
    /// The most tokens to generate. See [`token_limit`](Self::token_limit).
    pub max_tokens: Option<u64>,
    /// The limit of `max_tokens` under OpenAI's newer name. A miner gets each limit under the name that the caller
    /// used.
    pub max_completion_tokens: Option<u64>,
    /// The caller's own reference.
    pub client_reference: Option<String>,
    /// The most miners that answer, each on its own: as many as there are, up to `limits.max_answers`.
    pub max_miners: Option<u32>,
    /// A higher band is served first; the session's where `None`.
    pub priority: Option<u8>,
    /// How several answers are compared, where not as the session says.
    pub validation: Option<Box<ValidationSpec>>,
    /// The rule for a miner that is lost after a client has seen tokens; `None`: the setting `dispatch.on_failure`.
    pub on_failure: Option<OnFailure>,
    /// Whether special tokens and leading blanks stay in the text.
    pub raw: bool,
    /// The request of the Responses API that the chat stands for, as far as its answer repeats it.
    #[doc(hidden)]
    pub responses: Option<Box<RawValue>>,
    /// The body of another API that the chat stands for, under that API's name (`messages` or `responses`), for
    /// upstreams that speak it. [`original_of`](Self::original_of) reads it.
    #[doc(hidden)]
    pub original: Option<Box<RawValue>>,
    /// The address that the task's end is sent to.
    pub webhook: Option<Box<Webhook>>,
    /// Everything else that the caller gave: sampling parameters, tools, formats ...
    pub extra: Extra,
}

crate::setters! { TaskRequest {
    kind: RequestKind => kind,
    prompt: impl Into<String> => Some(prompt.into()),
    messages: Box<RawValue> => Some(messages),
    input: Box<RawValue> => Some(input),
    prompt_type: u8 => prompt_type,
    prompt_template: impl Into<String> => Some(prompt_template.into()),
    model: impl Into<String> => Some(model.into()),
    stream: bool => stream,
    timeout: f64 => Some(timeout),
    precommit_timeout: f64 => Some(precommit_timeout),
    max_tokens: u64 => Some(max_tokens),
    max_completion_tokens: u64 => Some(max_completion_tokens),
    client_reference: impl Into<String> => Some(client_reference.into()),
    max_miners: u32 => Some(max_miners),
    priority: u8 => Some(priority),
    validation: Box<ValidationSpec> => Some(validation),
    on_failure: OnFailure => Some(on_failure),
    raw: bool => raw,
    webhook: Webhook => Some(Box::new(webhook)),
} }

impl TaskRequest {
    /// A completion of that prompt with every default.
    pub fn completion(prompt: impl Into<String>) -> Self {
        Self { prompt: Some(prompt.into()), ..Self::default() }
    }

    /// A chat of those messages, JSON as in OpenAI's API.
    ///
    /// # Errors
    /// When `messages` is not JSON.
    pub fn chat(messages: &str) -> crate::Result<Self> {
        let messages = RawValue::from_string(messages.to_owned())
            .map_err(|e| crate::Error::invalid("messages", format!("messages is not JSON: {e}")))?;
        Ok(Self { kind: RequestKind::Chat, messages: Some(messages), ..Self::default() })
    }

    /// The most tokens to generate: `max_completion_tokens` if it was given, else `max_tokens`.
    pub fn token_limit(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    /// Sets the most tokens to generate, under the name that the caller used.
    #[doc(hidden)]
    pub fn limit_tokens(&mut self, tokens: u64) {
        if self.max_completion_tokens.is_some() {
            self.max_completion_tokens = Some(tokens);
        }
        if self.max_tokens.is_some() || self.max_completion_tokens.is_none() {
            self.max_tokens = Some(tokens);
        }
    }

    /// The request without the fields that say how long its caller waits and how it reads the answer. Two requests ask
    /// for equal work if the results of this function are equal.
    #[doc(hidden)]
    #[must_use]
    pub fn work(&self) -> Self {
        let mut work = self.clone();
        (work.timeout, work.precommit_timeout) = (None, None);
        if self.kind.passes() {
            // The answer is the server's bytes, which are others where it streams them.
            return work;
        }
        work.stream = false;
        // Most chats say it already, apart from members that say how the caller reads the answer.
        work.original = work.original.filter(|_| self.only_api().is_some());
        work.extra.retain(|(key, _)| !READING.contains(&key.as_str()));
        work
    }

    /// The extra field of that name, as JSON.
    pub fn extra(&self, name: &str) -> Option<&RawValue> {
        self.extra.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Takes out the extra field of that name, so that it does not go on to a miner.
    #[doc(hidden)]
    pub fn take(&mut self, name: &str) -> Option<Box<RawValue>> {
        let index = self.extra.iter().position(|(key, _)| key == name)?;
        Some(self.extra.remove(index).1)
    }

    /// Takes out the extra field of that name, which is true or false; `false` where it is missing or null.
    ///
    /// # Errors
    /// `InvalidArgument` names the field.
    #[doc(hidden)]
    pub fn take_flag(&mut self, name: &str) -> crate::Result<bool> {
        match self.take(name).as_deref().map(RawValue::get) {
            Some("true") => Ok(true),
            None | Some("false" | "null") => Ok(false),
            Some(other) => Err(crate::Error::invalid(name, format!("{name} must be true or false, not {other}"))),
        }
    }

    /// All the text that the model will read, for estimates and for miners that want one string: the prompt in its
    /// template, or the texts of the messages, each on a line of its own.
    pub fn prompt_text(&self) -> String {
        if let Some(prompt) = &self.prompt {
            return match self.prompt_template.as_deref() {
                Some(template) if template.contains("{prompt}") => template.replace("{prompt}", prompt),
                _ => prompt.clone(),
            };
        }
        let Some(source) = self.messages.as_deref().or(self.input.as_deref()) else {
            return String::new();
        };
        let mut out = String::new();
        // The field was JSON when it came in, so reading it cannot fail.
        let _ = Gather(&mut out).deserialize(&mut serde_json::Deserializer::from_str(source.get()));
        out
    }
}

/// Appends every `content` and `text` of a message list, and plain strings, each on a line of its own. It builds no
/// tree of the JSON values, because every submission runs this code.
pub(crate) struct Gather<'a>(pub(crate) &'a mut String);

/// The members of a message in which text is looked for.
#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum TextMember {
    Content,
    Text,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Gather<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Gather<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(text);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Gather(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(member) = map.next_key()? {
            match member {
                TextMember::Content | TextMember::Text => map.next_value_seed(Gather(&mut *self.0))?,
                TextMember::Other => {
                    map.next_value::<de::IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_the_store() {
        let body = r#"{"kind":"chat","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"stream":true,"tools":[1,{"x":null}],"temperature":0.50}"#;
        let request: TaskRequest = serde_json::from_str(body).unwrap();
        assert_eq!(request.prompt_text(), "a");
        let mixed = r#"[{"role":"user","content":"one","name":7},{"content":[{"type":"text","text":"t\u00e9xt"},{"image_url":{"url":"no"}}]},"bare",[1.5,null,true,-2]]"#;
        assert_eq!(TaskRequest::chat(mixed).unwrap().prompt_text(), "one\ntéxt\nbare");
        let again: TaskRequest = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
        assert_eq!(again.kind, RequestKind::Chat);
        assert!(again.stream);
        assert_eq!(again.extra("temperature").unwrap().get(), "0.50");
        assert_eq!(again.extra("tools").unwrap().get(), r#"[1,{"x":null}]"#);
    }

    #[test]
    fn null_is_not_given_and_an_empty_model_is_any_model() {
        let request: TaskRequest =
            serde_json::from_str(r#"{"prompt":"x","timeout":null,"model":"","stream":null}"#).unwrap();
        assert_eq!(request.timeout, None);
        assert_eq!(request.model, None);
        assert!(!request.stream);
    }

    #[test]
    fn the_limit_of_tokens_keeps_the_name_that_the_caller_used() {
        let request: TaskRequest = serde_json::from_str(r#"{"prompt":"x","max_completion_tokens":5}"#).unwrap();
        assert_eq!((request.token_limit(), request.max_tokens), (Some(5), None));
        let again: TaskRequest = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
        assert_eq!((again.max_completion_tokens, again.max_tokens), (Some(5), None));
        let both: TaskRequest = serde_json::from_str(r#"{"max_completion_tokens":5,"max_tokens":9}"#).unwrap();
        assert_eq!((both.token_limit(), both.max_tokens), (Some(5), Some(9)));
        let wrong = serde_json::from_str::<TaskRequest>(r#"{"max_completion_tokens":0}"#);
        assert!(wrong.is_err());
    }

    #[test]
    fn a_list_of_prompts_survives_the_store_as_it_came() {
        let request: TaskRequest = serde_json::from_str(r#"{"prompt":["a","b"],"model":"m"}"#).unwrap();
        let again: TaskRequest = serde_json::from_str(&serde_json::to_string(&request).unwrap()).unwrap();
        assert_eq!((again.prompt.as_deref(), again.extra("prompt").unwrap().get()), (None, r#"["a","b"]"#));
        for wrong in ["7", "[{}]", "[null]", "[1.5]"] {
            assert!(serde_json::from_str::<TaskRequest>(&format!(r#"{{"prompt":{wrong}}}"#)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_template_goes_around_the_prompt() {
        let mut request = TaskRequest::completion("2+2?");
        request.prompt_template = Some("Q: {prompt}\nA:".into());
        assert_eq!(request.prompt_text(), "Q: 2+2?\nA:");
    }
}
