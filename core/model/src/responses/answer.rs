//! A response: the answer to a request of the Responses API.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use super::asked::Asked;
use super::frame;
use super::output::{Item, Part, add};
use super::shown::Output;
use crate::chat::{Said, original_answer};
use crate::compact::write_number;
use crate::shape::last;
use crate::{Answer, Error, ErrorKind, FinishReason, Usage, compact};

/// The names and times of a response.
#[derive(Debug, Clone, Default)]
pub struct Named {
    /// The digits that stand for the task in every id.
    pub digits: String,
    /// The model that answers.
    pub model: String,
    /// When the task was submitted, in Unix seconds.
    pub created_at: u64,
}

impl Named {
    /// The id of the response.
    pub fn id(&self) -> String {
        ["resp_", &self.digits].concat()
    }
}

/// The state of a response.
#[derive(Debug, Clone, Copy)]
pub enum Ended<'a> {
    /// It waits for a miner.
    Queued,
    /// A miner works on it.
    InProgress,
    /// It has its answer.
    Answered(&'a Answer),
    /// Somebody cancelled it.
    Cancelled,
    /// It has none.
    Failed(&'a Error),
}

/// A response. Members that are `null` have no value.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = Response))]
pub struct Resource<'a> {
    /// The id, by which the response can be read again.
    pub id: String,
    /// `response`
    pub object: &'static str,
    /// When it was asked for, in Unix seconds.
    pub created_at: u64,
    /// When it was complete, in Unix seconds.
    pub completed_at: Option<u64>,
    /// `queued`, `in_progress`, `completed`, `incomplete`, `cancelled` or `failed`.
    pub status: &'static str,
    /// Why it is incomplete: an object with `reason`.
    pub incomplete_details: Option<Value>,
    /// Why it failed: an object with `code` and `message`.
    pub error: Option<Value>,
    /// The model that answers.
    pub model: &'a str,
    /// The response before it.
    pub previous_response_id: Option<&'a str>,
    /// The rules of this turn.
    #[cfg_attr(feature = "schema", schema(value_type = Option<Value>))]
    pub instructions: Option<&'a Value>,
    /// The items of the answer: reasoning, messages, calls of tools.
    #[cfg_attr(feature = "schema", schema(value_type = Vec<Value>))]
    pub output: Output<'a>,
    /// The tools.
    pub tools: &'a [Value],
    /// The rule for which tools are called.
    #[cfg_attr(feature = "schema", schema(value_type = Value))]
    tool_choice: Repeated<'a, &'static str>,
    /// Whether the model may call several tools at once.
    pub parallel_tool_calls: bool,
    /// How an input that is too long is cut; the router cuts none.
    pub truncation: &'a str,
    /// The form of the text.
    #[cfg_attr(feature = "schema", schema(value_type = Value))]
    text: Repeated<'a, Form>,
    /// How the model reasons.
    #[cfg_attr(feature = "schema", schema(value_type = Option<Value>))]
    pub reasoning: Option<&'a Value>,
    /// Sampling, as it was asked for.
    pub temperature: f64,
    /// Sampling, as it was asked for.
    pub top_p: f64,
    /// Sampling, as it was asked for.
    pub presence_penalty: f64,
    /// Sampling, as it was asked for.
    pub frequency_penalty: f64,
    /// Log probabilities that were asked for.
    pub top_logprobs: u64,
    /// Token counts.
    pub usage: Option<Counts>,
    /// The most tokens to generate.
    pub max_output_tokens: Option<u64>,
    /// The most calls of hosted tools.
    pub max_tool_calls: Option<u64>,
    /// Whether the response can be read again.
    pub store: bool,
    /// Whether the caller reads it later.
    pub background: bool,
    /// The class of service.
    pub service_tier: &'a str,
    /// The caller's own notes.
    #[cfg_attr(feature = "schema", schema(value_type = Value))]
    metadata: Repeated<'a, NoNotes>,
    /// The caller's user.
    pub user: Option<&'a str>,
    /// The caller's user, under its newer name.
    pub safety_identifier: Option<&'a str>,
    /// The caller's name for prompts with one beginning.
    pub prompt_cache_key: Option<&'a str>,
    /// Whether the request has none of the members that a response repeats, but for `max_output_tokens`.
    #[serde(skip)]
    is_plain: bool,
}

