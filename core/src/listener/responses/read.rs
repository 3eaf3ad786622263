//! The routes that read, stream, cancel and delete a response that was made before.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::Value;

use super::create::{answered, failed, named, shown};
use super::found::{Found, find};
use super::schema::{Deleted, InputItems, InputQuery, ResponsePath, ShowQuery};
use super::stream;
use crate::listener::answer::{Answer, Named};
use crate::listener::auth::Caller;
use crate::listener::cortensor::query;
use crate::listener::extract::{InPath, InQuery};
use crate::listener::openapi::{OpenAiFailures, ServerSentEvent};
use crate::listener::reply::{self, Failed};
use crate::listener::state::AppState;
use crate::listener::{access, request_id};
use crate::model::responses::{Ended, Resource};
use crate::model::{Outcome, Scope, TaskState, Timestamp};
use crate::{Error, ErrorKind, Result};

/// Items on a page of an input, if the caller names no number.
const PAGE: u64 = 20;

/// A response that was made before
///
/// With `stream=true`, the answer is its stream from the beginning, or after the event `starting_after`. Where the
/// router has the pieces of a response no longer one by one, a stream that goes on has the last event alone.
#[utoipa::path(
    get,
    path = "/v1/responses/{response_id}",
    tag = "Responses",
    params(ResponsePath, ShowQuery),
    responses(
        (status = 200, description = "The response, or its stream.", content((Resource<'static> = "application/json"), (ServerSentEvent = "text/event-stream"))),
        OpenAiFailures,
    )
)]
pub(super) async fn show(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(path): InPath<ResponsePath>,
    InQuery(asked): InQuery<ShowQuery>,
) -> Result<Response, Failed> {
    may_read(&caller).map_err(failed)?;
    let mut found = find(&state, &caller, &path.response_id, "response_id").await.map_err(failed)?;
    access::about(&found.submission);
    let task = request_id::Task::from(&found.submission);
    let after = query::number("starting_after", &asked.starting_after).map_err(failed)?;
    let answer = match asked.stream.as_str() {
        "true" => {
            let session = found.submission.session_id();
            found.submission.hold(state.router.stream_permits(caller.meter(), session).map_err(failed)?);
            let named = Named::from(&found.submission);
            let events = stream::events(&state, found.submission, found.asked, after).await;
            events.map(|events| Answer::events(named, events))
        }
        "" | "false" => show_whole(&found).await,
        _ => Err(Error::invalid("stream", "stream must be true or false")),
    };
    Ok(answer.unwrap_or_else(|error| Answer::Failed(Some(task), failed(error))).into_response())
}

/// Cancels a response
///
/// The task's miner is told to stop. A response that has ended stays unchanged.
#[utoipa::path(
    post,
    path = "/v1/responses/{response_id}/cancel",
    tag = "Responses",
    params(ResponsePath),
    responses((status = 200, description = "The response as it is now.", body = Resource<'static>), OpenAiFailures)
)]
pub(super) async fn cancel(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(path): InPath<ResponsePath>,
) -> Result<Response, Failed> {
    caller.may(Scope::Submit).map_err(failed)?;
    let found = find(&state, &caller, &path.response_id, "response_id").await.map_err(failed)?;
    let (session, task) = (found.submission.session_id(), found.submission.task_id());
    match state.router.cancel(session, task).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::Conflict => {}
        Err(error) => return Err(failed(error)),
    }
    Ok(show_whole(&found).await.map_err(failed)?.into_response())
}

/// Deletes a response
///
/// The router forgets its request and its answer; what it used stays counted. A response that has not ended must be
/// cancelled first.
#[utoipa::path(
    delete,
    path = "/v1/responses/{response_id}",
    tag = "Responses",
    params(ResponsePath),
    responses((status = 200, description = "The response is gone.", body = Deleted), OpenAiFailures)
)]
pub(super) async fn delete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(path): InPath<ResponsePath>,
) -> Result<Response, Failed> {
    caller.may(Scope::Submit).map_err(failed)?;
    let found = find(&state, &caller, &path.response_id, "response_id").await.map_err(failed)?;
    let (session, task) = (found.submission.session_id(), found.submission.task_id());
    state.router.delete_task(session, task).await.map_err(failed)?;
    reply::json(StatusCode::OK, &Deleted { id: path.response_id, object: "response", deleted: true })
}

