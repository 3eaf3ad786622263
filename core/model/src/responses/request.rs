//! A request of the Responses API as a chat.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::asked::Asked;
use super::item::{self, Item};
use super::tools::{Tools, choice_of, is_hosts};
use crate::chat::{JsonSchema, Members, Message, ResponseFormat, Role, into_raw, member, with_members};
use crate::json::from_json;
use crate::whole::Whole;
use crate::{Error, Result, TaskRequest};

/// A request of the Responses API: the chat that stands for it, without the turns before, and what its answer repeats.
#[derive(Debug)]
pub struct ResponsesRequest {
    /// The chat.
    pub chat: TaskRequest,
    /// The messages of this turn.
    pub messages: Vec<Message>,
    /// The members that the answer repeats.
    pub asked: Box<Asked>,
    /// The types of the tools that the model is not offered, because only a host runs them.
    pub left_out: Vec<String>,
    /// The error of the request where no server that speaks this API can get it: the chat does not say all of it.
    pub own: Option<Error>,
}

/// Members that say nothing to a miner.
const UNTRANSLATED: &[&str] = &[
    "include",
    "stream_options",
    "prompt_cache_retention",
    "prompt_cache_options",
    "client_metadata",
    "context_management",
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Text {
    format: Option<Format>,
    verbosity: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Format {
    r#type: String,
    name: Option<String>,
    description: Option<String>,
    schema: Option<Box<RawValue>>,
    strict: Option<bool>,
}

/// Makes a chat of a body of the Responses API.
///
/// # Errors
/// `InvalidArgument` names the field that is missing or wrong.
pub fn to_chat(body: &[u8]) -> Result<ResponsesRequest> {
    let Members(members) = from_json("body", body)?;
    let mut reading = Reading::default();
    for (name, value) in members {
        reading.take(name, value)?;
    }
    reading.into_request()
}

/// A body that is being read.
#[derive(Default)]
struct Reading {
    chat: TaskRequest,
    asked: Box<Asked>,
    tools: Tools,
    has_input: bool,
    /// The members that this API does not know.
    others: Vec<(String, Box<RawValue>)>,
}

impl Reading {
    /// Reads one member.
    fn take(&mut self, name: String, value: Box<RawValue>) -> Result<()> {
        let whole = |value: &RawValue| Ok(member::<Whole<u64>>(&name, value)?.map(|number| number.0));
        let (asked, chat) = (&mut self.asked, &mut self.chat);
        match name.as_str() {
            "model" => chat.model = member(&name, &value)?.filter(|model: &String| !model.is_empty()),
            "stream" => chat.stream = member(&name, &value)?.unwrap_or_default(),
            "input" => {
                self.has_input = true;
                asked.input = match value.get().as_bytes().first() {
                    Some(b'n') => None,
                    Some(b'"') => Some(user_said(&value)?),
                    Some(b'[') => Some(value),
                    _ => return Err(Error::invalid("input", "input must be a text or a list of items")),
                };
            }
            "instructions" => asked.instructions = member(&name, &value)?,
            "previous_response_id" => asked.previous_response_id = member(&name, &value)?,
            "max_output_tokens" => {
                asked.max_output_tokens = whole(&value)?;
                if asked.max_output_tokens == Some(0) {
                    return Err(Error::invalid("max_output_tokens", "max_output_tokens must be at least 1"));
                }
                chat.max_tokens = asked.max_output_tokens;
            }
            "max_tool_calls" => asked.max_tool_calls = whole(&value)?,
            "tools" => self.tools.take(&name, &value)?,
            "tool_choice" => {
                asked.tool_choice = member(&name, &value)?;
                if let Some(choice) = &mut asked.tool_choice {
                    match choice_of(choice) {
                        Ok(rule) => chat.extra.push((name, into_raw(&rule)?)),
                        Err(why) if is_hosts(choice) => self.tools.left_out.need(why),
                        Err(wrong) => return Err(wrong),
                    }
                    if choice["type"] == "allowed_tools" && choice["mode"].is_null() {
                        choice["mode"] = "auto".into();
                    }
                }
            }
            "parallel_tool_calls" => {
                asked.parallel_tool_calls = member(&name, &value)?;
                if asked.parallel_tool_calls.is_some() {
                    chat.extra.push((name, value));
                }
            }
            "text" => self.text(&value)?,
            "reasoning" => {
                let Some(mut reasoning) = member::<Map<String, Value>>(&name, &value)? else { return Ok(()) };
                if let Some(effort) = reasoning.get("effort").and_then(Value::as_str) {
                    chat.extra.push(("reasoning_effort".to_owned(), into_raw(&effort)?));
                }
                for name in ["effort", "summary"] {
                    reasoning.entry(name).or_insert(Value::Null);
                }
                asked.reasoning = Some(reasoning.into());
            }
            "temperature" => passed(&mut asked.temperature, chat, name, value)?,
            "top_p" => passed(&mut asked.top_p, chat, name, value)?,
            "presence_penalty" => passed(&mut asked.presence_penalty, chat, name, value)?,
            "frequency_penalty" => passed(&mut asked.frequency_penalty, chat, name, value)?,
            "user" => passed(&mut asked.user, chat, name, value)?,
            "top_logprobs" => {
                asked.top_logprobs = whole(&value)?;
                if asked.top_logprobs.is_some_and(|count| count > 0) {
                    chat.extra.push(("logprobs".to_owned(), into_raw(&true)?));
                    chat.extra.push((name, value));
                }
            }
            "truncation" => asked.truncation = member(&name, &value)?,
            "store" => asked.store = member(&name, &value)?,
            "background" => asked.background = member(&name, &value)?.unwrap_or_default(),
            "metadata" => asked.metadata = member(&name, &value)?,
            "safety_identifier" => asked.safety_identifier = member(&name, &value)?,
            "prompt_cache_key" => asked.prompt_cache_key = member(&name, &value)?,
            "service_tier" => asked.service_tier = member(&name, &value)?,
            "conversation" | "prompt" => {
                if member::<Value>(&name, &value)?.is_some() {
                    let words =
                        format!("{name}: the router keeps none: send the input itself, or previous_response_id");
                    return Err(Error::invalid(name, words));
                }
            }
            name if UNTRANSLATED.contains(&name) => {}
            _ => self.others.push((name, value)),
        }
        Ok(())
    }

    /// Takes the form of the text.
    fn text(&mut self, value: &RawValue) -> Result<()> {
        let Some(text) = member::<Text>("text", value)? else { return Ok(()) };
        self.asked.text = member("text", value)?.map(shown);
        if let Some(verbosity) = text.verbosity {
            self.chat.extra.push(("verbosity".to_owned(), into_raw(&verbosity)?));
        }
        let Some(format) = text.format else { return Ok(()) };
        let json_schema = match format.r#type.as_str() {
            "text" => return Ok(()),
            "json_object" => None,
            "json_schema" => Some(JsonSchema {
                name: format.name.as_deref().unwrap_or("output"),
                description: format.description.as_deref(),
                schema: format.schema.as_deref(),
                strict: format.strict,
            }),
            _ => {
                let at = "text.format.type";
                return Err(Error::invalid(at, format!("{at} must be text, json_object or json_schema")));
            }
        };
        let format = ResponseFormat { r#type: &format.r#type, json_schema };
        self.chat.extra.push(("response_format".to_owned(), into_raw(&format)?));
        Ok(())
    }

    fn into_request(mut self) -> Result<ResponsesRequest> {
        let items = Item::list("input", self.asked.items()?)?;
        self.tools.take_items(&items)?;
        let Tools { functions, shown, mut left_out, .. } = self.tools;
        if !functions.is_empty() {
            self.chat.extra.push(("tools".to_owned(), into_raw(&functions)?));
        }
        let mut asked = self.asked;
        asked.tools = shown;
        let is_continued = asked.previous_response_id.is_some();
        if !self.has_input && !is_continued {
            return Err(Error::invalid("input", "input is missing: give a text or a list of items"));
        }
        if items.is_empty() && !is_continued && asked.instructions.is_none() {
            return Err(Error::invalid("input", "input is empty: give a text or at least one item"));
        }
        if let Some(word) = asked.truncation.as_deref().filter(|word| !matches!(*word, "auto" | "disabled")) {
            return Err(Error::invalid("truncation", format!("truncation must be auto or disabled, not {word}")));
        }
        let mut messages = Vec::with_capacity(items.len() + 1);
        match &asked.instructions {
            None => {}
            Some(Value::String(text)) if text.is_empty() => {}
            Some(Value::String(text)) => messages.push(Message::text(Role::System, text.clone())),
            Some(Value::Array(items)) => {
                let items = items.iter().map(into_raw).collect::<Result<Vec<_>>>()?;
                let items = Item::list("instructions", items.iter().map(|item| &**item))?;
                item::add("instructions", items, &mut messages, &mut left_out)?;
            }
            Some(_) => return Err(Error::invalid("instructions", "instructions must be a text or a list of items")),
        }
        item::add("input", items, &mut messages, &mut left_out)?;
        let (left_out, own) = left_out.split(!functions.is_empty());
        if messages.is_empty() && own.is_some() {
            // All of them are words of this API.
            messages.push(Message::text(Role::User, ""));
        }
        Ok(ResponsesRequest { chat: with_members(self.chat, &self.others)?, messages, asked, left_out, own })
    }
}

/// A text of the user as a list of one item.
fn user_said(text: &RawValue) -> Result<Box<RawValue>> {
    let (before, after) = (r#"[{"type":"message","role":"user","content":[{"type":"input_text","text":"#, "}]}]");
    RawValue::from_string([before, text.get(), after].concat()).map_err(Error::internal)
}

/// The form of the text as the response shows it, with all of its members.
fn shown(mut text: Map<String, Value>) -> Value {
    text.retain(|_, value| !value.is_null());
    let format = text.entry("format").or_insert_with(|| json!({"type": "text"}));
    if format["type"] == "json_schema" {
        for (name, unsaid) in [("name", json!("output")), ("description", Value::Null), ("strict", json!(false))] {
            if format[name].is_null() {
                format[name] = unsaid;
            }
        }
    }
    text.into()
}

/// Takes a member that goes to the miner under its own name, and that the answer repeats.
fn passed<T: serde::de::DeserializeOwned>(
    place: &mut Option<T>,
    chat: &mut TaskRequest,
    name: String,
    value: Box<RawValue>,
) -> Result<()> {
    *place = member(&name, &value)?;
    if place.is_some() {
        chat.extra.push((name, value));
    }
    Ok(())
}
