//! A chat as a request of the Messages API, for a server that speaks no other.
//!
//! | in the chat | in the request |
//! |---|---|
//! | messages of `system` and `developer` | `system`, wherever they stand |
//! | answers of tools and the user's words behind them | one message of the user |
//! | reasoning of earlier answers | left out: the API takes it only with the signature of its own server |
//! | `temperature` above 1 | 1, the API's greatest |
//! | no limit of tokens | the limit that the upstream's configuration gives |
//! | members of [`UNTRANSLATED`] | left out |
//! | what the API cannot say (`json_object`, sound, several answers, probabilities) | refused |

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::chat::{
    Form, Message, Offer, Part, Request, Role, ToolChoice, Written, arguments_object, into_raw, member, missing,
    unsayable, unsupported,
};
use crate::hex::hex;
use crate::{Error, Result, ToolCall};

/// Members of a chat that only tune the answer, or concern OpenAI's own servers. The request is served without them.
const UNTRANSLATED: &[&str] = &[
    "frequency_penalty",
    "metadata",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
];

/// The greatest temperature of the API.
const HOTTEST: f64 = 1.0;

/// A block of a message.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    Image {
        source: Value,
    },
    Document {
        source: Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<String>,
    },
    ToolUse {
        id: String,
        name: String,
        input: Box<RawValue>,
    },
    ToolResult {
        tool_use_id: String,
        content: Vec<Block>,
    },
}

#[derive(Serialize)]
struct Turn {
    role: &'static str,
    content: Vec<Block>,
}

/// The body of a request of the Messages API that stands for the chat. `model` is the server's name of the model,
/// `most_tokens` the limit for a chat that gives none.
///
/// # Errors
/// `InvalidArgument` names a member that this API cannot say.
pub fn onward(chat: Request<'_>, model: Option<&str>, stream: bool, most_tokens: u64) -> Result<Written> {
    let mut body = Written::default();
    if let Some(model) = model {
        body.set("model", model)?;
    }
    body.set("max_tokens", &chat.most_tokens.unwrap_or(most_tokens))?;
    let (system, turns) = turns(chat.messages)?;
    if !system.is_empty() {
        body.set("system", &system.join("\n\n"))?;
    }
    body.set("messages", &turns)?;
    if stream {
        body.set("stream", &true)?;
    }
    if !chat.tools.is_empty() {
        body.set("tools", &chat.tools.iter().map(tool).collect::<Result<Vec<_>>>()?)?;
        if let Some(choice) = choice(chat.choice.as_ref(), chat.parallel) {
            body.set("tool_choice", &choice)?;
        }
    }
    if !chat.stop.is_empty() {
        body.set("stop_sequences", &chat.stop)?;
    }
    if let Some(user) = &chat.user {
        body.set("metadata", &json!({"user_id": user}))?;
    }
    if chat.probabilities.is_some() {
        return Err(unsayable("logprobs"));
    }
    output(&chat.form, chat.effort.as_deref(), &mut body)?;
    for (name, value) in chat.others {
        match name {
            "temperature" => {
                if let Some(temperature) = member::<f64>(name, value)? {
                    let is_cool = temperature <= HOTTEST;
                    body.set_raw(name, if is_cool { value.to_owned() } else { into_raw(&HOTTEST)? });
                }
            }
            _ if UNTRANSLATED.contains(&name) || value.get() == "null" => {}
            // The caller knows the server and speaks its words.
            _ => body.set_raw(name, value.to_owned()),
        }
    }
    Ok(body)
}

/// Sets the form of the answer and the effort.
fn output(form: &Form, effort: Option<&str>, body: &mut Written) -> Result<()> {
    let mut config = Written::default();
    match effort {
        None => {}
        Some("none") => body.set("thinking", &json!({"type": "disabled"}))?,
        Some("minimal") => config.set("effort", "low")?,
        Some(effort) => config.set("effort", effort)?,
    }
    match form {
        Form::Text => {}
        Form::Object => {
            return Err(unsupported(
                "response_format.type",
                "json_object",
                "json_schema: this model's server has no other",
            ));
        }
        Form::Schema(given) => {
            let schema = given.schema.as_deref().ok_or_else(|| missing("response_format.json_schema.schema"))?;
            let mut format = Written::default();
            format.set("type", "json_schema")?;
            format.set_raw("schema", schema.to_owned());
            config.set_raw("format", format.into_raw()?);
        }
    }
    if !config.is_empty() {
        body.set_raw("output_config", config.into_raw()?);
    }
    Ok(())
}

/// The texts of the system's messages, and the other messages.
fn turns(messages: Vec<Message>) -> Result<(Vec<String>, Vec<Turn>)> {
    let (mut system, mut turns) = (Vec::new(), Vec::<Turn>::new());
    // The answers of tools, which must stand together in the message behind the calls.
    let mut results = Vec::new();
    for (index, message) in messages.into_iter().enumerate() {
        let at = format!("messages[{index}]");
        match message.role {
            Role::System | Role::Developer => {
                let text = text_of(message, &at)?;
                system.extend(Some(text).filter(|text| !text.is_empty()));
            }
            Role::Tool => results.push(result(message, &at)?),
            Role::User => {
                let mut content = std::mem::take(&mut results);
                content.append(&mut blocks(message.into_parts(), &at)?);
                push(&mut turns, "user", content);
            }
            Role::Assistant => {
                push(&mut turns, "user", std::mem::take(&mut results));
                push(&mut turns, "assistant", answer(message, &at)?);
            }
        }
    }
    push(&mut turns, "user", results);
    if turns.is_empty() {
        let words = "messages has no words of a user or of the model, which this model's server needs";
        return Err(Error::invalid("messages", words));
    }
    Ok((system, turns))
}