/// The items of a response's input
#[utoipa::path(
    get,
    path = "/v1/responses/{response_id}/input_items",
    tag = "Responses",
    params(ResponsePath, InputQuery),
    responses((status = 200, description = "A page of them.", body = InputItems), OpenAiFailures)
)]
pub(super) async fn input_items(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(path): InPath<ResponsePath>,
    InQuery(asked): InQuery<InputQuery>,
) -> Result<Response, Failed> {
    may_read(&caller).map_err(failed)?;
    let found = find(&state, &caller, &path.response_id, "response_id").await.map_err(failed)?;
    let page = page(&found, &asked).map_err(failed)?;
    reply::json(StatusCode::OK, &page)
}

fn may_read(caller: &Caller) -> Result<()> {
    caller.may(Scope::Submit).or_else(|_| caller.may(Scope::Read))
}

/// The response as it is now.
async fn show_whole(found: &Found) -> Result<Answer> {
    let Found { submission, asked } = found;
    let (head, named) = (Named::from(submission), named(submission));
    let task = submission.state();
    let ended_at = task.ended_at.map(Timestamp::as_secs);
    if task.state != TaskState::Ended {
        let ended = if task.state == TaskState::Queued { Ended::Queued } else { Ended::InProgress };
        return Ok(Answer::Whole(head, shown(&Resource::of(&named, asked, ended, None))?.into()));
    }
    let body = match submission.shared_result().await {
        Ok(completion) => answered(named, asked, &completion.answer, ended_at),
        Err(_) if task.outcome == Some(Outcome::Cancelled) => {
            shown(&Resource::of(&named, asked, Ended::Cancelled, ended_at))
        }
        Err(error) => shown(&Resource::of(&named, asked, Ended::Failed(&error), ended_at)),
    };
    Ok(Answer::Whole(head, body?.into()))
}

/// A page of the input's items, each with an id.
fn page(found: &Found, asked: &InputQuery) -> Result<InputItems> {
    let digits = named(&found.submission).digits;
    let limit = query::number("limit", &asked.limit)?.unwrap_or(PAGE);
    if !(1..=100).contains(&limit) {
        return Err(Error::invalid("limit", "limit must be 1 to 100"));
    }
    let kept = found.asked.items()?;
    let mut items: Vec<(String, Value)> = Vec::with_capacity(kept.len());
    for (index, item) in kept.into_iter().enumerate() {
        let mut item: Value = serde_json::from_str(item.get()).map_err(Error::internal)?;
        if item.get("type").is_none() {
            item["type"] = "message".into();
        }
        let id = match item["id"].as_str() {
            Some(id) if !id.is_empty() => id.to_owned(),
            _ => {
                let id = format!("in_{digits}_{index}");
                item["id"] = id.as_str().into();
                id
            }
        };
        items.push((id, item));
    }
    match asked.order.as_str() {
        "" | "desc" => items.reverse(),
        "asc" => {}
        _ => return Err(Error::invalid("order", "order must be asc or desc")),
    }
    if !asked.after.is_empty() {
        let at = items.iter().position(|(id, _)| *id == asked.after);
        let at = at.ok_or_else(|| Error::invalid("after", "after must be the id of an item of this input"))?;
        items.drain(..=at);
    }
    let has_more = items.len() as u64 > limit;
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let id = |item: Option<&(String, Value)>| item.map(|(id, _)| id.clone());
    Ok(InputItems {
        object: "list",
        first_id: id(items.first()),
        last_id: id(items.last()),
        has_more,
        data: items.into_iter().map(|(_, item)| item).collect(),
    })
}
