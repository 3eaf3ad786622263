//! The routes of tasks: list, show, cancel, and stream their tokens.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::CortensorStream;
use super::query;
use super::schema::{self, TaskPage, TaskPath, Tasks};
use crate::Error;
use crate::listener::auth::Caller;
use crate::listener::extract::{InPath, InQuery};
use crate::listener::openapi::{LastEventId, ReadFailures, ServerSentEvent};
use crate::listener::reply::{self, Failed};
use crate::listener::sse::{self, Events};
use crate::listener::state::AppState;
use crate::listener::{access, request_id};
use crate::model::{Scope, TaskRecord, absent, page_rows, page_start, wanted_tasks};
use crate::store::TaskQuery;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, cancel)).routes(routes!(join))
}

/// A session's tasks
///
/// Without `offset` and `order` this is the newest page, oldest first inside it: the last row is the session's newest
/// task.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{session_id}",
    tag = "Tasks",
    params(("session_id" = String, Path, description = "The session's number, or its 0x and 64 digits."), schema::TaskQuery),
    responses((status = 200, description = "A page of them.", body = Tasks<'static>), ReadFailures)
)]
pub(in crate::listener) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(session): InPath<String>,
    InQuery(asked): InQuery<schema::TaskQuery>,
) -> Result<Response, Failed> {
    caller.may(Scope::Read)?;
    let session_id = query::session(&state, &caller, &session).await?;
    let (start, reversed) = page_start(query::number("offset", &asked.offset)?, Some(&asked.order))?;
    let wanted = TaskQuery {
        session_id,
        state: wanted_tasks(Some(&asked.state))?,
        key_id: absent::text::of(asked.key),
        limit: page_rows(query::number("limit", &asked.limit)?, state.config.max_page_rows)?,
        start,
    };
    let found = state.router.tasks(wanted).await?;
    let mut tasks: Vec<_> = found.tasks.iter().map(TaskRecord::row).collect();
    if reversed {
        tasks.reverse();
    }
    let corrupt: Vec<u64> = found.corrupt.iter().map(|id| id.0).collect();
    if asked.format == "array" {
        let mut response = reply::json(StatusCode::OK, &Tasks::Array(tasks))?;
        let ids = corrupt.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        // An array has no member for the damaged ids, so a header carries them.
        if let (false, Ok(ids)) = (corrupt.is_empty(), HeaderValue::from_str(&ids)) {
            response.headers_mut().insert("x-cortensor-corrupt", ids);
        }
        return Ok(response);
    }
    reply::json(StatusCode::OK, &Tasks::Page(TaskPage { count: found.total, tasks, corrupt }))
}

/// One task
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{session_id}/{task_id}",
    tag = "Tasks",
    params(TaskPath),
    responses((status = 200, description = "The task.", body = TaskRecord<'static>), ReadFailures)
)]
pub(in crate::listener) async fn show(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(path): InPath<TaskPath>,
) -> Result<Response, Failed> {
    caller.may(Scope::Read)?;
    let session = query::session(&state, &caller, &path.session_id).await?;
    let task = state.router.task(session, query::task(&path.task_id)?).await?;
    reply::json(StatusCode::OK, &TaskRecord::detail(&task))
}

/// Cancels a task
///
/// The task's miner is told to stop. A task that has ended stays unchanged (409).
#[utoipa::path(
    delete,
    path = "/api/v1/tasks/{session_id}/{task_id}",
    tag = "Tasks",
    params(TaskPath),
    responses((status = 200, description = "The task as it is now.", body = TaskRecord<'static>), ReadFailures)
)]
async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(path): InPath<TaskPath>,
) -> Result<Response, Failed> {
    caller.may(Scope::Submit)?;
    let session = query::session(&state, &caller, &path.session_id).await?;
    let task = state.router.cancel(session, query::task(&path.task_id)?).await?;
    reply::json(StatusCode::OK, &TaskRecord::detail(&task))
}

/// A task's tokens, from the beginning or after those that a client has
///
/// The events are those of a streamed completion. An ended task gives the tokens that are kept: each token while the
/// task is among the newest `limits.recent_tasks`, and its text in one piece later. An event whose data has
/// `"restart":true` (there is no `event:` line) means that all earlier tokens are void and the whole text follows:
/// another miner began anew, the router was restarted meanwhile, `Last-Event-ID` is not a number of this task, or the
/// tokens are not kept one by one any more. Numbers grow by one; those of each later start of the router begin 2^32
/// higher.
#[utoipa::path(
    get,
    path = "/api/v1/tasks/{session_id}/{task_id}/stream",
    tag = "Tasks",
    params(TaskPath, LastEventId),
    responses((status = 200, description = "The tokens.", body = ServerSentEvent, content_type = "text/event-stream"), ReadFailures)
)]
async fn join(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(path): InPath<TaskPath>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    caller.may(Scope::Read)?;
    let session = query::session(&state, &caller, &path.session_id).await?;
    let permits = state.router.stream_permits(caller.meter(), session)?;
    let mut submission = state.router.attach(session, query::task(&path.task_id)?).await?;
    submission.hold(permits);
    let after = last_event_id(&headers)?;
    let layout = CortensorStream::new(&submission);
    let mut tokens = submission.stream_after(after);
    let keepalive = Duration::from_millis(state.config.keepalive_ms);
    access::about(&submission);
    let named = request_id::Task::from(&submission);
    let first = sse::first(&mut tokens, keepalive).await;
    let answer = first
        .map(|first| sse::respond(Events::new(submission, tokens, first, layout, keepalive)))
        .map_err(Failed::from);
    Ok(request_id::of_task(&named, answer))
}

/// The number of the last event that the client has; 0: it has none. A number that is not one of the task's makes the
/// stream begin anew.
fn last_event_id(headers: &HeaderMap) -> Result<u64, Error> {
    let Some(value) = headers.get("last-event-id") else { return Ok(0) };
    let text = value.to_str().unwrap_or("?").trim();
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = "Last-Event-ID must be the number of the last event that was seen, or be left out";
        return Err(Error::invalid("Last-Event-ID", message));
    }
    // Browsers send an empty header where no event had a number.
    Ok(if text.is_empty() { 0 } else { text.parse().unwrap_or(u64::MAX) })
}
