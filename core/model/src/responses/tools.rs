//! The tools of a request as the functions that a chat offers, and the way back from a function that was called.
//!
//! | tool | function |
//! |---|---|
//! | `function` | itself |
//! | `custom`, which takes free text | one with the argument `input` |
//! | `namespace` | its tools, with the name of the namespace before their own |
//! | `tool_search` that the client runs | one with the name `tool_search` |
//! | a tool that only a host runs | none |

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::item::Item;
use crate::chat::{LeftOut, Tool, ToolFunction, into_raw, is_hosted, member, missing, not_run};
use crate::{Error, Result};

/// The function that stands for the search for tools that the client runs.
pub(super) const SEARCH: &str = "tool_search";

/// The namespace of the tools that have none.
const NO_NAMESPACE: &str = "functions";

/// Tools that only a host runs. Some have the date of a version in their name.
const HOSTED: &[&str] = &["web_search", "file_search", "code_interpreter", "image_generation", "mcp", SEARCH];

/// A tool as it comes. `type` says which of the other members counts.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Offered {
    r#type: String,
    name: Option<String>,
    description: Option<String>,
    parameters: Option<Box<RawValue>>,
    strict: Option<bool>,
    /// Of a tool that takes free text.
    format: Option<Value>,
    /// Of a search for tools: who runs it.
    execution: Option<String>,
    /// Of a namespace.
    tools: Vec<Box<RawValue>>,
}

/// The tools of a request.
#[derive(Default)]
pub(super) struct Tools {
    /// As a chat offers them.
    pub(super) functions: Vec<Tool>,
    /// As the response shows them.
    pub(super) shown: Vec<Value>,
    pub(super) left_out: LeftOut,
    /// The names of the functions.
    names: BTreeSet<String>,
}

impl Tools {
    /// Takes a list of tools, which stands at that place of the request. A tool that comes again counts once.
    ///
    /// # Errors
    /// `InvalidArgument` names the tool.
    pub(super) fn take(&mut self, at: &str, list: &RawValue) -> Result<()> {
        for (index, tool) in member::<Vec<Box<RawValue>>>(at, list)?.unwrap_or_default().iter().enumerate() {
            let at = format!("{at}[{index}]");
            if self.offer(&at, tool, None)? {
                self.shown.push(shown(&at, tool)?);
            }
        }
        Ok(())
    }

    /// Takes the tools that items of the input bring.
    ///
    /// # Errors
    /// `InvalidArgument` names the tool.
    pub(super) fn take_items(&mut self, items: &[Item]) -> Result<()> {
        for (index, item) in items.iter().enumerate() {
            if let Some(tools) = item.brought_tools() {
                self.take(&format!("input[{index}].tools"), tools)?;
            }
        }
        Ok(())
    }

    /// Offers one tool to the model, in that namespace. Answers whether there is something new to offer.
    fn offer(&mut self, at: &str, tool: &RawValue, namespace: Option<&str>) -> Result<bool> {
        let Offered { r#type: kind, name, description, parameters, strict, format, execution, tools } =
            member(at, tool)?.ok_or_else(|| missing(at))?;
        let named = |name: Option<String>| name.ok_or_else(|| missing(&format!("{at}.name")));
        let function = match kind.as_str() {
            "function" => ToolFunction { name: named(name)?, description, parameters, strict },
            "custom" => {
                let schema =
                    json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]});
                // The model learns the grammar of the text from the description.
                let grammar = format.filter(|format| format["type"] == "grammar").map(|format| format.to_string());
                let description = [description, grammar].into_iter().flatten().collect::<Vec<_>>().join("\n\n");
                let description = Some(description).filter(|text| !text.is_empty());
                ToolFunction { name: named(name)?, description, parameters: Some(into_raw(&schema)?), strict: None }
            }
            "namespace" if namespace.is_none() => {
                let name = named(name)?;
                let mut is_new = false;
                for (index, tool) in tools.iter().enumerate() {
                    is_new |= self.offer(&format!("{at}.tools[{index}]"), tool, Some(&name))?;
                }
                return Ok(is_new);
            }
            SEARCH if execution.as_deref() == Some("client") => {
                ToolFunction { name: SEARCH.to_owned(), description, parameters, strict: None }
            }
            hosted if is_hosted(hosted, HOSTED) => {
                self.left_out.add(&format!("{at}.type"), hosted);
                return Ok(false);
            }
            // The client may run it, but only a model that was made for it calls it.
            other if namespace.is_none() && !other.is_empty() => {
                self.left_out.need(not_run(&format!("{at}.type"), other));
                return Ok(false);
            }
            other => return Err(not_run(&format!("{at}.type"), other)),
        };
        let function = ToolFunction { name: function_name(namespace, &function.name), ..function };
        let is_new = self.names.insert(function.name.clone());
        if is_new {
            self.functions.push(Tool::function(function));
        }
        Ok(is_new)
    }
}

