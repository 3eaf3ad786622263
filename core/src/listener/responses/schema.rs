//! The bodies and parameters of the Responses API, as the OpenAPI document describes them.
//!
//! [`crate::model::responses`] reads the bodies. The types of bodies describe what it reads, and nothing else uses them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// A request for the next turn of a conversation. Members that are not listed pass through to the miner.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct ResponsesBody {
    /// The model, as `/v1/models` lists it.
    model: Option<String>,
    /// A text, or items: messages, `function_call`, `function_call_output`, `custom_tool_call`,
    /// `custom_tool_call_output`, `tool_search_call`, `tool_search_output`, `additional_tools` and `reasoning`.
    input: Option<Value>,
    /// The rules of this turn: a text, or items.
    instructions: Option<Value>,
    /// The id of the response before this one. Its conversation goes on, without its instructions. A response whose
    /// request only an upstream that speaks this API could serve does not go on: its items stand in `input` then.
    previous_response_id: Option<String>,
    /// Whether the answer comes as events.
    stream: Option<bool>,
    /// Whether the answer comes at once, and the response is read later.
    background: Option<bool>,
    /// Whether the response can be read again. Default `true`. A session that keeps nothing wins.
    store: Option<bool>,
    /// The most tokens to generate; the router's limit cuts it.
    #[schema(minimum = 1)]
    max_output_tokens: Option<u64>,
    /// The tools that the model may call, of the type `function`, `custom`, `namespace`, or `tool_search` with the
    /// execution `client`. Tools that only a host runs, such as `web_search`, pass to an upstream that speaks this API.
    /// Elsewhere they are left out beside others, and refused alone.
    tools: Option<Vec<Value>>,
    /// `auto`, `none`, `required`, or an object with the type `function` and a `name`.
    tool_choice: Option<Value>,
    /// Passes through: whether the model may call several tools at once.
    parallel_tool_calls: Option<bool>,
    /// An object: `format` goes to the miner as `response_format`, and `verbosity` under its own name.
    text: Option<Value>,
    /// An object: `effort` goes to the miner as `reasoning_effort`. With `summary`, the model's reasoning is shown as a
    /// summary.
    reasoning: Option<Value>,
    /// Passes through.
    temperature: Option<f64>,
    /// Passes through.
    top_p: Option<f64>,
    /// `auto` or `disabled`; the router cuts no input.
    truncation: Option<String>,
    /// The caller's own notes, which the response repeats.
    metadata: Option<Value>,
    /// Passes through.
    user: Option<String>,
}

/// An input that is to be made shorter. Members that are not listed pass through to the upstream.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the type describes a body and is never made")]
pub(super) struct CompactBody {
    /// The model, as `/v1/models` lists it.
    #[schema(min_length = 1)]
    model: String,
    /// A text, or items. The items of a conversation stand here themselves: `previous_response_id` is refused.
    input: Value,
    /// Passes through: the rules of the conversation.
    instructions: Option<Value>,
}

/// The answer to the deletion of a response.
#[derive(Serialize, ToSchema)]
#[allow(clippy::struct_field_names, reason = "these are the names on the wire")]
pub(super) struct Deleted {
    /// The id of the response.
    pub(super) id: String,
    /// `response`.
    pub(super) object: &'static str,
    /// Always `true`.
    pub(super) deleted: bool,
}

/// The id of a response.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct ResponsePath {
    /// The id of the response, `resp_...`.
    pub(super) response_id: String,
}

/// How a response is read.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct ShowQuery {
    /// `true`: as a stream of events.
    #[param(value_type = Option<bool>)]
    pub(super) stream: String,
    /// The number of the last event that the reader has; the events after it are sent.
    #[param(value_type = Option<u64>)]
    pub(super) starting_after: String,
}

/// Selects a page of an input.
#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
pub(super) struct InputQuery {
    /// Items on the page, 1 to 100. Default 20.
    #[param(value_type = Option<u64>)]
    pub(super) limit: String,
    /// `desc` (the newest first, the default) or `asc`.
    #[param(value_type = Option<String>)]
    pub(super) order: String,
    /// The id of the item before the page.
    #[param(value_type = Option<String>)]
    pub(super) after: String,
}

/// A page of the items of an input.
#[derive(Serialize, ToSchema)]
pub(super) struct InputItems {
    /// `list`
    pub(super) object: &'static str,
    /// The items, each with an id.
    pub(super) data: Vec<Value>,
    /// The id of the first item.
    pub(super) first_id: Option<String>,
    /// The id of the last item.
    pub(super) last_id: Option<String>,
    /// Whether more items follow.
    pub(super) has_more: bool,
}
