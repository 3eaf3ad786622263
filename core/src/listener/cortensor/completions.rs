//! Submitting: completions and chats, whole, streamed, or for later.

use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::CortensorStream;
use super::query;
use super::schema::{Accepted, ChatOrCompletion, ChatRequest, PromptRequest};
use crate::listener::auth::Caller;
use crate::listener::extract::InPath;
use crate::listener::openapi::{CortensorFailures, IdempotencyHeader, ServerSentEvent, also};
use crate::listener::reply::{self, Failed, Family};
use crate::listener::sse;
use crate::listener::state::AppState;
use crate::listener::{body, openai, request_id};
use crate::model::{CompletionRecord, RequestKind, TaskRequest, Whole};
use crate::router::{Submission, SubmitOptions};
use crate::{Error, Result};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(complete))
        .routes(routes!(complete_in))
        .routes(also(routes!(chat), &["/api/v1/chat"]))
        .routes(routes!(chat_in))
}

/// Text for a prompt
///
/// With `stream`, events `id: <number>` and `data: {...}` of the same shape: `choices[0].text` is the new piece, the last one has `finish_reason`,
/// `usage` and the whole `text`; then comes `data: [DONE]`. A failure after the first event is `data: {"error":"..."}`.
#[utoipa::path(
    post,
    path = "/api/v1/completions",
    tag = "Completions",
    params(IdempotencyHeader),
    request_body = PromptRequest,
    responses(
        (status = 200, description = "The answer, or its stream.", content((CompletionRecord<'static> = "application/json"), (ServerSentEvent = "text/event-stream"))),
        (status = 202, description = "With `async`: the task's ids.", body = Accepted),
        CortensorFailures,
    )
)]
async fn complete(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    submit(&state, &caller, None, &headers, body, false).await
}

/// Text for a prompt, in that session
///
/// With `stream`, events `id: <number>` and `data: {...}` of the same shape: `choices[0].text` is the new piece, the last one has `finish_reason`,
/// `usage` and the whole `text`; then comes `data: [DONE]`. A failure after the first event is `data: {"error":"..."}`.
#[utoipa::path(
    post,
    path = "/api/v1/completions/{session_id}",
    tag = "Completions",
    params(("session_id" = String, Path, description = "The session's number, or its 0x and 64 digits."), IdempotencyHeader),
    request_body = PromptRequest,
    responses(
        (status = 200, description = "The answer, or its stream.", content((CompletionRecord<'static> = "application/json"), (ServerSentEvent = "text/event-stream"))),
        (status = 202, description = "With `async`: the task's ids.", body = Accepted),
        CortensorFailures,
    )
)]
async fn complete_in(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(session): InPath<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    submit(&state, &caller, Some(session), &headers, body, false).await
}

/// The next message of a conversation
///
/// The answer and its stream are OpenAI's. A body with a `prompt` and no `messages` is answered as a completion.
#[utoipa::path(
    post,
    path = "/api/v1/chat/completions",
    tag = "Completions",
    params(IdempotencyHeader),
    request_body = ChatRequest,
    responses(
        (status = 200, description = "The answer, or its stream.", content((ChatOrCompletion = "application/json"), (ServerSentEvent = "text/event-stream"))),
        (status = 202, description = "With `async`: the task's ids.", body = Accepted),
        CortensorFailures,
    )
)]
async fn chat(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    submit(&state, &caller, None, &headers, body, true).await
}

/// The next message of a conversation, in that session
///
/// The answer and its stream are OpenAI's. A body with a `prompt` and no `messages` is answered as a completion.
#[utoipa::path(
    post,
    path = "/api/v1/chat/completions/{session_id}",
    tag = "Completions",
    params(("session_id" = String, Path, description = "The session's number, or its 0x and 64 digits."), IdempotencyHeader),
    request_body = ChatRequest,
    responses(
        (status = 200, description = "The answer, or its stream.", content((ChatOrCompletion = "application/json"), (ServerSentEvent = "text/event-stream"))),
        (status = 202, description = "With `async`: the task's ids.", body = Accepted),
        CortensorFailures,
    )
)]
async fn chat_in(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(session): InPath<String>,
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
    serde_json::from_str::<Option<Whole<u32>>>(value.get())
        .map(|number| number.map(|number| number.0))
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
    let any_session = session.is_none();
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
        let most = state.router.config().limits.max_answers;
        if answers == 0 || answers > most {
            return Err(Error::invalid("n", format!("n must be 1 to {most}")).into());
        }
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
    let reading =
        (chat && request.kind == RequestKind::Chat).then(|| openai::Reading::of(&request, idempotency_key.is_some()));
    let reading = reading.transpose()?;
    let options = SubmitOptions {
        idempotency_key,
        scope: format!("{} /api", caller.id()),
        detach: later || detach,
        any_model: true,
        any_session,
        ..SubmitOptions::default()
    };
    let submission = state.router.submit(session, request, options).await?;
    let task = request_id::Task::from(&submission);
    let form = match reading {
        _ if later => Form::Later,
        Some(reading) => Form::Chat(Box::new(reading)),
        None if streamed => Form::Stream,
        None => Form::Whole,
    };
    Ok(request_id::of_task(&task, answer(state, submission, form).await))
}

/// How a task is answered.
enum Form {
    Later,
    Chat(Box<openai::Reading>),
    Stream,
    Whole,
}

async fn answer(state: &AppState, submission: Submission, form: Form) -> Result<Response, Failed> {
    match form {
        Form::Later => {
            submission.accepted().await?;
            accepted(&submission)
        }
        Form::Chat(reading) => Ok(openai::answer_chat(state, submission, *reading).await?),
        Form::Stream => {
            submission.accepted().await?;
            let layout = CortensorStream::new(&submission);
            let mut tokens = submission.stream();
            let keepalive = Duration::from_millis(state.config.keepalive_ms);
            let first = sse::first(&mut tokens, keepalive).await?;
            Ok(sse::respond(submission, tokens, first, layout, keepalive))
        }
        Form::Whole => {
            let completion = submission.result().await?;
            reply::json(StatusCode::OK, &CompletionRecord::whole(&completion, state.router.config().compat_aliases))
        }
    }
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
