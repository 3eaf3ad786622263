//! The items of an input, and the chat's messages that stand for them.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::tools::{SEARCH, function_name, function_names};
use crate::chat::{Content, File, LeftOut, Message, Part, Role, TextOr, fault_in, member, missing, unsupported};
use crate::shape::last;
use crate::word::choice;
use crate::{Error, Result, ToolCall};

/// The kinds of items that a chat has a place for.
const KINDS: [&str; 9] = [
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
];

/// An item as it comes. `type` says which of the other members counts; a message needs none.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Item {
    r#type: Option<String>,
    role: Option<String>,
    content: Option<Words>,
    /// Of a call of a tool and of its answer.
    call_id: Option<String>,
    name: Option<String>,
    namespace: Option<String>,
    /// A text, or the object itself where the call is a search for tools.
    arguments: Option<Value>,
    input: Option<String>,
    output: Option<Words>,
    /// Of the answer of a search for tools.
    tools: Option<Box<RawValue>>,
    /// Of the model's reasoning.
    summary: Option<Vec<ContentPart>>,
}

/// A text, or parts.
type Words = TextOr<ContentPart>;

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContentPart {
    r#type: String,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<String>,
    detail: Option<String>,
    file_id: Option<String>,
    file_data: Option<String>,
    filename: Option<String>,
    file_url: Option<String>,
}

/// Adds the chat's messages that stand for the items of the member with this name. The model's items that follow one
/// another (reasoning, words, calls of tools) are one message. Items and parts that a chat has no place for are left out.
///
/// # Errors
/// `InvalidArgument` names the item.
pub(super) fn add(name: &str, items: Vec<Item>, out: &mut Vec<Message>, left_out: &mut LeftOut) -> Result<()> {
    // Whether the last message is the model's and may grow.
    let mut grows = false;
    for (index, item) in items.into_iter().enumerate() {
        grows = item.add(&format!("{name}[{index}]"), grows, out, left_out)?;
    }
    Ok(())
}

