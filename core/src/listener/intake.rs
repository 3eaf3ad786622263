//! The way of a request to its task, which every family of routes shares: what the headers say about the task, and what
//! is noted about it.

use std::sync::Arc;

use axum::response::Response;
use http::{HeaderMap, HeaderName};

use super::auth::Caller;
use super::marks::{Marked, Marks};
use super::reply::Failed;
use super::state::AppState;
use super::{access, request_id};
use crate::model::TaskRequest;
use crate::model::chat::original_answer;
use crate::router::{Fingerprint, Intake, RepeatKey, Wish};
use crate::task::TraceContext;
use crate::{Error, Result, Submission};

/// Answers a request by that route. `taken` is its task with the form of the answer, or the refusal of the request.
///
/// # Errors
/// The refusal.
pub(in crate::listener) async fn answered<F, A>(
    state: &AppState,
    route: &'static str,
    head: Marked<'_>,
    taken: Result<(Submission, F), Failed>,
    answer: impl FnOnce(Submission, F) -> A,
) -> Result<Response, Failed>
where
    A: Future<Output = Result<Response, Failed>>,
{
    let (submission, form) =
        taken.inspect_err(|refusal| state.router.refused_at(route, refusal.error(), || trace(head)))?;
    access::about(&submission);
    let task = request_id::Task::from(&submission);
    Ok(request_id::of_task(&task, answer(submission, form).await))
}

/// A caller's request by that route, for the session that it wants.
pub(in crate::listener) fn of<'a>(
    caller: &'a Caller,
    session: Wish<'a>,
    request: TaskRequest,
    route: &'static str,
) -> Intake<'a> {
    Intake {
        allowed: caller.sessions(),
        key: Some(caller.shared_id()),
        models: caller.models(),
        meter: caller.meter().cloned(),
        route: Some(route),
        ..Intake::of(session, caller.tamed(request))
    }
}

/// The header that names the session of a request, and of its answer.
pub(in crate::listener) const SESSION: HeaderName = HeaderName::from_static("x-cortensor-session");
/// The header that names the task of an answer.
pub(in crate::listener) const TASK: HeaderName = HeaderName::from_static("x-cortensor-task");

/// The header that names the session of a client of the Model Context Protocol.
pub(in crate::listener) const MCP_SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// The header that names the types of the tools that only the servers of an API run: a model behind a server that
/// speaks chats alone was not offered them.
pub(in crate::listener) const LEFT_OUT: HeaderName = HeaderName::from_static("x-cortensor-left-out-tools");

/// The tools of a request that only such servers run.
pub(in crate::listener) struct ToolsLeftOut {
    /// Their types.
    kinds: Vec<String>,
    /// Whether the task carries the caller's own body, which has them, for an upstream that speaks the API.
    is_kept: bool,
}

impl ToolsLeftOut {
    pub(in crate::listener) fn of(kinds: Vec<String>, is_kept: bool) -> Self {
        Self { kinds, is_kept }
    }

    /// The types of those that the model of an answer was not offered. `is_own`: the answer is that of a server that
    /// speaks the API; `None`: nobody has answered yet.
    pub(in crate::listener) fn kinds(&self, is_own: impl FnOnce() -> Option<bool>) -> &[String] {
        // Usually there are none, and the answer need not be looked at.
        if self.kinds.is_empty() || is_own().unwrap_or(self.is_kept) { &[] } else { &self.kinds }
    }
}

/// Whether the answer, or its first chunk, is that of a server that speaks the caller's API.
pub(in crate::listener) fn is_own(raw: Option<&[u8]>) -> bool {
    raw.and_then(original_answer).is_some()
}

/// The header of the W3C trace context.
pub(in crate::listener) const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");

/// The session that a header names.
///
/// # Errors
/// `InvalidArgument` when the header is not text.
pub(in crate::listener) fn session(headers: &HeaderMap) -> Result<Option<&str>> {
    text(headers, &SESSION, "X-Cortensor-Session", "X-Cortensor-Session must be a session's number")
}

/// The idempotency key of a request, which lets the client send it again; `way` names the route that the key belongs
/// to.
///
/// # Errors
/// `InvalidArgument` when the header is not text.
pub(in crate::listener) fn repeat_key(headers: &HeaderMap, caller: &Caller, way: &str) -> Result<Option<RepeatKey>> {
    const KEY: HeaderName = HeaderName::from_static("idempotency-key");
    let key = text(headers, &KEY, "Idempotency-Key", "Idempotency-Key must be plain ASCII text")?;
    Ok(key.map(|key| key_of(key.to_owned(), caller, way)))
}

/// The fingerprint of a body of an API whose words a chat does not say all of, if the request is repeatable.
pub(in crate::listener) fn fingerprint(head: Marked<'_>, body: &[u8]) -> Option<Fingerprint> {
    head.marks.has(Marks::REPEAT).then(|| Fingerprint::of(body))
}

/// Limits an idempotency key to its caller and to that route.
pub(in crate::listener) fn key_of(key: String, caller: &Caller, way: &str) -> RepeatKey {
    RepeatKey { scope: format!("{} {way}", caller.name_space()), key }
}

/// The trace context of a request. The specification says to ignore a `traceparent` that is malformed or comes twice,
/// and to join the values of several `tracestate`.
pub(in crate::listener) fn trace(head: Marked<'_>) -> Option<Arc<TraceContext>> {
    if !head.marks.has(Marks::TRACE) {
        return None;
    }
    let mut parents = head.headers.get_all(TRACE_PARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else { return None };
    let states = head.headers.get_all("tracestate");
    let states: Vec<&str> = states.iter().map(|state| state.to_str().unwrap_or("malformed")).collect();
    TraceContext::read(parent.to_str().ok()?, Some(&states.join(","))).map(Arc::new)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName, param: &str, wrong: &str) -> Result<Option<&'a str>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(|text| Some(text.trim())).map_err(|_| Error::invalid(param, wrong))
}
