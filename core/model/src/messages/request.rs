//! A request of the Messages API as a chat.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::answer::Wishes;
use super::block::Blocks;
use super::foreign::without_foreign;
use crate::chat::{
    JsonSchema, LeftOut, Members, Message, ResponseFormat, Role, Tool, ToolChoice, ToolFunction, into_raw, is_hosted,
    member, not_run, with_members,
};
use crate::json::from_json;
use crate::whole::Whole;
use crate::{Error, Result, TaskRequest};

/// A request of the Messages API: the chat that stands for it, and the wishes that a chat has no place for.
#[derive(Debug)]
pub struct MessagesRequest {
    /// The chat.
    pub chat: TaskRequest,
    /// The wishes that decide what the answer shows.
    pub wishes: Wishes,
    /// The types of the tools that the model is not offered, because only a host runs them.
    pub left_out: Vec<String>,
    /// The error of the request where no server that speaks this API can get it: the chat does not say all of it.
    pub own: Option<Error>,
}

/// The types of tools that Anthropic's own servers run, without the date of their version.
const HOSTED: &[&str] =
    &["web_search_", "web_fetch_", "code_execution_", "tool_search_tool_", "advisor_", "mcp_toolset"];

/// Members of the Messages API that no other server knows. A request that has one is served without it, as other
/// servers of this API do.
const UNTRANSLATED: &[&str] = &[
    "anthropic_beta",
    "betas",
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "service_tier",
    "speed",
];

