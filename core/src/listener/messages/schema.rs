//! The bodies of the Messages API, as the OpenAPI document describes them.
//!
//! [`crate::model::messages`] reads them. These types describe what it reads, and nothing else uses them.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A request for the next message of a conversation. Members that are not listed pass through to the miner.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct MessagesBody {
    /// The model, as `/v1/models` lists it.
    model: Option<String>,
    /// The most tokens to generate; the router's limit cuts it.
    #[schema(minimum = 1)]
    max_tokens: u64,
    /// The conversation so far.
    #[schema(min_items = 1)]
    messages: Vec<MessageParam>,
    /// The rules of the conversation: a text, or blocks of text.
    system: Option<TextOrBlocks>,
    /// Whether the answer comes as events.
    stream: Option<bool>,
    /// Texts at which the model stops.
    stop_sequences: Option<Vec<String>>,
    /// Passes through.
    temperature: Option<f64>,
    /// Passes through.
    top_p: Option<f64>,
    /// Passes through.
    top_k: Option<u64>,
    /// The tools that the model may call: objects with `name`, `description` and `input_schema`. Tools that only
    /// Anthropic's servers run, such as `web_search_20250305`, pass to an upstream that speaks this API. Elsewhere they
    /// are left out beside others, and refused alone.
    tools: Option<Vec<Value>>,
    /// An object with the `type` `auto`, `any`, `none`, or `tool` with a `name`.
    tool_choice: Option<Value>,
    /// An object with the `type` `enabled`, `adaptive` or `disabled`. The answer shows the model's reasoning only with
    /// the first two.
    thinking: Option<Value>,
    /// An object; its `user_id` goes to the miner as `user`.
    metadata: Option<Value>,
    /// An object: `effort` goes to the miner as `reasoning_effort`, and `format` as `response_format`.
    output_config: Option<Value>,
}

/// A request whose tokens are to be counted. Members that are not listed do not count.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct CountBody {
    /// The model, as `/v1/models` lists it.
    model: Option<String>,
    /// The conversation so far.
    #[schema(min_items = 1)]
    messages: Vec<MessageParam>,
    /// The rules of the conversation: a text, or blocks of text.
    system: Option<TextOrBlocks>,
    /// The tools that the model may call.
    tools: Option<Vec<Value>>,
}

/// A message of the conversation.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct MessageParam {
    /// `user` or `assistant`.
    role: String,
    /// A text, or blocks: `text`, `image`, `document`, `search_result` and `tool_result` of a user, and `text`,
    /// `thinking`, `redacted_thinking` and `tool_use` of the model.
    content: TextOrBlocks,
}

/// A text, or content blocks.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) enum TextOrBlocks {
    /// A text.
    #[schema(title = "text")]
    Text(String),
    /// Blocks.
    #[schema(title = "blocks")]
    Blocks(Vec<Value>),
}
