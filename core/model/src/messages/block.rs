//! The blocks that a message's content consists of, and the chat's messages that stand for them.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chat::{Content, File, LeftOut, Message, Part, Role, TextOr, missing, unsupported};
use crate::{Function, Result, ToolCall};

/// A block as it comes. `type` says which of the other members counts.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Block {
    r#type: String,
    text: Option<String>,
    source: Option<Source>,
    title: Option<String>,
    /// Of a call of a tool.
    id: Option<String>,
    name: Option<String>,
    input: Option<Box<RawValue>>,
    /// Of the answer of a tool.
    tool_use_id: Option<String>,
    content: Option<Blocks>,
    is_error: Option<bool>,
    /// Of the model's reasoning.
    thinking: Option<String>,
}

/// The place of an image or a document.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    r#type: String,
    media_type: Option<String>,
    data: Option<String>,
    url: Option<String>,
    content: Option<Blocks>,
}

/// A content: one text, or blocks.
pub(super) type Blocks = TextOr<Block>;

impl Blocks {
    /// The texts of a system prompt. Between its blocks stands a blank line.
    ///
    /// # Errors
    /// `InvalidArgument` when a block is no text.
    pub(super) fn into_system(self, at: &str) -> Result<String> {
        let blocks = match self {
            Self::Text(text) => return Ok(text),
            Self::List(blocks) => blocks,
        };
        let texts = blocks.into_iter().enumerate().map(|(index, block)| match block.r#type.as_str() {
            "text" => block.text.ok_or_else(|| missing(&format!("{at}[{index}].text"))),
            other => Err(unsupported(&format!("{at}[{index}].type"), other, "text")),
        });
        Ok(texts.collect::<Result<Vec<_>>>()?.join("\n\n"))
    }

    /// The chat's messages that stand for a user's message: the answers of tools, which must follow their calls, and then
    /// the rest.
    ///
    /// # Errors
    /// `InvalidArgument` names the block.
    pub(super) fn into_user(self, at: &str, out: &mut Vec<Message>, left_out: &mut LeftOut) -> Result<()> {
        let blocks = match self {
            Self::Text(text) => {
                out.push(Message::text(Role::User, text));
                return Ok(());
            }
            Self::List(blocks) => blocks,
        };
        let mut parts = Vec::new();
        for (index, block) in blocks.into_iter().enumerate() {
            let at = format!("{at}[{index}]");
            match block.r#type.as_str() {
                "tool_result" => block.tool_result(&at, out, &mut parts, left_out)?,
                _ => parts.extend(block.into_parts(&at, left_out)?),
            }
        }
        if let Some(content) = Content::of(parts) {
            out.push(Message::new(Role::User, Some(content)));
        }
        Ok(())
    }

    /// The chat's message that stands for a message of the model.
    ///
    /// # Errors
    /// `InvalidArgument` names the block.
    pub(super) fn into_assistant(self, at: &str, left_out: &mut LeftOut) -> Result<Message> {
        let blocks = match self {
            Self::Text(text) => return Ok(Message::text(Role::Assistant, text)),
            Self::List(blocks) => blocks,
        };
        let mut message = Message::new(Role::Assistant, None);
        let (mut text, mut spoke) = (String::new(), false);
        for (index, block) in blocks.into_iter().enumerate() {
            let at = format!("{at}[{index}]");
            match block.r#type.as_str() {
                "text" => {
                    text.push_str(&block.text.ok_or_else(|| missing(&format!("{at}.text")))?);
                    spoke = true;
                }
                "thinking" => {
                    let thought = message.reasoning_content.get_or_insert_default();
                    thought.push_str(&block.thinking.unwrap_or_default());
                }
                // Only the server that wrote it can read it.
                "redacted_thinking" => {}
                "tool_use" => message.tool_calls.push(block.into_call(&at)?),
                // Such as the search of a server, and what it found.
                other => {
                    let words = "text, thinking, redacted_thinking or tool_use";
                    left_out.need(unsupported(&format!("{at}.type"), other, words));
                }
            }
        }
        message.content = spoke.then_some(Content::Text(text));
        Ok(message)
    }

    /// The parts of a content without calls of tools or their answers.
    fn into_parts(self, at: &str, left_out: &mut LeftOut) -> Result<Vec<Part>> {
        match self {
            Self::Text(text) => Ok(vec![Part::text(text)]),
            Self::List(blocks) => {
                let mut parts = Vec::with_capacity(blocks.len());
                for (index, block) in blocks.into_iter().enumerate() {
                    parts.extend(block.into_parts(&format!("{at}[{index}]"), left_out)?);
                }
                Ok(parts)
            }
        }
    }
}

