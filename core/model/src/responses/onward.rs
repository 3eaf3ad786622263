//! A chat as a request of the Responses API, for a server that speaks no other.
//!
//! Reasoning of earlier answers is left out, because the API takes it only in the form that its own server gave it, and
//! so is `seed`. Sequences at which the model stops, sound and several answers are refused.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::chat::{Form, Message, Offer, Part, Request, Role, ToolChoice, Written, missing, unsayable, unsupported};
use crate::{Error, Result, ToolCall};

/// The member by which the server also gives the probabilities of the tokens.
const PROBABILITIES: &str = "message.output_text.logprobs";

/// The body of a request of the Responses API that stands for the chat. `model` is the server's name of the model.
///
/// # Errors
/// `InvalidArgument` names a member that this API cannot say.
pub fn onward(chat: Request<'_>, model: Option<&str>, stream: bool) -> Result<Written> {
    if !chat.stop.is_empty() {
        return Err(unsayable("stop"));
    }
    let mut body = Written::default();
    if let Some(model) = model {
        body.set("model", model)?;
    }
    body.set("input", &input(chat.messages)?)?;
    if let Some(most) = chat.most_tokens {
        body.set("max_output_tokens", &most)?;
    }
    if stream {
        body.set("stream", &true)?;
    }
    // A chat's server keeps no answer unless the caller asks it to.
    body.set("store", &false)?;
    if !chat.tools.is_empty() {
        body.set("tools", &chat.tools.iter().map(tool).collect::<Result<Vec<_>>>()?)?;
    }
    match &chat.choice {
        None => {}
        Some(ToolChoice::Named(name)) => body.set("tool_choice", &json!({"type": "function", "name": name}))?,
        Some(choice) => body.set("tool_choice", choice)?,
    }
    if let Some(parallel) = chat.parallel {
        body.set("parallel_tool_calls", &parallel)?;
    }
    text(&chat.form, chat.verbosity.as_deref(), &mut body)?;
    if let Some(effort) = &chat.effort {
        body.set("reasoning", &json!({"effort": effort}))?;
    }
    if let Some(user) = &chat.user {
        body.set("user", user)?;
    }
    if let Some(beside) = chat.probabilities {
        body.set("include", &[PROBABILITIES])?;
        body.set("top_logprobs", &beside)?;
    }
    for (name, value) in chat.others.into_iter().filter(|(_, value)| value.get() != "null") {
        // The caller knows the server and speaks its words.
        body.set_raw(name, value.to_owned());
    }
    Ok(body)
}

/// Sets the form of the text.
fn text(form: &Form, verbosity: Option<&str>, body: &mut Written) -> Result<()> {
    let mut text = Written::default();
    match form {
        Form::Text => {}
        Form::Object => text.set("format", &json!({"type": "json_object"}))?,
        Form::Schema(given) => {
            let mut format = Written::default();
            format.set("type", "json_schema")?;
            format.set("name", given.name.as_deref().unwrap_or("output"))?;
            if let Some(description) = &given.description {
                format.set("description", description)?;
            }
            let schema = given.schema.as_deref().ok_or_else(|| missing("response_format.json_schema.schema"))?;
            format.set_raw("schema", schema.to_owned());
            if let Some(strict) = given.strict {
                format.set("strict", &strict)?;
            }
            text.set_raw("format", format.into_raw()?);
        }
    }
    if let Some(verbosity) = verbosity {
        text.set("verbosity", verbosity)?;
    }
    if text.is_empty() {
        return Ok(());
    }
    body.set_raw("text", text.into_raw()?);
    Ok(())
}

/// The items that stand for the messages.
fn input(messages: Vec<Message>) -> Result<Vec<Value>> {
    let mut items = Vec::with_capacity(messages.len());
    for (index, mut message) in messages.into_iter().enumerate() {
        let at = format!("messages[{index}]");
        match message.role {
            Role::Tool => {
                let call = message.tool_call_id.take().ok_or_else(|| missing(&format!("{at}.tool_call_id")))?;
                let output = match parts(message.into_parts(), "input", &at)?.as_slice() {
                    [] => Value::from(""),
                    [part] if part["type"] == "input_text" => part["text"].clone(),
                    parts => Value::from(parts.to_vec()),
                };
                items.push(json!({"type": "function_call_output", "call_id": call, "output": output}));
            }
            Role::Assistant => {
                let calls = std::mem::take(&mut message.tool_calls);
                let refusal = message.refusal.take().filter(|text| !text.is_empty());
                let mut content = parts(message.into_parts(), "output", &at)?;
                content.extend(refusal.map(|text| json!({"type": "refusal", "refusal": text})));
                push(&mut items, Role::Assistant, &content);
                for ToolCall { id, function, .. } in calls {
                    items.push(json!({
                        "type": "function_call",
                        "call_id": id,
                        "name": function.name,
                        "arguments": function.arguments,
                    }));
                }
            }
            role => push(&mut items, role, &parts(message.into_parts(), "input", &at)?),
        }
    }
    if items.is_empty() {
        return Err(Error::invalid("messages", "messages says nothing, and this model's server needs some words"));
    }
    Ok(items)
}

/// Adds a message, unless it says nothing.
fn push(items: &mut Vec<Value>, role: Role, content: &[Value]) {
    if !content.is_empty() {
        items.push(json!({"type": "message", "role": role, "content": content}));
    }
}

/// The parts of a message. `side` is `input`, or `output` for the model's own.
fn parts(parts: Vec<Part>, side: &str, at: &str) -> Result<Vec<Value>> {
    let part = |(place, part)| part_of(part, side, &format!("{at}.content[{place}]"));
    parts.into_iter().enumerate().map(part).collect()
}

fn part_of(part: Part, side: &str, at: &str) -> Result<Value> {
    let missing = |name: &str| missing(&format!("{at}.{name}"));
    match part.r#type.as_str() {
        "text" => {
            let text = part.text.ok_or_else(|| missing("text"))?;
            Ok(json!({"type": format!("{side}_text"), "text": text}))
        }
        "refusal" => Ok(json!({"type": "refusal", "refusal": part.refusal.ok_or_else(|| missing("refusal"))?})),
        "image_url" => {
            let image = part.image_url.ok_or_else(|| missing("image_url"))?;
            let mut item = json!({"type": "input_image", "image_url": image.url});
            if let Some(detail) = image.detail {
                item["detail"] = detail.into();
            }
            Ok(item)
        }
        "file" => {
            let file = part.file.ok_or_else(|| missing("file"))?;
            let mut item = json!({"type": "input_file"});
            for (name, value) in [("filename", file.filename), ("file_data", file.file_data), ("file_id", file.file_id)]
            {
                if let Some(value) = value {
                    item[name] = value.into();
                }
            }
            Ok(item)
        }
        other => Err(unsupported(&format!("{at}.type"), other, "text, image_url or file")),
    }
}

fn tool(offer: &Offer) -> Result<Box<RawValue>> {
    let function = match offer {
        Offer::Function(function) => function,
        Offer::Other(tool) => return Ok(tool.clone()),
    };
    let mut tool = Written::default();
    tool.set("type", "function")?;
    tool.set("name", &function.name)?;
    if let Some(description) = &function.description {
        tool.set("description", description)?;
    }
    match &function.parameters {
        Some(schema) => tool.set_raw("parameters", schema.clone()),
        None => tool.set("parameters", &json!({"type": "object", "properties": {}}))?,
    }
    // This API is strict unless it is told otherwise, and a chat is not.
    tool.set("strict", &function.strict.unwrap_or(false))?;
    tool.into_raw()
}
