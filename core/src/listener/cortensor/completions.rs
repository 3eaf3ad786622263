//! Submitting: completions and chats, whole, streamed, or for later.

use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::post;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;

use super::answer::CortensorStream;
use super::query;
use crate::listener::auth::Caller;
use crate::listener::reply::{self, Failed, Family};
use crate::listener::sse;
use crate::listener::state::AppState;
use crate::listener::{body, openai};
use crate::model::{CompletionRecord, RequestKind, TaskRequest};
use crate::router::{Submission, SubmitOptions};
use crate::{Error, Result};

pub(super) fn routes() -> axum::Router<AppState> {
    let mut routes = axum::Router::new()
        .route("/api/v1/chat", post(chat))
        .route("/api/v1/chat/completions", post(chat))
        .route("/api/v1/chat/completions/{session_id}", post(chat_in));
    for version in ["v1", "v2", "v3"] {
        routes = routes
            .route(&format!("/api/{version}/completions"), post(complete))
            .route(&format!("/api/{version}/completions/{{session_id}}"), post(complete_in));
    }
    routes
}

async fn complete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    submit(&state, &caller, None, &headers, body, false).await
}

async fn complete_in(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(session): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    submit(&state, &caller, Some(session), &headers, body, false).await
}

async fn chat(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    submit(&state, &caller, None, &headers, body, true).await
}

async fn chat_in(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(session): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    submit(&state, &caller, Some(session), &headers, body, true).await
}

/// Takes a field of the listener's own out of those that pass through.
fn take_flag(request: &mut TaskRequest, name: &str) -> Result<bool> {
    let Some(index) = request.extra.iter().position(|(key, _)| key == name) else { return Ok(false) };
    let (_, value) = request.extra.remove(index);
    match value.get() {
        "true" => Ok(true),
        "false" | "null" => Ok(false),
        other => Err(Error::invalid(name, format!("{name} must be true or false, not {other}"))),
    }
}

fn take_number(request: &mut TaskRequest, name: &str) -> Result<Option<u32>> {
    let Some(index) = request.extra.iter().position(|(key, _)| key == name) else { return Ok(None) };
    let (_, value) = request.extra.remove(index);
    serde_json::from_str(value.get())
        .map_err(|_| Error::invalid(name, format!("{name} must be a whole number, not {}", value.get())))
}

async fn submit(
    state: &AppState,
    caller: &Caller,
    path_session: Option<String>,
    headers: &HeaderMap,
    body: Body,
    chat: bool,
) -> Result<Response, Failed> {
    caller.may("submit")?;
    let body = body::read(state, Family::Cortensor, headers, body).await?;
    let mut request: TaskRequest = body::parse(Family::Cortensor, &body)?;
    // A client that speaks of messages means a chat, whichever route it takes.
    if chat && request.messages.is_none() && request.prompt.is_none() {
        return Err(Error::invalid("messages", "messages is missing: give a list of {role, content}").into());
    }
    request.kind = if request.messages.is_some() && request.prompt.is_none() {
        RequestKind::Chat
    } else {
        RequestKind::Completion
    };
    let in_body = request
        .extra
        .iter()
        .position(|(key, _)| key == "session_id" || key == "sessionId")
        .map(|index| request.extra.remove(index).1);
    let session = match (path_session, in_body) {
        (Some(text), _) => Some(query::session(state, caller, &text)?),
        (None, Some(value)) => query::session_in_body(state, caller, &value)?,
        (None, None) => None,
    };
    let session = match session {
        Some(session) => session,
        None => caller
            .sessions()
            .first()
            .map_or_else(|| state.router.next_completion_session(), |id| crate::model::SessionId(*id)),
    };
    caller.sees(session)?;
    let later = take_flag(&mut request, "async")?;
    let detach = take_flag(&mut request, "detach")?;
    let idempotent = take_flag(&mut request, "idempotent")?;
    if let Some(answers) = take_number(&mut request, "n")? {
        request.max_miners = request.max_miners.or(Some(answers));
    }
    let idempotency_key = match headers.get("idempotency-key") {
        Some(key) => Some(
            key.to_str()
                .map_err(|_| Error::invalid("Idempotency-Key", "Idempotency-Key must be plain ASCII text"))?
                .trim()
                .to_owned(),
        ),
        None if idempotent => Some(
            request
                .client_reference
                .clone()
                .ok_or_else(|| Error::invalid("client_reference", "idempotent needs a client_reference"))?,
        ),
        None => None,
    };
    let streamed = request.stream && !later;
    let options = SubmitOptions {
        idempotency_key,
        scope: format!("{} /api", caller.id),
        detach: later || detach,
        any_model: true,
    };
    let submission = state.router.submit(session, request, options).await?;
    if later {
        submission.accepted().await?;
        return accepted(&submission);
    }
    if chat && submission.request().kind == RequestKind::Chat {
        return Ok(openai::answer_chat(state, submission).await?);
    }
    if streamed {
        submission.accepted().await?;
        let layout = CortensorStream::new(&submission);
        let tokens = submission.stream();
        return Ok(sse::respond(submission, tokens, None, layout, Duration::from_millis(state.config.keepalive_ms)));
    }
    let completion = submission.result().await?;
    reply::json(StatusCode::OK, &CompletionRecord::whole(&completion, state.router.config().compat_aliases))
}

/// 202 with the ids under which the task can be polled.
fn accepted(submission: &Submission) -> Result<Response, Failed> {
    let (session, task) = (submission.session_id().0, submission.task_id().0);
    let body = json!({"session_id": session, "task_id": task, "id": task, "gid": submission.gid().0, "status": "accepted", "state": "queued"});
    let mut response = reply::json(StatusCode::ACCEPTED, &body)?;
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/tasks/{session}/{task}")) {
        response.headers_mut().insert(http::header::LOCATION, location);
    }
    Ok(response)
}
