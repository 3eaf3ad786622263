//! The records of tasks, answers and errors in the form that bindings show, and requests in the form that they take.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::json::{self, parse};
use crate::model::whole::{number, some_number};
use crate::model::{Completion, CompletionRecord, RequestKind, SessionId, Task, TaskRecord, TaskRequest, check_name};
use crate::router::{Intake, RepeatKey};
use crate::{Error, Result};

/// The details of an error, with the REST API's names.
#[derive(Serialize, ToSchema)]
pub(super) struct ErrorDetails<'a> {
    /// The finest code there is, as the REST API answers it: `session_not_found`, `no_miner`, `queue_full` ...
    code: &'a str,
    /// The kind of the error, by the same word in every language.
    kind: &'a str,
    /// The problem and how to mend it.
    message: &'a str,
    /// The field or argument at fault: `max_tokens`, `limits.max_sessions`.
    param: Option<&'a str>,
    /// Milliseconds after which a retry may succeed.
    retry_after_ms: Option<u64>,
    /// Whether the same call may succeed later, unchanged.
    retryable: bool,
    /// The session that the error is about.
    session_id: Option<u64>,
    /// The task that the error is about; it can be polled.
    task_id: Option<u64>,
}

/// The details of an error, as bindings show them:
/// `{"kind","code","message","retryable","param","retry_after_ms","session_id","task_id"}`. Missing details are null.
pub fn error_json(error: &Error) -> String {
    let details = error.details();
    let record = ErrorDetails {
        code: error.code(),
        kind: error.kind().code(),
        message: error.message(),
        param: details.param.as_deref(),
        retry_after_ms: details.retry_after_ms,
        retryable: error.kind().row().retryable,
        session_id: details.session_id.map(|id| id.0),
        task_id: details.task_id.map(|id| id.0),
    };
    // This cannot fail: every member is a text, a number or a flag.
    json::text(&record).unwrap_or_default()
}

/// The id in a session's record, for hosts without a JSON parser.
///
/// # Errors
/// `InvalidArgument` if the text is not such a record.
pub fn record_id(record: &str) -> Result<u64> {
    #[derive(serde::Deserialize)]
    struct Record {
        id: u64,
    }
    Ok(parse::<Record>("record", record)?.id)
}

/// A text as a JSON string with quotes, for hosts that write JSON by hand.
pub fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The record of a task.
pub(super) fn task(task: &Task) -> Result<String> {
    json::text(&TaskRecord::detail(task))
}

/// The completion of a finished task, with tool calls and reasoning in `choices[0].message`. The aliases of the REST
/// API are left out, because host programs read `choices[0].text`.
pub(super) fn completion(completion: &Completion) -> Result<String> {
    let parts: Vec<_> = if completion.alternatives.is_empty() {
        vec![completion.answer.message_parts()]
    } else {
        completion.alternatives.iter().map(|(_, answer)| answer.message_parts()).collect()
    };
    json::text(&CompletionRecord::with_parts(completion, false, &parts))
}

/// The intake of a request for this session. Fields about the submission are taken out of the fields for the miner.
pub(super) fn submit(session: u64, text: &str) -> Result<Intake<'static>> {
    let mut request: TaskRequest = parse("request", text)?;
    let detach = request.take_flag("detach")?;
    let idempotency =
        take_text(&mut request, "idempotency_key")?.map(|key| RepeatKey { scope: "embed".to_owned(), key });
    let key: Option<Arc<str>> = take_text(&mut request, "key_id")?.map(Arc::from);
    if let Some(key) = &key {
        check_name("key_id", key)?;
    }
    if request.kind == RequestKind::Completion && request.prompt.is_none() {
        if request.messages.is_some() {
            request.kind = RequestKind::Chat;
        } else if request.input.is_some() {
            request.kind = RequestKind::Embedding;
        }
    }
    Ok(Intake { key, idempotency, detach, ..Intake::exactly(SessionId(session), request) })
}

/// Takes a text of 1 to 256 bytes out of the fields for the miner.
fn take_text(request: &mut TaskRequest, name: &str) -> Result<Option<String>> {
    let wrong = || Error::invalid(name, format!("{name} must be a text of 1 to 256 bytes"));
    let Some(value) = request.take(name) else { return Ok(None) };
    let text = serde_json::from_str::<Option<String>>(value.get()).map_err(|_| wrong())?;
    match text {
        Some(text) if text.is_empty() || text.len() > 256 => Err(wrong()),
        text => Ok(text),
    }
}