/// A member that repeats the request's, or says what holds without it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Repeated<'a, T> {
    Given(&'a Value),
    Unsaid(T),
}

impl<'a, T> Repeated<'a, T> {
    fn of(given: Option<&'a Value>, unsaid: T) -> Self {
        given.map_or(Self::Unsaid(unsaid), Self::Given)
    }
}

/// The form of a text.
#[derive(Debug, Serialize)]
struct Form {
    format: Format,
}

#[derive(Debug, Serialize)]
struct Format {
    r#type: &'static str,
}

#[derive(Debug, Serialize)]
struct NoNotes {}

/// Token counts in the words of the Responses API.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ResponseUsage))]
pub struct Counts {
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// Details of them.
    pub input_tokens_details: InputDetails,
    /// Tokens that were generated.
    pub output_tokens: u64,
    /// Details of them.
    pub output_tokens_details: OutputDetails,
    /// Their sum.
    pub total_tokens: u64,
}

/// Details of the tokens of a prompt.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ResponseInputDetails))]
pub struct InputDetails {
    /// Tokens that the server had in its cache.
    pub cached_tokens: u64,
}

/// Details of the generated tokens.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = ResponseOutputDetails))]
pub struct OutputDetails {
    /// Tokens of the model's reasoning.
    pub reasoning_tokens: u64,
}

