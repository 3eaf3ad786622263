//! The bodies of the OpenAI routes as the OpenAPI document describes them.
//!
//! These types are documentation: bodies are read by [`TaskRequest`](crate::model::TaskRequest) and written byte by
//! byte. Only fields that the router itself acts on have a type here; all others pass through to the miner, which knows
//! best what it takes.
#![allow(dead_code, reason = "the types are only described, never made")]

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::model::{TextOrTokens, Usage};

/// A message of a conversation. Members that are not listed pass through to the miner.
#[derive(ToSchema)]
pub(in crate::listener) struct ChatMessage {
    /// `system`, `developer`, `user`, `assistant`, `tool` ...
    role: String,
    /// A text, or a list of parts (texts, images, sound).
    content: Option<Value>,
}

/// What of a stream is wanted.
#[derive(ToSchema)]
pub(super) struct StreamOptions {
    /// Whether the last chunk tells the usage.
    include_usage: Option<bool>,
}

/// The next message of a conversation is wanted. Fields that are not listed pass through to the miner.
#[derive(ToSchema)]
pub(in crate::listener) struct ChatCompletionRequest {
    /// The conversation so far.
    #[schema(min_items = 1)]
    messages: Vec<ChatMessage>,
    /// The model, as `/v1/models` lists it; `session-<id>` stands for that session and its model; missing: any model.
    model: Option<String>,
    /// Whether the answer is wanted as it comes, as server-sent events.
    stream: Option<bool>,
    /// What of a stream is wanted.
    stream_options: Option<StreamOptions>,
    /// The most tokens to generate; what is over the router's limit is cut to it.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    max_tokens: Option<u64>,
    /// The same under its newer name.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    max_completion_tokens: Option<u64>,
    /// How many choices are wanted. Upstreams give several; other miners one, and more than that is a 400.
    #[schema(minimum = 1, maximum = 128)]
    n: Option<u32>,
    /// Passes through: the sampling temperature.
    temperature: Option<Value>,
    /// Passes through: nucleus sampling.
    top_p: Option<Value>,
    /// Passes through: where to stop.
    stop: Option<Value>,
    /// Passes through: the seed.
    seed: Option<Value>,
    /// Passes through: tools that the model may call.
    tools: Option<Value>,
    /// Passes through: which tool to call.
    tool_choice: Option<Value>,
    /// Passes through: the form of the answer.
    response_format: Option<Value>,
    /// Passes through: whether log probabilities are wanted.
    logprobs: Option<Value>,
    /// Passes through: who asks.
    user: Option<Value>,
    /// Seconds until the task is given up; what is over the router's limit is cut to it.
    #[schema(exclusive_minimum = 0)]
    timeout: Option<f64>,
    /// A higher band is served first.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
}

/// A text that continues a prompt is wanted. Fields that are not listed pass through to the miner.
#[derive(ToSchema)]
pub(super) struct CompletionRequest {
    /// The prompt; no chat template is applied. Several prompts, and token numbers, need an upstream: with other miners they are a 400.
    prompt: TextOrTokens,
    /// The model, as `/v1/models` lists it; `session-<id>` stands for that session and its model; missing: any model.
    model: Option<String>,
    /// Whether the answer is wanted as it comes, as server-sent events.
    stream: Option<bool>,
    /// What of a stream is wanted.
    stream_options: Option<StreamOptions>,
    /// The most tokens to generate; what is over the router's limit is cut to it.
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    max_tokens: Option<u64>,
    /// How many choices are wanted. Upstreams give several; other miners one, and more than that is a 400.
    #[schema(minimum = 1, maximum = 128)]
    n: Option<u32>,
    /// Whether the answer begins with the prompt.
    echo: Option<Value>,
    /// Passes through: the sampling temperature.
    temperature: Option<Value>,
    /// Passes through: nucleus sampling.
    top_p: Option<Value>,
    /// Passes through: where to stop.
    stop: Option<Value>,
    /// Passes through: the seed.
    seed: Option<Value>,
    /// Passes through: how many log probabilities are wanted.
    logprobs: Option<Value>,
    /// Passes through: who asks.
    user: Option<Value>,
    /// Seconds until the task is given up; what is over the router's limit is cut to it.
    #[schema(exclusive_minimum = 0)]
    timeout: Option<f64>,
    /// A higher band is served first.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
}