impl Item {
    /// Reads the items of the member with this name.
    ///
    /// # Errors
    /// `InvalidArgument` names the item.
    pub(super) fn list<'a>(name: &str, items: impl IntoIterator<Item = &'a RawValue>) -> Result<Vec<Self>> {
        let read = |index: usize, item: &RawValue| {
            if item.get().starts_with('[') {
                // A record reads from a list, too, by the places of its members.
                let at = format!("{name}[{index}]");
                return Err(Error::invalid(&at, format!("{at} must be an object with a type")));
            }
            let again = || serde_json::Deserializer::from_str(item.get());
            let fault = |_| fault_in::<Self, _>(&format!("{name}[{index}]"), &mut again());
            serde_json::from_str(item.get()).or_else(|wrong| Self::of_server(item).ok_or(wrong)).map_err(fault)
        };
        items.into_iter().enumerate().map(|(index, item)| read(index, item)).collect()
    }

    /// An item of a kind that only a server of this API knows; its other members may have any form. `None`: it is of
    /// another kind.
    fn of_server(item: &RawValue) -> Option<Self> {
        let kind = last(item.get(), "type").filter(|kind| kind.is_string())?.text().into_owned();
        (!KINDS.contains(&kind.as_str())).then(|| Self { r#type: Some(kind), ..Self::default() })
    }

    /// The tools that the item brings; `None`: it is of another kind.
    pub(super) fn brought_tools(&self) -> Option<&RawValue> {
        match self.r#type.as_deref() {
            Some("additional_tools" | "tool_search_output") => self.tools.as_deref(),
            _ => None,
        }
    }

    /// Answers whether the next item of the model's belongs to the last message.
    fn add(self, at: &str, grows: bool, out: &mut Vec<Message>, left_out: &mut LeftOut) -> Result<bool> {
        let kind = self.r#type.as_deref().unwrap_or("message");
        match kind {
            "message" => self.message(at, grows, out, left_out),
            "reasoning" => {
                let text = self.thought();
                if !text.is_empty() {
                    // Reasoning begins a message.
                    out.push(Message { reasoning_content: Some(text), ..Message::new(Role::Assistant, None) });
                    return Ok(true);
                }
                Ok(grows)
            }
            "function_call" | "custom_tool_call" => {
                let missing = |name: &str| missing(&format!("{at}.{name}"));
                let arguments = match (kind, self.arguments) {
                    ("custom_tool_call", _) => {
                        json!({"input": self.input.ok_or_else(|| missing("input"))?}).to_string()
                    }
                    (_, Some(Value::String(arguments))) => arguments,
                    (_, None) => return Err(missing("arguments")),
                    (_, Some(_)) => {
                        let at = format!("{at}.arguments");
                        return Err(Error::invalid(&at, format!("{at} must be a text that holds the JSON object")));
                    }
                };
                let name = self.name.ok_or_else(|| missing("name"))?;
                let name = function_name(self.namespace.as_deref(), &name);
                let call = ToolCall::new(self.call_id.ok_or_else(|| missing("call_id"))?, name, arguments);
                model(grows, out).tool_calls.push(call);
                Ok(true)
            }
            // The tools themselves are offered like others.
            "additional_tools" => Ok(grows),
            // A search without an id is one that a host ran.
            "tool_search_call" | "tool_search_output" if self.call_id.is_none() => Ok(grows),
            "tool_search_call" => {
                let arguments = self.arguments.unwrap_or_else(|| json!({})).to_string();
                let call = ToolCall::new(self.call_id.unwrap_or_default(), SEARCH, arguments);
                model(grows, out).tool_calls.push(call);
                Ok(true)
            }
            "tool_search_output" => {
                let tools = self.tools.map(|tools| member(&format!("{at}.tools"), &tools)).transpose()?.flatten();
                let found = json!({"tools": function_names(&tools.unwrap_or_default())}).to_string();
                out.push(Message::tool(self.call_id.unwrap_or_default(), Content::Text(found)));
                Ok(false)
            }
            "function_call_output" | "custom_tool_call_output" => {
                let call = self.call_id.ok_or_else(|| missing(&format!("{at}.call_id")))?;
                let output = self.output.ok_or_else(|| missing(&format!("{at}.output")))?;
                let parts = output.into_parts(&format!("{at}.output"), left_out)?;
                let (text, others) = Content::split(parts);
                out.push(Message::tool(call, Content::Text(text)));
                // A chat's tool answers with a text alone, so images go into a message behind it.
                out.extend(Content::of(others).map(|content| Message::new(Role::User, Some(content))));
                Ok(false)
            }
            other => {
                let at = format!("{at}.type");
                let kinds = choice(&KINDS);
                let words = format!("{at} {other:?}: no miner here knows such items: use {kinds}");
                left_out.need(Error::invalid(&at, words));
                Ok(grows)
            }
        }
    }

    fn message(self, at: &str, grows: bool, out: &mut Vec<Message>, left_out: &mut LeftOut) -> Result<bool> {
        let role = self.role.ok_or_else(|| missing(&format!("{at}.role")))?;
        let content = self.content.ok_or_else(|| missing(&format!("{at}.content")))?;
        let at_content = || format!("{at}.content");
        let role = match role.as_str() {
            "user" => Role::User,
            // Most chat templates know the older name alone.
            "system" | "developer" => Role::System,
            "assistant" => {
                let (text, refusal) = content.into_words(&at_content(), left_out);
                // Words behind a call of a tool are a message of their own.
                let grows =
                    grows && out.last().is_some_and(|last| last.tool_calls.is_empty() && last.content.is_none());
                let message = model(grows, out);
                message.content = text.map(Content::Text);
                message.refusal = refusal;
                return Ok(true);
            }
            _ => {
                let at = format!("{at}.role");
                return Err(Error::invalid(&at, format!("{at} must be user, assistant, system or developer")));
            }
        };
        if let Words::Text(text) = content {
            out.push(Message::new(role, Some(Content::Text(text))));
            return Ok(false);
        }
        let parts = content.into_parts(&at_content(), left_out)?;
        out.push(Message::new(role, Some(Content::of(parts).unwrap_or(Content::Text(String::new())))));
        Ok(false)
    }

    /// The text of reasoning: the reasoning itself, else its summary.
    fn thought(self) -> String {
        let text = |parts: Vec<ContentPart>| parts.into_iter().filter_map(|part| part.text).collect::<String>();
        let own = match self.content {
            Some(Words::List(parts)) => text(parts),
            Some(Words::Text(text)) => text,
            None => String::new(),
        };
        if own.is_empty() { text(self.summary.unwrap_or_default()) } else { own }
    }
}