/// The name of the function that stands for a tool.
pub(super) fn function_name(namespace: Option<&str>, name: &str) -> String {
    match namespace {
        None | Some("" | NO_NAMESPACE) => name.to_owned(),
        Some(namespace) if namespace.ends_with('_') || name.starts_with('_') => format!("{namespace}{name}"),
        Some(namespace) => format!("{namespace}__{name}"),
    }
}

/// The names of the functions that stand for these tools.
pub(super) fn function_names(tools: &Value) -> Vec<String> {
    each(tools.as_array().map_or(&[][..], Vec::as_slice)).map(|(namespace, tool)| name_of(namespace, tool)).collect()
}

/// Every tool with its namespace.
fn each(tools: &[Value]) -> impl Iterator<Item = (Option<&str>, &Value)> {
    tools.iter().flat_map(|tool| {
        let inner = if tool["type"] == "namespace" { tool["tools"].as_array() } else { None };
        let namespace = inner.and_then(|_| tool["name"].as_str());
        inner.map_or_else(|| std::slice::from_ref(tool), Vec::as_slice).iter().map(move |tool| (namespace, tool))
    })
}

fn name_of(namespace: Option<&str>, tool: &Value) -> String {
    match tool["type"].as_str() {
        Some(SEARCH) => SEARCH.to_owned(),
        _ => function_name(namespace, tool["name"].as_str().unwrap_or_default()),
    }
}

/// A tool as the response shows it. A function has all of its members.
fn shown(at: &str, tool: &RawValue) -> Result<Value> {
    let mut shown: Value = member(at, tool)?.unwrap_or_default();
    if shown["type"] == "function"
        && let Some(members) = shown.as_object_mut()
    {
        for name in ["description", "parameters", "strict"] {
            members.entry(name).or_insert(Value::Null);
        }
    }
    Ok(shown)
}

/// How a tool is called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// With arguments, which are JSON.
    #[default]
    Function,
    /// With free text.
    Custom,
    /// With arguments, by an item of its own.
    Search,
}

/// The tool that a call means.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Called {
    pub(super) kind: Kind,
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl Called {
    /// Finds the tool for which a function stands. A function that stands for none is a tool itself.
    pub(super) fn of(tools: &[Value], function: &str) -> Self {
        let found = each(tools).find(|(namespace, tool)| name_of(*namespace, tool) == function);
        let Some((namespace, tool)) = found else { return Self { name: function.to_owned(), ..Self::default() } };
        let kind = match tool["type"].as_str() {
            Some("custom") => Kind::Custom,
            Some(SEARCH) => Kind::Search,
            _ => Kind::Function,
        };
        Self {
            kind,
            namespace: namespace.filter(|name| *name != NO_NAMESPACE).map(str::to_owned),
            name: tool["name"].as_str().unwrap_or(function).to_owned(),
        }
    }
}

/// The rule for which tools are called, in a chat's words.
///
/// # Errors
/// `InvalidArgument`
pub(super) fn choice_of(choice: &Value) -> Result<Value> {
    match choice {
        Value::String(word) if matches!(word.as_str(), "auto" | "none" | "required") => Ok(choice.clone()),
        Value::Object(named) => match (named.get("type").and_then(Value::as_str), named.get("name"), named.get("mode"))
        {
            (Some("function" | "custom"), Some(Value::String(name)), _) => {
                let name = function_name(choice["namespace"].as_str(), name);
                Ok(json!({"type": "function", "function": {"name": name}}))
            }
            // The allowed tools are all that are offered, as far as a chat can say.
            (Some("allowed_tools"), _, mode) => Ok(mode.cloned().unwrap_or_else(|| json!("auto"))),
            _ => Err(wrong_choice()),
        },
        _ => Err(wrong_choice()),
    }
}

/// Whether a rule names a tool of a type that a chat does not know.
pub(super) fn is_hosts(choice: &Value) -> bool {
    choice["type"].as_str().is_some_and(|kind| !matches!(kind, "function" | "custom" | "allowed_tools"))
}

fn wrong_choice() -> Error {
    let words = "tool_choice must be auto, none, required, or an object with the type function and a name";
    Error::invalid("tool_choice", words)
}
