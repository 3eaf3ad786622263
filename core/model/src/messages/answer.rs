//! A whole answer of the Messages API.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::stop::StopReason;
use crate::chat::{Piece, Said, arguments_object, original_answer};
use crate::{Completion, ToolDelta, Usage};

/// The wishes of a request that decide what its answer shows.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Whether the caller wants to see the model's reasoning.
    pub thinking: bool,
    /// The sequences at which the model stops.
    pub stop_sequences: Vec<String>,
}

impl Wishes {
    /// The stop sequence that ended the text, where the server named one of the caller's.
    pub(super) fn stopped_at<'a>(&self, said: &'a Said) -> Option<&'a str> {
        let sequence = said.stop_sequence.as_deref()?;
        self.stop_sequences.iter().any(|wanted| wanted == sequence).then_some(sequence)
    }
}

/// A message of the model.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Message<'a> {
    /// The id of the answer.
    pub id: &'a str,
    /// `message`
    pub r#type: &'static str,
    /// `assistant`
    pub role: &'static str,
    /// The model that answered.
    pub model: &'a str,
    /// The blocks: reasoning, text, calls of tools.
    pub content: Vec<Block>,
    /// The reason why the message ends.
    pub stop_reason: Option<StopReason>,
    /// The stop sequence that ended it.
    pub stop_sequence: Option<String>,
    /// Token counts.
    pub usage: Counts,
}

/// One block of the model's.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ContentBlock))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Reasoning.
    Thinking {
        /// The reasoning.
        thinking: String,
        /// A proof that Anthropic's own models give. Others have none.
        signature: &'static str,
    },
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A call of a tool.
    ToolUse {
        /// The call's id.
        id: String,
        /// The tool.
        name: String,
        /// The arguments, an object.
        #[cfg_attr(feature = "schema", schema(value_type = Object))]
        input: Box<RawValue>,
    },
}

/// Token counts in the words of the Messages API: what came from a cache does not count as input.
#[allow(clippy::struct_field_names, reason = "the API names them so")]
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = MessageUsage))]
pub struct Counts {
    /// Tokens of the prompt that the server had not in its cache.
    pub input_tokens: u64,
    /// Tokens of the prompt that the server had in its cache.
    pub cache_read_input_tokens: u64,
    /// Tokens that the server put into its cache; servers of other APIs do not tell.
    pub cache_creation_input_tokens: u64,
    /// Tokens that were generated.
    pub output_tokens: u64,
}

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        let usage = usage.in_json();
        Self {
            input_tokens: usage.prompt_tokens.saturating_sub(usage.cached_tokens),
            cache_read_input_tokens: usage.cached_tokens,
            cache_creation_input_tokens: 0,
            output_tokens: usage.completion_tokens,
        }
    }
}

/// The message of a server that speaks this API, as it came but for its id; `None`: the answer came from another one.
pub fn passed(completion: &Completion, id: &str) -> Option<Value> {
    if completion.answer.is_text() {
        return None;
    }
    let message = original_answer(completion.answer.raw.as_deref()?)?;
    let mut message: Value = serde_json::from_str(message.get()).ok()?;
    message["content"].as_array()?;
    message["id"] = id.into();
    Some(message)
}

impl<'a> Message<'a> {
    /// The message of a completion; `id` and `model` name it.
    pub fn of(completion: &Completion, id: &'a str, model: &'a str, wishes: &Wishes) -> Self {
        let mut said = Said::default();
        let mut content: Vec<Block> = Vec::new();
        for piece in said.answer(&completion.answer) {
            match piece {
                Piece::Reasoning(thinking) if wishes.thinking => {
                    content.push(Block::Thinking { thinking, signature: "" });
                }
                Piece::Reasoning(_) => {}
                Piece::Text(text) | Piece::Refusal(text) => content.push(Block::Text { text }),
                Piece::Call(call) => content.push(Block::of_call(call, id)),
            }
        }
        let stopped = wishes.stopped_at(&said);
        let reason = StopReason::of_chat(&completion.answer.finish_reason, said.calls, stopped.is_some(), said.refused);
        Self {
            id,
            r#type: "message",
            role: "assistant",
            model,
            content,
            stop_reason: Some(reason),
            stop_sequence: stopped.map(str::to_owned),
            usage: completion.answer.usage.into(),
        }
    }
}

impl Block {
    fn of_call(call: ToolDelta, message: &str) -> Self {
        let id = call_id(call.id.as_deref(), message, call.index);
        let input = arguments_object(call.function.arguments.as_deref().unwrap_or_default()).into_owned();
        Self::ToolUse {
            id,
            name: call.function.name.unwrap_or_default(),
            // The text is an object, as `arguments_object` says.
            input: RawValue::from_string(input).unwrap_or_else(|_| Box::<RawValue>::default()),
        }
    }
}

/// The id of a call: the model's server's own, or one made from the message's.
pub(super) fn call_id(given: Option<&str>, message: &str, index: u64) -> String {
    match given.filter(|id| !id.is_empty()) {
        Some(id) => id.to_owned(),
        None => format!("toolu_{}_{index}", message.rsplit('_').next().unwrap_or_default()),
    }
}