impl Counts {
    /// Writes the counts as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for (name, count) in [
            (r#"{"input_tokens":"#, self.input_tokens),
            (r#","input_tokens_details":{"cached_tokens":"#, self.input_tokens_details.cached_tokens),
            (r#"},"output_tokens":"#, self.output_tokens),
            (r#","output_tokens_details":{"reasoning_tokens":"#, self.output_tokens_details.reasoning_tokens),
            (r#"},"total_tokens":"#, self.total_tokens),
        ] {
            out.extend_from_slice(name.as_bytes());
            write_number(out, count);
        }
        out.push(b'}');
    }
}

impl From<Usage> for Counts {
    fn from(usage: Usage) -> Self {
        let usage = usage.in_json();
        Self {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: InputDetails { cached_tokens: usage.cached_tokens },
            output_tokens: usage.completion_tokens,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning_tokens },
            total_tokens: usage.total_tokens,
        }
    }
}

/// The response of a server that speaks this API, as it came but for its id; `None`: the answer came from another one.
pub fn passed(named: &Named, answer: &Answer) -> Option<Value> {
    if answer.is_text() {
        return None;
    }
    let original = original_answer(answer.raw.as_deref()?)?;
    let response = last(original.get(), "response").unwrap_or(original);
    let mut response: Value = serde_json::from_str(response.get()).ok()?;
    response["output"].as_array()?;
    response["id"] = named.id().into();
    Some(response)
}

impl<'a> Resource<'a> {
    /// The response of a task. `ended_at` is the time of its end in Unix seconds.
    pub fn of(named: &'a Named, asked: &'a Asked, ended: Ended<'_>, ended_at: Option<u64>) -> Self {
        let mut resource = Self::begun(named, asked);
        match ended {
            Ended::Queued => resource.status = "queued",
            Ended::InProgress => {}
            Ended::Cancelled => resource.status = "cancelled",
            Ended::Failed(error) => resource.fail(error),
            Ended::Answered(answer) => {
                let mut items = Vec::new();
                if answer.is_text() && !answer.text.is_empty() {
                    items.push(Item::Message(vec![Part::Text(answer.text.as_str().to_owned())]));
                } else {
                    for piece in Said::default().answer(answer) {
                        add(&mut items, &piece, |name| asked.called(name));
                    }
                }
                resource.end(named, asked, items.into(), answer, ended_at);
            }
        }
        resource
    }

    /// The response as it begins.
    pub(super) fn begun(named: &'a Named, asked: &'a Asked) -> Self {
        Self {
            id: named.id(),
            object: "response",
            created_at: named.created_at,
            completed_at: None,
            status: "in_progress",
            incomplete_details: None,
            error: None,
            model: &named.model,
            previous_response_id: asked.previous_response_id.as_deref(),
            instructions: asked.instructions.as_ref(),
            output: Output::default(),
            tools: &asked.tools,
            tool_choice: Repeated::of(asked.tool_choice.as_ref(), "auto"),
            parallel_tool_calls: asked.parallel_tool_calls.unwrap_or(true),
            truncation: asked.truncation.as_deref().unwrap_or("disabled"),
            text: Repeated::of(asked.text.as_ref(), Form { format: Format { r#type: "text" } }),
            reasoning: asked.reasoning.as_ref(),
            temperature: asked.temperature.unwrap_or(1.0),
            top_p: asked.top_p.unwrap_or(1.0),
            presence_penalty: asked.presence_penalty.unwrap_or(0.0),
            frequency_penalty: asked.frequency_penalty.unwrap_or(0.0),
            top_logprobs: asked.top_logprobs.unwrap_or(0),
            usage: None,
            max_output_tokens: asked.max_output_tokens,
            max_tool_calls: asked.max_tool_calls,
            store: asked.is_stored(),
            background: asked.background,
            service_tier: asked.service_tier.as_deref().unwrap_or("default"),
            metadata: Repeated::of(asked.metadata.as_ref(), NoNotes {}),
            user: asked.user.as_deref(),
            safety_identifier: asked.safety_identifier.as_deref(),
            prompt_cache_key: asked.prompt_cache_key.as_deref(),
            is_plain: asked.is_plain(),
        }
    }

    /// Writes the response as JSON.
    ///
    /// # Errors
    /// When it has no JSON form, which no response lacks.
    pub fn write(&self, out: &mut Vec<u8>) -> crate::Result<()> {
        let written = if self.is_plain { frame::write(self, out) } else { compact::write(out, self) };
        written.map_err(Error::internal)
    }

    /// Sets the end: these items, and how the answer ended.
    pub(super) fn end(
        &mut self,
        named: &'a Named,
        asked: &Asked,
        items: Cow<'a, [Item]>,
        answer: &Answer,
        ended_at: Option<u64>,
    ) {
        let cut = cut_by(&answer.finish_reason);
        // Only the last item of an answer can be cut off.
        let last = items.len().checked_sub(1).filter(|_| cut.is_some());
        self.output = Output::new(items, &named.digits, last.into_iter().collect(), asked.wants_summary());
        self.usage = Some(answer.usage.into());
        self.status = if cut.is_some() { "incomplete" } else { "completed" };
        self.completed_at = ended_at.filter(|_| cut.is_none());
        self.incomplete_details = cut.map(|reason| json!({"reason": reason}));
    }

    /// Sets the failure.
    pub(super) fn fail(&mut self, error: &Error) {
        self.status = "failed";
        let said = error.details().upstream.as_ref().and_then(|said| said.message.as_deref());
        self.error = Some(json!({"code": code(error), "message": said.unwrap_or(error.message())}));
    }
}

/// Why an answer is incomplete; `None`: it is complete.
pub(super) fn cut_by(reason: &FinishReason) -> Option<&'static str> {
    match reason {
        FinishReason::Length => Some("max_output_tokens"),
        FinishReason::Other(word) if word == "content_filter" => Some("content_filter"),
        _ => None,
    }
}

/// The code of a failure. Clients retry by it.
fn code(error: &Error) -> &str {
    match error.kind() {
        ErrorKind::Overloaded => "rate_limit_exceeded",
        ErrorKind::InvalidArgument => match error.code() {
            "context_length_exceeded" => "context_length_exceeded",
            _ => "invalid_prompt",
        },
        _ => "server_error",
    }
}