#[derive(Deserialize)]
struct Spoken {
    role: String,
    content: Blocks,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Thinking {
    r#type: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Offered {
    r#type: Option<String>,
    name: Option<String>,
    description: Option<String>,
    input_schema: Option<Box<RawValue>>,
    strict: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    r#type: String,
    name: Option<String>,
    disable_parallel_tool_use: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    user_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OutputConfig {
    effort: Option<String>,
    format: Option<Format>,
}

#[derive(Deserialize)]
struct Format {
    r#type: String,
    #[serde(default)]
    schema: Option<Box<RawValue>>,
}

/// Makes a chat of a body of the Messages API.
///
/// # Errors
/// `InvalidArgument` names the field that is missing or wrong.
pub fn to_chat(body: &[u8]) -> Result<MessagesRequest> {
    let reading = Reading::of(body)?;
    match reading.chat.max_tokens {
        None => Err(missing("max_tokens", "give the most tokens to generate")),
        Some(0) => Err(Error::invalid("max_tokens", "max_tokens must be at least 1")),
        Some(_) => reading.into_request(),
    }
}

/// Makes a chat of a body whose tokens are to be counted.
///
/// # Errors
/// Like [`to_chat`]; nothing is to be generated, so `max_tokens` may be missing.
pub fn to_count(body: &[u8]) -> Result<TaskRequest> {
    Ok(Reading::of(body)?.into_request()?.chat)
}

fn missing(name: &str, says: &str) -> Error {
    Error::invalid(name, format!("{name} is missing: {says}"))
}

/// A body that is being read.
#[derive(Default)]
struct Reading {
    chat: TaskRequest,
    system: Option<String>,
    spoken: Option<Vec<Spoken>>,
    tools: Vec<Tool>,
    left_out: LeftOut,
    choice: Option<Choice>,
    stop_sequences: Vec<String>,
    thinking: bool,
    /// The members that this API does not know.
    others: Vec<(String, Box<RawValue>)>,
}

impl Reading {
    fn of(body: &[u8]) -> Result<Self> {
        let Members(members) = from_json("body", body)?;
        let mut reading = Self::default();
        for (name, value) in members {
            reading.take(name, value)?;
        }
        Ok(reading)
    }

    /// Reads one member.
    fn take(&mut self, name: String, value: Box<RawValue>) -> Result<()> {
        match name.as_str() {
            "model" => self.chat.model = member(&name, &value)?.filter(|model: &String| !model.is_empty()),
            "max_tokens" => self.chat.max_tokens = member::<Whole<u64>>(&name, &value)?.map(|most| most.0),
            "stream" => self.chat.stream = member(&name, &value)?.unwrap_or_default(),
            "system" => {
                let blocks = member::<Blocks>(&name, &value)?;
                self.system = blocks.map(|blocks| blocks.into_system(&name)).transpose()?;
            }
            "messages" => {
                let again = |wrong| match without_foreign(&value) {
                    Some(known) => member(&name, &known),
                    None => Err(wrong),
                };
                self.spoken = member(&name, &value).or_else(again)?;
            }
            "stop_sequences" => self.stop_sequences = member(&name, &value)?.unwrap_or_default(),
            "tools" => self.offer(member(&name, &value)?.unwrap_or_default())?,
            "tool_choice" => self.choice = member(&name, &value)?,
            "thinking" => {
                let thinking: Thinking = member(&name, &value)?.unwrap_or_default();
                self.thinking = matches!(thinking.r#type.as_str(), "enabled" | "adaptive");
            }
            "metadata" => {
                if let Some(user) = member::<Metadata>(&name, &value)?.and_then(|metadata| metadata.user_id) {
                    self.chat.extra.push(("user".to_owned(), into_raw(&user)?));
                }
            }
            "output_config" => {
                let config: OutputConfig = member(&name, &value)?.unwrap_or_default();
                if let Some(effort) = config.effort {
                    self.chat.extra.push(("reasoning_effort".to_owned(), into_raw(&effort)?));
                }
                self.format(config.format, "output_config.format")?;
            }
            "output_format" => {
                let format = member(&name, &value)?;
                self.format(format, "output_format")?;
            }
            "mcp_servers" => {
                if member::<Vec<IgnoredAny>>(&name, &value)?.is_some_and(|servers| !servers.is_empty()) {
                    let words = "mcp_servers: no miner here connects to MCP servers: leave it out";
                    self.left_out.need(Error::invalid(name, words));
                }
            }
            name if UNTRANSLATED.contains(&name) => {}
            _ => self.others.push((name, value)),
        }
        Ok(())
    }

    /// Offers tools to the model.
    fn offer(&mut self, tools: Vec<Offered>) -> Result<()> {
        for (index, tool) in tools.into_iter().enumerate() {
            let Offered { r#type, name, description, input_schema: parameters, strict } = tool;
            // Tools that have a meaning of their own to Anthropic's models have a type, like `web_search_20250305`.
            if let Some(kind) = r#type.filter(|kind| kind != "custom") {
                let at = format!("tools[{index}].type");
                if is_hosted(&kind, HOSTED) {
                    self.left_out.add(&at, &kind);
                    continue;
                }
                // The client may run it, but only a model that was made for it calls it.
                self.left_out.need(not_run(&at, &kind));
                continue;
            }
            let at = format!("tools[{index}].name");
            let name = name.ok_or_else(|| Error::invalid(&at, format!("{at} is missing")))?;
            self.tools.push(Tool::function(ToolFunction { name, description, parameters, strict }));
        }
        Ok(())
    }

    /// Takes the form that the answer is to have.
    fn format(&mut self, format: Option<Format>, at: &str) -> Result<()> {
        let Some(format) = format else { return Ok(()) };
        let (kind, schema) = (format.r#type.as_str(), format.schema.as_deref());
        let ("json_schema", Some(schema)) = (kind, schema) else {
            return Err(Error::invalid(at, format!("{at} must be {{\"type\":\"json_schema\",\"schema\":{{...}}}}")));
        };
        let json_schema = JsonSchema { name: "output", description: None, schema: Some(schema), strict: Some(true) };
        let format = ResponseFormat { r#type: kind, json_schema: Some(json_schema) };
        self.chat.extra.push(("response_format".to_owned(), into_raw(&format)?));
        Ok(())
    }

    fn into_request(mut self) -> Result<MessagesRequest> {
        let spoken = self.spoken.ok_or_else(|| missing("messages", "give a list of {\"role\":...,\"content\":...}"))?;
        if spoken.is_empty() {
            return Err(Error::invalid("messages", "messages is an empty list: give at least one message"));
        }
        let mut messages = Vec::with_capacity(spoken.len() + 1);
        if let Some(system) = self.system.filter(|system| !system.is_empty()) {
            messages.push(Message::text(Role::System, system));
        }
        for (index, one) in spoken.into_iter().enumerate() {
            let at = format!("messages[{index}].content");
            match one.role.as_str() {
                "user" => one.content.into_user(&at, &mut messages, &mut self.left_out)?,
                "assistant" => messages.push(one.content.into_assistant(&at, &mut self.left_out)?),
                "system" => messages.push(Message::text(Role::System, one.content.into_system(&at)?)),
                _ => {
                    let at = format!("messages[{index}].role");
                    return Err(Error::invalid(&at, format!("{at} must be user or assistant")));
                }
            }
        }
        let chat = &mut self.chat;
        if !self.stop_sequences.is_empty() {
            chat.extra.push(("stop".to_owned(), into_raw(&self.stop_sequences)?));
        }
        if let Some(choice) = self.choice {
            let rule = choice.of_chat()?;
            if let ToolChoice::Named(name) = &rule
                && self.left_out.has_tools()
                && !self.tools.iter().any(|tool| tool.function.name == *name)
            {
                self.left_out.need(Error::invalid(
                    "tool_choice.name",
                    format!("tool_choice.name {name:?}: no miner here runs this tool: name one of your own"),
                ));
            }
            chat.extra.push(("tool_choice".to_owned(), into_raw(&rule)?));
            if choice.disable_parallel_tool_use {
                chat.extra.push(("parallel_tool_calls".to_owned(), into_raw(&false)?));
            }
        }
        if !self.tools.is_empty() {
            chat.extra.push(("tools".to_owned(), into_raw(&self.tools)?));
        }
        let (left_out, own) = self.left_out.split(!self.tools.is_empty());
        if messages.is_empty() && own.is_some() {
            // All of them are words of this API.
            messages.push(Message::text(Role::User, ""));
        }
        chat.messages = Some(into_raw(&messages)?);
        let wishes = Wishes { thinking: self.thinking, stop_sequences: self.stop_sequences };
        Ok(MessagesRequest { chat: with_members(self.chat, &self.others)?, wishes, left_out, own })
    }
}

impl Choice {
    fn of_chat(&self) -> Result<ToolChoice> {
        match (self.r#type.as_str(), &self.name) {
            ("auto", _) => Ok(ToolChoice::Auto),
            ("any", _) => Ok(ToolChoice::Required),
            ("none", _) => Ok(ToolChoice::None),
            ("tool", Some(name)) => Ok(ToolChoice::Named(name.clone())),
            ("tool", None) => Err(Error::invalid("tool_choice.name", "tool_choice.name is missing: name the tool")),
            _ => Err(Error::invalid("tool_choice.type", "tool_choice.type must be auto, any, tool or none")),
        }
    }
}
