//! What a caller asks for: one record for completions, chats and embeddings.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::whole::{Number, Whole};
use super::{OnFailure, ValidationSpec};

/// What kind of answer is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// Text that continues a prompt.
    #[default]
    Completion,
    /// The next message of a conversation.
    Chat,
    /// Vectors.
    Embedding,
}

/// Fields that the router does not need. They pass through to the miner untouched, in their order.
pub type Extra = Vec<(String, Box<RawValue>)>;

/// A request. Fields that are `None` were not given; unknown fields are kept in `extra`.
///
/// ```
/// # mod cortensor_router { pub use cortensor_router_model as model; }
/// use cortensor_router::model::TaskRequest;
/// let request: TaskRequest = serde_json::from_str(r#"{"prompt":"Hi","top_p":0.9}"#).unwrap();
/// assert_eq!(request.prompt.as_deref(), Some("Hi"));
/// assert_eq!(request.extra[0].0, "top_p");
/// ```
#[derive(Debug, Clone, Default)]
pub struct TaskRequest {
    /// Completion, chat or embedding; not part of the body, the route says it.
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
    /// The same under OpenAI's newer name; each goes on to the miner under the name that the caller used.
    pub max_completion_tokens: Option<u64>,
    /// The caller's own reference.
    pub client_reference: Option<String>,
    /// The most miners that answer, each on its own: as many as there are, up to `limits.max_answers`.
    pub max_miners: Option<u32>,
    /// A higher band is served first; the session's where `None`.
    pub priority: Option<u8>,
    /// How several answers are compared, where not as the session says.
    pub validation: Option<Box<ValidationSpec>>,
    /// What follows when the miner is lost after tokens were seen; `dispatch.on_failure` where `None`.
    pub on_failure: Option<OnFailure>,
    /// Whether special tokens and leading blanks stay in the text.
    pub raw: bool,
    /// Everything else that the caller gave: sampling parameters, tools, formats ...
    pub extra: Extra,
}

/// Fields beside the named ones that say how an answer is read.
const READING: &[&str] = &["stream_options", "async", "detach", "idempotent", "idempotency_key"];

/// What a model's server acts on; see [`TaskRequest::params`].
pub struct Params<'a> {
    limits: [(&'static str, Option<u64>); 2],
    extra: &'a Extra,
}

impl<'a> Params<'a> {
    /// Limits by the caller's names.
    pub fn limits(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.limits.into_iter().filter_map(|(name, most)| Some((name, most?)))
    }

    /// What the router does not know.
    pub fn others(&self) -> impl Iterator<Item = (&'a str, &'a RawValue)> + use<'a> {
        self.extra.iter().map(|(key, value)| (key.as_str(), &**value))
    }
}

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

    /// The most tokens to generate, under whichever name it was given; the newer one where both were.
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

    /// The fields that a model's server acts on, beside its input: limits under the name that the caller used, then what the
    /// router does not know, in its order. Every kind of miner gets these.
    #[doc(hidden)]
    pub fn params(&self) -> Params<'_> {
        // Without `..`, so that a new field has to say where it goes.
        let Self {
            // The input and how it is answered: each kind of miner has a place of its own for these.
            kind: _,
            prompt: _,
            messages: _,
            input: _,
            prompt_type: _,
            prompt_template: _,
            model: _,
            stream: _,
            // What the router itself acts on.
            timeout: _,
            precommit_timeout: _,
            client_reference: _,
            max_miners: _,
            priority: _,
            validation: _,
            on_failure: _,
            raw: _,
            max_tokens,
            max_completion_tokens,
            extra,
        } = self;
        Params { limits: [("max_tokens", *max_tokens), ("max_completion_tokens", *max_completion_tokens)], extra }
    }

    /// The request without how long its caller waits and how the answer is read: two requests with the same work differ in
    /// nothing else.
    #[doc(hidden)]
    #[must_use]
    pub fn work(&self) -> Self {
        let mut work = self.clone();
        (work.stream, work.timeout, work.precommit_timeout) = (false, None, None);
        work.extra.retain(|(key, _)| !READING.contains(&key.as_str()));
        work
    }

    fn validation(&mut self) -> &mut ValidationSpec {
        self.validation.get_or_insert_default()
    }

    /// The extra field of that name, as JSON.
    pub fn extra(&self, name: &str) -> Option<&RawValue> {
        self.extra.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }

    /// Takes out the extra field of that name, which the way in of a request acts on itself.
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

    /// All the text that the model will read, for estimates and for miners that want one string:
    /// the prompt in its template, or the messages' texts one a line.
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
        // It was JSON when it came in, so there is no error to tell.
        let _ = Gather(&mut out).deserialize(&mut serde_json::Deserializer::from_str(source.get()));
        out
    }
}

/// Appends every `content`/`text` of a message list, and plain strings, a line each. Reads them out of the JSON without
/// a tree of values between: every submit does this.
struct Gather<'a>(&'a mut String);

