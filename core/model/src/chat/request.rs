//! A chat's request in records, for a server that speaks another API.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Content, Message, Role, ToolChoice, ToolFunction, member, missing, unsupported};
use crate::{Error, RequestKind, Result, TaskRequest};

/// A chat's request, as far as other APIs have words for it.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// The conversation.
    pub messages: Vec<Message>,
    /// The most tokens to generate.
    pub most_tokens: Option<u64>,
    /// The tools.
    pub tools: Vec<Offer>,
    /// The rule for which tools are called.
    pub choice: Option<ToolChoice>,
    /// Whether the model may call several tools at once.
    pub parallel: Option<bool>,
    /// The form that the answer is to have.
    pub form: Form,
    /// The sequences at which the model stops.
    pub stop: Vec<String>,
    /// How much the model thinks.
    pub effort: Option<String>,
    /// How much the model says.
    pub verbosity: Option<String>,
    /// The caller's user.
    pub user: Option<String>,
    /// The number of tokens beside each one whose probabilities are asked for; `None`: no probabilities are.
    pub probabilities: Option<u64>,
    /// The members that have no place above, as they came.
    pub others: Vec<(&'a str, &'a RawValue)>,
}

/// A tool that is offered to the model.
#[derive(Debug)]
pub enum Offer {
    /// A function of the caller's.
    Function(ToolFunction),
    /// A tool of another kind, in the words of the server that has it.
    Other(Box<RawValue>),
}

/// The form of an answer.
#[derive(Debug, Default)]
pub enum Form {
    /// Text.
    #[default]
    Text,
    /// Any object.
    Object,
    /// JSON of a schema.
    Schema(Schema),
}

/// A schema for an answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Schema {
    /// Its name.
    pub name: Option<String>,
    /// The words that tell the model what it is for.
    pub description: Option<String>,
    /// The schema itself.
    pub schema: Option<Box<RawValue>>,
    /// Whether the answer must follow it.
    pub strict: Option<bool>,
}

#[derive(Deserialize)]
struct GivenForm {
    r#type: String,
    json_schema: Option<Schema>,
}

/// Members that say how the caller reads the answer, or that only tune it: an API without a word for one of them serves
/// the request without it.
const UNTRANSLATED: &[&str] = &["stream_options", "prediction", "modalities", "seed", "n", "logit_bias", "functions"];

impl<'a> Request<'a> {
    /// Reads a chat, or a completion whose prompt is one user's message. `others` are its members that may go to a
    /// server; `partial` is the beginning of the answer.
    ///
    /// # Errors
    /// `InvalidArgument` names a member that cannot be read, or that no other API has a word for.
    pub fn of(
        request: &TaskRequest,
        others: impl Iterator<Item = (&'a str, &'a RawValue)>,
        partial: Option<&str>,
    ) -> Result<Self> {
        let mut read = Self { most_tokens: request.token_limit(), ..Self::default() };
        read.messages = match (&request.messages, request.kind) {
            (Some(messages), RequestKind::Chat) => member("messages", messages)?.ok_or_else(|| missing("messages"))?,
            _ => vec![Message::text(Role::User, request.prompt_text())],
        };
        read.messages.extend(partial.map(|text| Message::text(Role::Assistant, text)));
        let (mut wants_probabilities, mut beside) = (false, None);
        for (name, value) in others {
            match name {
                "tools" => read.tools = offers(value)?,
                "tool_choice" => read.choice = choice(value)?,
                "parallel_tool_calls" => read.parallel = member(name, value)?,
                "response_format" => read.form = form(value)?,
                "stop" => read.stop = stops(value)?,
                "reasoning_effort" => read.effort = member(name, value)?,
                "verbosity" => read.verbosity = member(name, value)?,
                "user" => read.user = member(name, value)?,
                "logprobs" => wants_probabilities = member(name, value)?.unwrap_or_default(),
                "top_logprobs" => beside = member(name, value)?,
                _ if UNTRANSLATED.contains(&name) => refuse_unsayable(name, value)?,
                _ => read.others.push((name, value)),
            }
        }
        read.probabilities = wants_probabilities.then(|| beside.unwrap_or(0));
        Ok(read)
    }
}