impl Block {
    /// The parts that stand for a block of a user's: most blocks have one.
    fn into_parts(self, at: &str, left_out: &mut LeftOut) -> Result<Vec<Part>> {
        let source = |source: Option<Source>| source.ok_or_else(|| missing(&format!("{at}.source")));
        let at_source = format!("{at}.source");
        match self.r#type.as_str() {
            "text" => Ok(vec![Part::text(self.text.ok_or_else(|| missing(&format!("{at}.text")))?)]),
            "image" => {
                let url = source(self.source)?.into_url(&at_source, left_out)?;
                Ok(url.map(|url| Part::image(url, None)).into_iter().collect())
            }
            "document" => source(self.source)?.into_document(self.title, &at_source, left_out),
            // A passage that the caller found by a search of its own.
            "search_result" => self.content.unwrap_or_default().into_parts(&format!("{at}.content"), left_out),
            other => {
                let words = "text, image, document, search_result or tool_result";
                left_out.need(unsupported(&format!("{at}.type"), other, words));
                Ok(Vec::new())
            }
        }
    }

    /// Adds the answer of a tool. A chat's tool answers with a text alone, so images go into the message behind it.
    fn tool_result(
        self,
        at: &str,
        out: &mut Vec<Message>,
        parts: &mut Vec<Part>,
        left_out: &mut LeftOut,
    ) -> Result<()> {
        let call = self.tool_use_id.ok_or_else(|| missing(&format!("{at}.tool_use_id")))?;
        let said = self.content.unwrap_or_default().into_parts(&format!("{at}.content"), left_out)?;
        let (mut text, others) = Content::split(said);
        if text.is_empty() && self.is_error == Some(true) {
            "error".clone_into(&mut text);
        }
        if text.is_empty() && !others.is_empty() {
            "The result follows.".clone_into(&mut text);
        }
        out.push(Message::tool(call, Content::Text(text)));
        parts.extend(others);
        Ok(())
    }

    /// A call of a tool.
    fn into_call(self, at: &str) -> Result<ToolCall> {
        let name = self.name.ok_or_else(|| missing(&format!("{at}.name")))?;
        let arguments = self.input.map_or_else(|| "{}".to_owned(), |input| Box::<str>::from(input).into());
        Ok(ToolCall::default()
            .id(self.id.ok_or_else(|| missing(&format!("{at}.id")))?)
            .r#type("function")
            .function(Function::default().name(name).arguments(arguments)))
    }
}

impl Source {
    /// A URL; data become a `data:` URL. `None`: only a server of this API reads it.
    fn into_url(self, at: &str, left_out: &mut LeftOut) -> Result<Option<String>> {
        match self.r#type.as_str() {
            "url" => self.url.ok_or_else(|| missing(&format!("{at}.url"))).map(Some),
            "base64" => {
                let kind = self.media_type.ok_or_else(|| missing(&format!("{at}.media_type")))?;
                let data = self.data.ok_or_else(|| missing(&format!("{at}.data")))?;
                Ok(Some(format!("data:{kind};base64,{data}")))
            }
            other => {
                left_out.need(unsupported(&format!("{at}.type"), other, "base64 or url"));
                Ok(None)
            }
        }
    }

    fn into_document(self, title: Option<String>, at: &str, left_out: &mut LeftOut) -> Result<Vec<Part>> {
        match self.r#type.as_str() {
            "text" => Ok(vec![Part::text(self.data.ok_or_else(|| missing(&format!("{at}.data")))?)]),
            "content" => self.content.unwrap_or_default().into_parts(&format!("{at}.content"), left_out),
            "base64" => {
                let filename = Some(title.unwrap_or_else(|| "document.pdf".to_owned()));
                let file_data = self.into_url(at, left_out)?;
                Ok(vec![Part::file(File { filename, file_data, file_id: None })])
            }
            other => {
                let words = "base64, text or content: no server here fetches documents";
                left_out.need(unsupported(&format!("{at}.type"), other, words));
                Ok(Vec::new())
            }
        }
    }
}