/// The members that are looked into.
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

/// `null` counts as not given: published clients send it for fields they leave alone.
fn given<'de, A: MapAccess<'de>, T: Deserialize<'de>>(map: &mut A) -> Result<Option<T>, A::Error> {
    map.next_value::<Option<T>>()
}

/// A whole number of at least one.
struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Whole::<u64>::deserialize(deserializer)?.0 {
            0 => Err(de::Error::invalid_value(de::Unexpected::Unsigned(0), &"a whole number of at least 1")),
            count => Ok(Self(count)),
        }
    }
}

/// A whole number; `null` counts as not given.
fn whole<'de, A: MapAccess<'de>, T: Number>(map: &mut A) -> Result<Option<T>, A::Error> {
    Ok(given::<_, Whole<T>>(map)?.map(|number| number.0))
}

/// One prompt, or a list that only an upstream can take.
enum Prompt {
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

/// What a prompt that is a list is made of. It is never deeper than that, so that reading it is not either.
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

impl<'de> Deserialize<'de> for TaskRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = TaskRequest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object with the fields of a request")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TaskRequest, A::Error> {
                let mut out = TaskRequest::default();
                while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                    match key.as_ref() {
                        "kind" => out.kind = given(&mut map)?.unwrap_or_default(),
                        "prompt" => match given(&mut map)? {
                            Some(Prompt::Text(text)) => out.prompt = Some(text),
                            Some(Prompt::List(list)) => out.extra.push(("prompt".into(), list)),
                            None => out.prompt = None,
                        },
                        "messages" => out.messages = given(&mut map)?,
                        "input" => out.input = given(&mut map)?,
                        "prompt_type" => out.prompt_type = whole(&mut map)?.unwrap_or_default(),
                        "prompt_template" => {
                            out.prompt_template = given::<_, String>(&mut map)?.filter(|t| !t.is_empty());
                        }
                        "model" => out.model = given::<_, String>(&mut map)?.filter(|m| !m.is_empty()),
                        "stream" => out.stream = given(&mut map)?.unwrap_or_default(),
                        "timeout" => out.timeout = given(&mut map)?,
                        "precommit_timeout" => out.precommit_timeout = given(&mut map)?,
                        // At least one; refused here, so that the error names the field.
                        "max_tokens" => out.max_tokens = given::<_, Count>(&mut map)?.map(|count| count.0),
                        "max_completion_tokens" => {
                            out.max_completion_tokens = given::<_, Count>(&mut map)?.map(|count| count.0);
                        }
                        "client_reference" | "clientReference" => out.client_reference = given(&mut map)?,
                        "max_miners" => out.max_miners = whole(&mut map)?,
                        "priority" => out.priority = whole(&mut map)?,
                        "on_failure" => out.on_failure = given(&mut map)?,
                        "validation_policy" => out.validation().validation_policy = given(&mut map)?,
                        "match" => out.validation().matching = given(&mut map)?,
                        "min_score" => out.validation().min_score = given(&mut map)?,
                        "tie_break" => out.validation().tie_break = given(&mut map)?,
                        "match_tolerance" => out.validation().match_tolerance = given(&mut map)?,
                        "match_pointers" => out.validation().match_pointers = given(&mut map)?,
                        "match_model" => out.validation().match_model = given(&mut map)?,
                        "raw" => out.raw = given(&mut map)?.unwrap_or_default(),
                        _ => out.extra.push((key.into_owned(), map.next_value()?)),
                    }
                }
                Ok(out)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// As it is kept in the store: everything that was given, with `kind`.
impl Serialize for TaskRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", &self.kind)?;
        macro_rules! entries {
            ($($field:ident)*) => {$(
                if let Some(value) = &self.$field {
                    map.serialize_entry(stringify!($field), value)?;
                }
            )*};
        }
        entries!(prompt messages input prompt_template model timeout precommit_timeout max_tokens max_completion_tokens);
        entries!(client_reference max_miners priority on_failure);
        if let Some(validation) = &self.validation {
            macro_rules! given {
                ($($field:ident $name:literal)*) => {$(
                    if let Some(value) = &validation.$field {
                        map.serialize_entry($name, value)?;
                    }
                )*};
            }
            given!(validation_policy "validation_policy" matching "match" min_score "min_score" tie_break "tie_break"
                match_tolerance "match_tolerance" match_pointers "match_pointers" match_model "match_model");
        }
        if self.prompt_type != 0 {
            map.serialize_entry("prompt_type", &self.prompt_type)?;
        }
        if self.stream {
            map.serialize_entry("stream", &true)?;
        }
        if self.raw {
            map.serialize_entry("raw", &true)?;
        }
        for (key, value) in &self.extra {
            map.serialize_entry(key, value)?;
        }
        map.end()
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