/// The intake of a prompt. `options` may only have the names of [`options::REQUEST`](super::options::REQUEST).
pub(super) fn submit_prompt(session: u64, prompt: &str, options: &str) -> Result<Intake<'static>> {
    let mut intake = submit(session, &super::options::checked(options)?)?;
    let request = &mut intake.request;
    if request.prompt.is_some()
        || request.messages.is_some()
        || request.input.is_some()
        || request.extra("prompt").is_some()
    {
        let words = "the options of a prompt have no prompt, messages or input: submit a whole request for those";
        return Err(Error::invalid("options", words));
    }
    request.kind = RequestKind::Completion;
    request.prompt = Some(prompt.to_owned());
    Ok(intake)
}

/// The intake of an embedding. `encoding_format` is removed, because packed vectors would have to be unpacked again.
pub(super) fn embedding(session: u64, text: &str) -> Result<Intake<'static>> {
    let mut intake = submit(session, text)?;
    let request = &mut intake.request;
    if request.input.is_none() || request.prompt.is_some() || request.messages.is_some() {
        return Err(Error::invalid(
            "input",
            "an embedding needs input, a text or a list of texts, and nothing else to read",
        ));
    }
    request.kind = RequestKind::Embedding;
    request.extra.retain(|(name, _)| name != "encoding_format");
    Ok(intake)
}

/// The intake of an embedding of one text with options.
pub(super) fn embed_text(session: u64, text: &str, options: &str) -> Result<Intake<'static>> {
    let mut request: serde_json::Map<String, serde_json::Value> = parse("options", &super::options::checked(options)?)?;
    if !text.is_empty() || !request.contains_key("input") {
        if request.contains_key("input") {
            return Err(Error::invalid("options", "the input is given twice: as the text, and in the options"));
        }
        request.insert("input".to_owned(), text.into());
    }
    embedding(session, &json::text(&request)?)
}

/// The part of a list that a caller wants.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = PageQuery)]
pub(super) struct Page {
    /// The state of the rows that are wanted.
    pub(super) state: Option<String>,
    /// The most rows to list.
    #[serde(deserialize_with = "some_number")]
    pub(super) limit: Option<u64>,
    /// The number of rows to leave out at the beginning.
    #[serde(deserialize_with = "number")]
    pub(super) offset: u64,
}

/// The usage that is wanted.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = UsageQuery)]
pub(super) struct UsageWish {
    /// The parts by which usage is told apart: `day` (the default), `key`, `model`, `session` or `miner`.
    pub(super) by: Option<String>,
    /// The first day in UTC, as `2026-01-31`. Missing: the first of this month.
    pub(super) from: Option<String>,
    /// The last day in UTC. Missing: today.
    pub(super) to: Option<String>,
    /// Only tasks of this key.
    pub(super) key: Option<String>,
    /// Only tasks of the session with this number.
    #[serde(deserialize_with = "some_number")]
    pub(super) session: Option<u64>,
    /// Only tasks for this model.
    pub(super) model: Option<String>,
    /// Only tasks of the miner with this address.
    pub(super) miner: Option<String>,
    /// The most parts to list.
    #[serde(deserialize_with = "some_number")]
    pub(super) limit: Option<u64>,
    /// The number of parts to leave out.
    #[serde(deserialize_with = "number")]
    pub(super) offset: u64,
}

/// The part of a session's tasks that is wanted: the newest page, oldest first inside it, unless `offset` or `order`
/// says otherwise.
#[derive(Debug, Default, serde::Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = TaskQuery)]
pub(super) struct TaskPage {
    /// `ended`, or `active` for those that have not.
    pub(super) state: Option<String>,
    /// Only tasks of this key.
    pub(super) key: Option<String>,
    /// The most tasks to list.
    #[serde(deserialize_with = "some_number")]
    pub(super) limit: Option<u64>,
    /// The number of tasks to leave out at the beginning; with `order: desc` of the newest.
    #[serde(deserialize_with = "some_number")]
    pub(super) offset: Option<u64>,
    /// `asc` counts from the oldest; `desc` from the newest back, newest first.
    #[schema(pattern = "^(asc|desc)$")]
    pub(super) order: Option<String>,
}