impl Words {
    /// The parts of a content of a user, a system or a tool.
    fn into_parts(self, at: &str, left_out: &mut LeftOut) -> Result<Vec<Part>> {
        let parts = match self {
            Self::Text(text) => return Ok(vec![Part::text(text)]),
            Self::List(parts) => parts,
        };
        let mut all = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            all.extend(part.into_part(&format!("{at}[{index}]"), left_out)?);
        }
        Ok(all)
    }

    /// The words of the model, and its reason for not answering.
    fn into_words(self, at: &str, left_out: &mut LeftOut) -> (Option<String>, Option<String>) {
        let parts = match self {
            Self::Text(text) => return (Some(text), None),
            Self::List(parts) => parts,
        };
        let (mut text, mut refusal) = (None::<String>, None::<String>);
        for (index, part) in parts.into_iter().enumerate() {
            match part.r#type.as_str() {
                "output_text" | "text" | "input_text" => {
                    text.get_or_insert_default().push_str(&part.text.unwrap_or_default());
                }
                "refusal" => refusal.get_or_insert_default().push_str(&part.refusal.unwrap_or_default()),
                other => left_out.need(unsupported(&format!("{at}[{index}].type"), other, "output_text or refusal")),
            }
        }
        (text, refusal)
    }
}

impl ContentPart {
    /// The part of a chat; `None`: only a server of this API has a place for it.
    fn into_part(self, at: &str, left_out: &mut LeftOut) -> Result<Option<Part>> {
        let part = match self.r#type.as_str() {
            "input_text" | "output_text" | "text" => {
                Part::text(self.text.ok_or_else(|| missing(&format!("{at}.text")))?)
            }
            "input_image" => match (self.image_url, self.file_id) {
                (Some(url), _) => Part::image(url, self.detail),
                (None, Some(_)) => {
                    left_out.need(no_files(&format!("{at}.file_id")));
                    return Ok(None);
                }
                (None, None) => return Err(missing(&format!("{at}.image_url"))),
            },
            "input_file" => match (self.file_data, self.file_id, self.file_url) {
                (Some(data), ..) => Part::file(File { filename: self.filename, file_data: Some(data), file_id: None }),
                (None, Some(_), _) => {
                    left_out.need(no_files(&format!("{at}.file_id")));
                    return Ok(None);
                }
                (None, None, Some(_)) => {
                    let at = format!("{at}.file_url");
                    let words = format!("{at}: the router fetches no files: send file_data");
                    left_out.need(Error::invalid(&at, words));
                    return Ok(None);
                }
                (None, None, None) => return Err(missing(&format!("{at}.file_data"))),
            },
            other => {
                left_out.need(unsupported(&format!("{at}.type"), other, "input_text, input_image or input_file"));
                return Ok(None);
            }
        };
        Ok(Some(part))
    }
}

/// The model's message that grows; a new one if none does.
fn model(grows: bool, out: &mut Vec<Message>) -> &mut Message {
    if !(grows && out.last().is_some_and(|last| last.role == Role::Assistant)) {
        out.push(Message::new(Role::Assistant, None));
    }
    let last = out.len() - 1;
    &mut out[last]
}

fn no_files(param: &str) -> Error {
    Error::invalid(param, format!("{param}: the router keeps no files: send the data themselves"))
}