/// Adds a message. One that says nothing is none: the API refuses it.
fn push(turns: &mut Vec<Turn>, role: &'static str, content: Vec<Block>) {
    if !content.is_empty() {
        turns.push(Turn { role, content });
    }
}

/// The text of a message that has no other parts.
fn text_of(message: Message, at: &str) -> Result<String> {
    let mut texts = Vec::new();
    for (place, part) in message.into_parts().into_iter().enumerate() {
        match part.text {
            Some(text) => texts.push(text),
            None => return Err(unsupported(&format!("{at}.content[{place}].type"), &part.r#type, "text")),
        }
    }
    Ok(texts.join("\n\n"))
}

/// The id of a call in letters that the API takes. An id with others becomes its digits, so that a call and its answer
/// keep one id.
fn call_id(id: String) -> String {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !id.is_empty() && id.bytes().all(is_fine) { id } else { format!("toolu_{}", hex(id.as_bytes())) }
}

/// The answer of a tool.
fn result(mut message: Message, at: &str) -> Result<Block> {
    let id = message.tool_call_id.take().ok_or_else(|| missing(&format!("{at}.tool_call_id")))?;
    let tool_use_id = call_id(id);
    Ok(Block::ToolResult { tool_use_id, content: blocks(message.into_parts(), at)? })
}

/// The blocks of a message of the model.
fn answer(mut message: Message, at: &str) -> Result<Vec<Block>> {
    let calls = std::mem::take(&mut message.tool_calls);
    let refusal = message.refusal.take().filter(|text| !text.is_empty());
    let mut content = blocks(message.into_parts(), at)?;
    content.extend(refusal.map(|text| Block::Text { text }));
    for call in calls {
        let ToolCall { id, function, .. } = call;
        let input =
            RawValue::from_string(arguments_object(&function.arguments).into_owned()).map_err(Error::internal)?;
        content.push(Block::ToolUse { id: call_id(id), name: function.name, input });
    }
    Ok(content)
}

fn blocks(parts: Vec<Part>, at: &str) -> Result<Vec<Block>> {
    let mut out = Vec::with_capacity(parts.len());
    for (place, part) in parts.into_iter().enumerate() {
        out.extend(block(part, &format!("{at}.content[{place}]"))?);
    }
    Ok(out)
}

/// The block of a part; `None`: it is an empty text, which the API refuses.
fn block(part: Part, at: &str) -> Result<Option<Block>> {
    match part.r#type.as_str() {
        "text" => {
            let text = part.text.ok_or_else(|| missing(&format!("{at}.text")))?;
            Ok(Some(text).filter(|text| !text.is_empty()).map(|text| Block::Text { text }))
        }
        "refusal" => Ok(part.refusal.filter(|text| !text.is_empty()).map(|text| Block::Text { text })),
        "image_url" => {
            let image = part.image_url.ok_or_else(|| missing(&format!("{at}.image_url")))?;
            let source = match data_of(&image.url) {
                Some((kind, data)) => json!({"type": "base64", "media_type": kind, "data": data}),
                None => json!({"type": "url", "url": image.url}),
            };
            Ok(Some(Block::Image { source }))
        }
        "file" => {
            let file = part.file.ok_or_else(|| missing(&format!("{at}.file")))?;
            let data = file.file_data.ok_or_else(|| {
                let at = format!("{at}.file.file_data");
                Error::invalid(&at, format!("{at} is missing: the router keeps no files, send the data themselves"))
            })?;
            let (kind, data) = data_of(&data).unwrap_or(("application/pdf", data.as_str()));
            let source = json!({"type": "base64", "media_type": kind, "data": data});
            Ok(Some(Block::Document { source, title: file.filename }))
        }
        other => Err(unsupported(&format!("{at}.type"), other, "text, image_url or file")),
    }
}

/// The media type and the data of a `data:` URL in base64.
fn data_of(url: &str) -> Option<(&str, &str)> {
    let (kind, data) = url.strip_prefix("data:")?.split_once(',')?;
    Some((kind.strip_suffix(";base64")?, data))
}

fn tool(offer: &Offer) -> Result<Box<RawValue>> {
    let function = match offer {
        Offer::Function(function) => function,
        Offer::Other(tool) => return Ok(tool.clone()),
    };
    let mut tool = Written::default();
    tool.set("name", &function.name)?;
    if let Some(description) = &function.description {
        tool.set("description", description)?;
    }
    match &function.parameters {
        Some(schema) => tool.set_raw("input_schema", schema.clone()),
        None => tool.set("input_schema", &json!({"type": "object", "properties": {}}))?,
    }
    if let Some(strict) = function.strict {
        tool.set("strict", &strict)?;
    }
    tool.into_raw()
}

/// The rule for which tools are called; `None`: the API's own.
fn choice(choice: Option<&ToolChoice>, parallel: Option<bool>) -> Option<Value> {
    let mut rule = match choice {
        None if parallel == Some(false) => json!({"type": "auto"}),
        None => return None,
        Some(ToolChoice::Auto) => json!({"type": "auto"}),
        Some(ToolChoice::None) => return Some(json!({"type": "none"})),
        Some(ToolChoice::Required) => json!({"type": "any"}),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if parallel == Some(false) {
        rule["disable_parallel_tool_use"] = true.into();
    }
    Some(rule)
}