/// Vectors are wanted. Fields that are not listed pass through to the miner.
#[derive(ToSchema)]
pub(super) struct EmbeddingRequest {
    /// What to embed.
    input: TextOrTokens,
    /// The model, as `/v1/models` lists it; `session-<id>` stands for that session and its model; missing: any model that embeds.
    model: Option<String>,
    /// `float` or `base64` (little-endian 32-bit floats).
    encoding_format: Option<Value>,
    /// Passes through: how many numbers a vector has.
    dimensions: Option<Value>,
    /// Passes through: who asks.
    user: Option<Value>,
    /// Seconds until the task is given up; what is over the router's limit is cut to it.
    #[schema(exclusive_minimum = 0)]
    timeout: Option<f64>,
    /// A higher band is served first.
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
}

/// The next message of a conversation. An upstream's answer carries whatever else the upstream said.
#[derive(ToSchema)]
pub(in crate::listener) struct ChatCompletion {
    /// The answer's id, unique among all tasks.
    id: String,
    /// `chat.completion`
    object: String,
    /// Unix seconds.
    created: u64,
    /// The model that answered.
    model: String,
    /// The choices: one, unless `n` asked for more.
    choices: Vec<ChatChoice>,
    /// Token counts.
    usage: Option<Usage>,
}

/// One choice of a chat.
#[derive(ToSchema)]
pub(super) struct ChatChoice {
    /// Its place among the choices.
    index: u64,
    /// The message.
    message: ChatAnswer,
    /// `stop`, `length`, `tool_calls` or a word of the upstream's.
    finish_reason: Option<String>,
}

/// The model's message.
#[derive(ToSchema)]
pub(super) struct ChatAnswer {
    /// `assistant`
    role: String,
    /// Its text; `null` where the model calls tools instead.
    content: Option<String>,
}

/// Text that continues a prompt. An upstream's answer carries whatever else the upstream said.
#[derive(ToSchema)]
pub(super) struct TextCompletion {
    /// The answer's id, unique among all tasks.
    id: String,
    /// `text_completion`
    object: String,
    /// Unix seconds.
    created: u64,
    /// The model that answered.
    model: String,
    /// The choices: one, unless `n` or several prompts asked for more.
    choices: Vec<TextChoice>,
    /// Token counts.
    usage: Option<Usage>,
}

/// One choice of a completion.
#[derive(ToSchema)]
pub(super) struct TextChoice {
    /// Its text.
    text: String,
    /// Its place among the choices.
    index: u64,
    /// `stop`, `length` or a word of the upstream's.
    finish_reason: Option<String>,
}

/// Vectors, in the order of the inputs.
#[derive(ToSchema)]
pub(super) struct EmbeddingList {
    /// `list`
    object: String,
    /// One for each input.
    data: Vec<EmbeddingItem>,
    /// The model that answered.
    model: Option<String>,
    /// Token counts.
    usage: Option<EmbeddingUsage>,
}

/// One vector.
#[derive(ToSchema)]
pub(super) struct EmbeddingItem {
    /// `embedding`
    object: String,
    /// Its place among the inputs.
    index: u64,
    /// The numbers, or with `base64` their bytes.
    embedding: Vector,
}

/// Numbers, or with `base64` their bytes.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Vector {
    /// The numbers.
    Numbers(Vec<f64>),
    /// Little-endian 32-bit floats in base64.
    Base64(String),
}

/// Token counts of an embedding.
#[derive(ToSchema)]
pub(super) struct EmbeddingUsage {
    /// Tokens of the inputs.
    prompt_tokens: u64,
    /// The same.
    total_tokens: u64,
}

/// A model that can be asked for.
#[derive(ToSchema)]
pub(super) struct Model {
    /// Its name.
    id: String,
    /// `model`
    object: String,
    /// Unix seconds at which the router first saw it.
    created: u64,
    /// Who runs it.
    owned_by: String,
}

/// Models that can be asked for.
#[derive(ToSchema)]
pub(super) struct ModelList {
    /// `list`
    object: String,
    /// The models.
    data: Vec<Model>,
}

/// An error in OpenAI's shape.
#[derive(ToSchema)]
pub(in crate::listener) struct OpenAiError {
    /// The error.
    error: OpenAiErrorBody,
}

/// What is wrong and how to mend it.
#[derive(ToSchema)]
pub(super) struct OpenAiErrorBody {
    /// What is wrong and how to mend it.
    message: String,
    /// OpenAI's word for the kind: `invalid_request_error`, `authentication_error`, `rate_limit_error` ...
    r#type: String,
    /// The field at fault.
    #[schema(required)]
    param: Option<String>,
    /// The router's own code, for example `model_not_found`.
    code: String,
    /// The session that the error is about.
    #[schema(nullable = false)]
    session_id: Option<u64>,
    /// The task that the error is about; where it goes on it can be polled.
    #[schema(nullable = false)]
    task_id: Option<u64>,
}