/// Refuses a member without which the answer would be another one than the caller asked for.
fn refuse_unsayable(name: &str, value: &RawValue) -> Result<()> {
    let given: Value = member(name, value)?.unwrap_or_default();
    let is_asked = match name {
        "n" => given.as_f64().is_some_and(|count| count > 1.0),
        "modalities" => given.as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind != "text")),
        "logit_bias" => given.as_object().is_some_and(|biases| !biases.is_empty()),
        "functions" => given.as_array().is_some_and(|functions| !functions.is_empty()),
        _ => false,
    };
    if is_asked { Err(unsayable(name)) } else { Ok(()) }
}

/// The error for a member that the API of a server has no word for.
pub fn unsayable(param: &str) -> Error {
    Error::invalid(param, format!("{param}: the API of this model's server has no such thing: leave it out"))
}

fn offers(value: &RawValue) -> Result<Vec<Offer>> {
    #[derive(Deserialize)]
    struct Kind {
        #[serde(default)]
        r#type: Option<String>,
        #[serde(default)]
        function: Option<ToolFunction>,
    }
    let tools = member::<Vec<Box<RawValue>>>("tools", value)?.unwrap_or_default();
    let offer = |(index, tool): (usize, Box<RawValue>)| {
        let at = format!("tools[{index}]");
        let Kind { r#type: kind, function } = member(&at, &tool)?.ok_or_else(|| missing(&at))?;
        match (kind.as_deref(), function) {
            (Some("function") | None, Some(function)) => Ok(Offer::Function(function)),
            (Some("function") | None, None) => Err(missing(&format!("{at}.function"))),
            (Some(kind @ "custom"), _) => Err(unsupported(&format!("{at}.type"), kind, "function")),
            (Some(_), _) => Ok(Offer::Other(tool)),
        }
    };
    tools.into_iter().enumerate().map(offer).collect()
}

fn choice(value: &RawValue) -> Result<Option<ToolChoice>> {
    let name = |choice: &Value| choice["function"]["name"].as_str().map(str::to_owned);
    match member::<Value>("tool_choice", value)? {
        None => Ok(None),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Ok(Some(ToolChoice::Auto)),
            "none" => Ok(Some(ToolChoice::None)),
            "required" => Ok(Some(ToolChoice::Required)),
            _ => Err(unsupported("tool_choice", &word, "auto, none, required or a function")),
        },
        Some(choice) if choice["type"] == "function" => match name(&choice) {
            Some(name) => Ok(Some(ToolChoice::Named(name))),
            None => Err(missing("tool_choice.function.name")),
        },
        Some(choice) => {
            let kind = choice["type"].as_str().unwrap_or_default().to_owned();
            Err(unsupported("tool_choice.type", &kind, "auto, none, required or a function"))
        }
    }
}

fn form(value: &RawValue) -> Result<Form> {
    let Some(GivenForm { r#type: kind, json_schema }) = member("response_format", value)? else {
        return Ok(Form::Text);
    };
    match kind.as_str() {
        "text" => Ok(Form::Text),
        "json_object" => Ok(Form::Object),
        "json_schema" => Ok(Form::Schema(json_schema.ok_or_else(|| missing("response_format.json_schema"))?)),
        other => Err(unsupported("response_format.type", other, "text, json_object or json_schema")),
    }
}

fn stops(value: &RawValue) -> Result<Vec<String>> {
    if value.get().starts_with('"') {
        return Ok(member::<String>("stop", value)?.into_iter().collect());
    }
    Ok(member("stop", value)?.unwrap_or_default())
}

impl Message {
    /// The parts of its content; a text is one part, and an empty one none.
    pub fn into_parts(self) -> Vec<super::Part> {
        match self.content {
            None => Vec::new(),
            Some(Content::Text(text)) if text.is_empty() => Vec::new(),
            Some(Content::Text(text)) => vec![super::Part::text(text)],
            Some(Content::List(parts)) => parts,
        }
    }
}
