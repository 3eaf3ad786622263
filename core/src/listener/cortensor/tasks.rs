//! Tasks: list, show, cancel, join their tokens.

use std::collections::HashMap;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::answer::CortensorStream;
use super::query;
use crate::Error;
use crate::listener::auth::Caller;
use crate::listener::reply::{self, Failed};
use crate::listener::sse;
use crate::listener::state::AppState;
use crate::model::{TaskRecord, wanted_tasks};
use crate::router::TaskQuery;

pub(super) fn routes() -> axum::Router<AppState> {
    axum::Router::new()
        .route("/api/v1/tasks/{session_id}", get(list))
        .route("/api/v1/tasks/{session_id}/{task_id}", get(show).delete(cancel))
        .route("/api/v1/tasks/{session_id}/{task_id}/stream", get(join))
}

#[derive(Serialize)]
struct Tasks<'a> {
    count: u64,
    tasks: Vec<TaskRecord<'a>>,
}

async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(session): Path<String>,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Response, Failed> {
    caller.may("read")?;
    let session_id = query::session(&state, &caller, &session)?;
    let page = query::page(&asked, state.config.max_page_rows)?;
    let wanted = TaskQuery {
        session_id,
        state: wanted_tasks(asked.get("state").map(String::as_str))?,
        limit: page.limit,
        offset: page.offset,
    };
    let found = state.router.tasks(wanted).await?;
    let tasks: Vec<_> = found.tasks.iter().map(TaskRecord::row).collect();
    if asked.get("format").is_some_and(|format| format == "array") {
        return reply::json(StatusCode::OK, &tasks);
    }
    reply::json(StatusCode::OK, &Tasks { count: found.total, tasks })
}

async fn show(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path((session, task)): Path<(String, String)>,
) -> Result<Response, Failed> {
    caller.may("read")?;
    let session = query::session(&state, &caller, &session)?;
    let task = state.router.task(session, query::task(&task)?).await?;
    reply::json(StatusCode::OK, &TaskRecord::detail(&task))
}

async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path((session, task)): Path<(String, String)>,
) -> Result<Response, Failed> {
    caller.may("submit")?;
    let session = query::session(&state, &caller, &session)?;
    let task = state.router.cancel(session, query::task(&task)?).await?;
    reply::json(StatusCode::OK, &TaskRecord::detail(&task))
}

async fn join(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path((session, task)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    caller.may("read")?;
    let session = query::session(&state, &caller, &session)?;
    let submission = state.router.attach(session, query::task(&task)?).await?;
    let after = match headers.get("last-event-id") {
        None => 0,
        Some(value) => value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()).ok_or_else(|| {
            Error::invalid("Last-Event-ID", "Last-Event-ID must be the number of the last event that was seen")
        })?,
    };
    let layout = CortensorStream::new(&submission);
    let tokens = submission.stream_after(after);
    let keepalive = Duration::from_millis(state.config.keepalive_ms);
    Ok(sse::respond(submission, tokens, None, layout, keepalive))
}
