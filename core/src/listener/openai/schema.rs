//! The answers of OpenAI's routes that the router writes itself. An upstream's answer goes out as its own bytes and
//! may hold more.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Number;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::counts::{EmbeddingCounts, TokenCounts};
use crate::model::Verdict;

/// The next message of a conversation. An upstream's answer carries whatever else the upstream said.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct ChatCompletion<'a> {
    /// The answer's id, unique among all tasks.
    pub(super) id: &'a str,
    /// `chat.completion`
    pub(super) object: &'static str,
    /// Unix seconds.
    pub(super) created: u64,
    /// The model that answered.
    pub(super) model: &'a str,
    /// The choices: one, unless `n` asked for more.
    pub(super) choices: &'a [ChatChoice<'a>],
    /// Token counts; an upstream may leave them out.
    #[schema(required = false)]
    pub(super) usage: TokenCounts,
    /// How several answers compare, where several miners answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) verdict: Option<&'a Verdict>,
}

/// One choice of a chat.
#[derive(Serialize, ToSchema)]
pub(super) struct ChatChoice<'a> {
    /// Its place among the choices.
    pub(super) index: u64,
    /// The message.
    pub(super) message: ChatAnswer<'a>,
    /// Log probabilities, where an upstream told them.
    #[schema(value_type = Option<serde_json::Value>)]
    pub(super) logprobs: Option<()>,
    /// `stop`, `length`, `tool_calls` or a word of the upstream's.
    pub(super) finish_reason: Option<&'a str>,
}

/// The model's message.
#[derive(Serialize, ToSchema)]
pub(super) struct ChatAnswer<'a> {
    /// `assistant`
    pub(super) role: &'static str,
    /// Its text; `null` where the model calls tools instead.
    pub(super) content: Option<&'a str>,
    /// Why the model does not answer, where an upstream said so.
    #[schema(value_type = Option<String>)]
    pub(super) refusal: Option<()>,
}

/// Text that continues a prompt. An upstream's answer carries whatever else the upstream said.
#[derive(Serialize, ToSchema)]
pub(super) struct TextCompletion<'a> {
    /// The answer's id, unique among all tasks.
    pub(super) id: &'a str,
    /// `text_completion`
    pub(super) object: &'static str,
    /// Unix seconds.
    pub(super) created: u64,
    /// The model that answered.
    pub(super) model: &'a str,
    /// The choices: one, unless `n` or several prompts asked for more.
    pub(super) choices: &'a [TextChoice<'a>],
    /// Token counts; an upstream may leave them out.
    #[schema(required = false)]
    pub(super) usage: TokenCounts,
    /// How several answers compare, where several miners answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) verdict: Option<&'a Verdict>,
}

/// One choice of a completion.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct TextChoice<'a> {
    /// Its text.
    pub(super) text: &'a str,
    /// Its place among the choices.
    pub(super) index: u64,
    /// Log probabilities, where an upstream told them.
    #[schema(value_type = Option<serde_json::Value>)]
    pub(super) logprobs: Option<()>,
    /// `stop`, `length` or a word of the upstream's.
    pub(super) finish_reason: Option<&'a str>,
}

/// Vectors, in the order of the inputs.
#[derive(Serialize, ToSchema)]
pub(super) struct EmbeddingList<'a> {
    /// `list`
    pub(super) object: &'static str,
    /// One vector for each input.
    pub(super) data: Vec<EmbeddingItem<'a>>,
    /// The model that answered.
    pub(super) model: Option<&'a str>,
    /// Token counts; an upstream may leave them out.
    #[schema(required = false)]
    pub(super) usage: EmbeddingCounts,
}

/// One vector.
#[derive(Serialize, ToSchema)]
pub(super) struct EmbeddingItem<'a> {
    /// `embedding`
    pub(super) object: &'static str,
    /// Its place among the inputs.
    pub(super) index: usize,
    /// The numbers, or with `base64` their bytes.
    pub(super) embedding: Vector<'a>,
}

/// Numbers, or with `base64` their bytes.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Vector<'a> {
    /// The numbers.
    Numbers(&'a [f64]),
    /// Little-endian 32-bit floats in base64.
    Base64(String),
}

/// A model that can be asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct Model<'a> {
    /// Its name.
    pub(super) id: &'a str,
    /// `model`
    pub(super) object: &'static str,
    /// Unix seconds at which the router first saw it.
    pub(super) created: u64,
    /// The miner, or its owner, that offers it.
    pub(super) owned_by: &'a str,
}

/// Models that can be asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct ModelList<'a> {
    /// `list`
    pub(super) object: &'static str,
    /// The models.
    pub(super) data: Vec<Model<'a>>,
}

/// An error in OpenAI's shape.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct OpenAiError<'a> {
    /// The error.
    pub(super) error: OpenAiErrorBody<'a>,
}

/// The problem and how to mend it.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct OpenAiErrorBody<'a> {
    /// The problem and how to mend it.
    pub(super) message: &'a str,
    /// OpenAI's word for the kind: `invalid_request_error`, `authentication_error`, `rate_limit_error` ...
    pub(super) r#type: &'a str,
    /// The field at fault.
    #[schema(required)]
    pub(super) param: Option<&'a str>,
    /// The finest code of the error, for example `model_not_found`, or its kind where there is none.
    pub(super) code: Code<'a>,
    /// The session that the error is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) session_id: Option<u64>,
    /// The task that the error is about; where it goes on it can be polled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) task_id: Option<u64>,
}

/// The code of an error: a word, or the number that a model's server gave.
#[derive(Serialize)]
#[serde(untagged)]
pub(in crate::listener) enum Code<'a> {
    /// A word.
    Word(&'a str),
    /// The number that a model's server gave.
    Number(&'a Number),
}

impl PartialSchema for Code<'_> {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some("The code of an error: a word, or the number that a model's server gave."))
            .item(ObjectBuilder::new().schema_type(Type::String).description(Some("A word.")))
            .item(ObjectBuilder::new().schema_type(Type::Number).description(Some("The number of a model's server.")))
            .into()
    }
}

impl ToSchema for Code<'_> {
    fn name() -> Cow<'static, str> {
        "OpenAiErrorCode".into()
    }
}
