//! The routes that submit completions and chats: whole, streamed, or to be fetched later.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::CortensorStream;
use super::query;
use super::schema::{Accepted, ChatOrCompletion};
use crate::listener::auth::Caller;
use crate::listener::bodies::{ChatRequest, PromptRequest};
use crate::listener::extract::InPath;
use crate::listener::marks::Marked;
use crate::listener::openapi::{CortensorFailures, IdempotencyKey, ServerSentEvent, also};
use crate::listener::reply::{self, Failed, Family};
use crate::listener::sse;
use crate::listener::state::AppState;
use crate::listener::{body, intake, openai};
use crate::model::{CompletionRecord, RequestKind, Scope, TaskRequest, Whole};
use crate::router::{Checked, Intake, Submission, Wish};
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
/// With `stream`, the answer is a stream of events `id: <number>` and `data: {...}` of that shape. `choices[0].text` is
/// the new piece; the last event has `finish_reason`, `usage` and the whole `text`; then comes `data: [DONE]`. A
/// failure after the first event is `data: {"error":"..."}`.
#[utoipa::path(
    post,
    path = "/api/v1/completions",
    tag = "Completions",
    params(IdempotencyKey),
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
/// With `stream`, the answer is a stream of events `id: <number>` and `data: {...}` of that shape. `choices[0].text` is
/// the new piece; the last event has `finish_reason`, `usage` and the whole `text`; then comes `data: [DONE]`. A
/// failure after the first event is `data: {"error":"..."}`.
#[utoipa::path(
    post,
    path = "/api/v1/completions/{session_id}",
    tag = "Completions",
    params(("session_id" = String, Path, description = "The session's number, or its 0x and 64 digits."), IdempotencyKey),
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
    params(IdempotencyKey),
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
    params(("session_id" = String, Path, description = "The session's number, or its 0x and 64 digits."), IdempotencyKey),
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

/// Takes the number of answers that the caller wants (`n`) out of the request. Each answer comes from another miner.
fn answers_wanted(request: &mut TaskRequest, most: u32) -> Result<Option<u32>> {
    let Some(value) = request.take("n") else { return Ok(None) };
    let answers = serde_json::from_str::<Option<Whole<u32>>>(value.get())
        .map_err(|_| Error::invalid("n", format!("n must be a whole number, not {}", value.get())))?;
    match answers.map(|number| number.0) {
        Some(answers) if answers == 0 || answers > most => Err(Error::invalid("n", format!("n must be 1 to {most}"))),
        answers => Ok(answers),
    }
}

/// The session that the caller wants: the path names it, else the body, else the router chooses.
fn session_of(path: Option<String>, request: &mut TaskRequest) -> Result<Wish<'static>> {
    let in_body = request.take("session_id").or_else(|| request.take("sessionId"));
    let name = match (path, in_body) {
        (Some(name), _) => Some(name),
        (None, Some(value)) => query::session_in_body(&value)?,
        (None, None) => None,
    };
    Ok(name.map_or(Wish::Any, |name| Wish::Named(name.into())))
}

/// Answers a request by the task that it becomes.
pub(super) async fn submit(
    state: &AppState,
    caller: &Caller,
    path_session: Option<String>,
    headers: &HeaderMap,
    body: Body,
    chat: bool,
) -> Result<Response, Failed> {
    let head = Marked::of(headers);
    let route = match (chat, path_session.is_some()) {
        (true, true) => "/api/v1/chat/completions/{session_id}",
        (true, false) => "/api/v1/chat/completions",
        (false, true) => "/api/v1/completions/{session_id}",
        (false, false) => "/api/v1/completions",
    };
    let taken = take_in(state, caller, path_session, head, body, (chat, route)).await;
    intake::answered(state, route, head, taken, |submission, form| answer(state, submission, form)).await
}

/// Reads a body and submits it.
async fn take_in(
    state: &AppState,
    caller: &Caller,
    path_session: Option<String>,
    head: Marked<'_>,
    body: Body,
    (chat, route): (bool, &'static str),
) -> Result<(Submission, Form), Failed> {
    caller.may(Scope::Submit)?;
    let body = body::read(state, Family::Cortensor, head, body).await?;
    let mut request: TaskRequest = body::parse(Family::Cortensor, &body)?;
    request.kind = kind_of(&request, chat);
    enter(state, caller, head, request, Taken { session: path_session, key: "/api", route, chat }).await
}

/// The kind of a request. A client that sends messages means a chat, whichever route it uses. A client that sends
/// neither messages nor a prompt means what the route says: `chat`, or a completion.
pub(in crate::listener) fn kind_of(request: &TaskRequest, chat: bool) -> RequestKind {
    let completes =
        request.prompt.is_some() || request.extra("prompt").is_some() || !chat && request.messages.is_none();
    if completes { RequestKind::Completion } else { RequestKind::Chat }
}

/// The way by which a request came.
pub(in crate::listener) struct Taken {
    /// The session in the path.
    pub(in crate::listener) session: Option<String>,
    /// The name space of the idempotency key.
    pub(in crate::listener) key: &'static str,
    pub(in crate::listener) route: &'static str,
    /// Whether the answer to a chat is OpenAI's.
    pub(in crate::listener) chat: bool,
}

/// Submits a request whose kind is known.
///
/// # Errors
/// The refusal.
pub(in crate::listener) async fn enter(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    mut request: TaskRequest,
    taken: Taken,
) -> Result<(Submission, Form), Failed> {
    let session = session_of(taken.session, &mut request)?;
    let taken = Taken { session: None, ..taken };
    if state.router.learns() {
        // The rarer way is boxed, so that the usual one does not reserve memory for it.
        return Box::pin(enter_shared(state, caller, head, request, taken, session)).await;
    }
    let (checked, form) = checked(state, caller, head, request, taken, session)?;
    Ok((state.router.enter(checked).await?, form))
}

/// Submits a request to a session that another router may have made.
async fn enter_shared(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    request: TaskRequest,
    taken: Taken,
    session: Wish<'_>,
) -> Result<(Submission, Form), Failed> {
    state.router.learn_session(&session).await?;
    let (checked, form) = checked(state, caller, head, request, taken, session)?;
    Ok((state.router.enter(checked).await?, form))
}

fn checked(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    mut request: TaskRequest,
    Taken { key, route, chat, .. }: Taken,
    session: Wish<'_>,
) -> Result<(Checked, Form), Failed> {
    let later = request.take_flag("async")?;
    let detach = request.take_flag("detach")?;
    let idempotent = request.take_flag("idempotent")?;
    let answers = answers_wanted(&mut request, state.router.settings().limits.max_answers)?;
    request.max_miners = request.max_miners.or(answers);
    let idempotency = match intake::repeat_key(head.headers, caller, key)? {
        None if idempotent => {
            let reference = request.client_reference.clone();
            let reference =
                reference.ok_or_else(|| Error::invalid("client_reference", "idempotent needs a client_reference"))?;
            Some(intake::key_of(reference, caller, key))
        }
        given => given,
    };
    let checked = state.router.check(Intake {
        idempotency,
        detach: later || detach,
        any_model: true,
        trace: intake::trace(head),
        ..intake::of(caller, session, request, route)
    })?;
    let form = match checked.request() {
        _ if later => Form::Later,
        request if chat && request.kind == RequestKind::Chat => Form::Chat(Box::new(openai::Reading::of(&checked)?)),
        request if request.stream => Form::Stream,
        _ => Form::Whole,
    };
    Ok((checked, form))
}

/// The form of the answer to a task.
pub(in crate::listener) enum Form {
    Later,
    Chat(Box<openai::Reading>),
    Stream,
    Whole,
}

impl Form {
    /// Whether the answer is a completion as a whole.
    pub(in crate::listener) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }
}

/// Answers a task in that form.
///
/// # Errors
/// The task's error, if it fails before its first event.
pub(in crate::listener) async fn answer(
    state: &AppState,
    submission: Submission,
    form: Form,
) -> Result<Response, Failed> {
    match form {
        Form::Later => {
            submission.accepted().await?;
            accepted(&submission)
        }
        Form::Chat(reading) => Ok(openai::answer_chat(state, submission, *reading).await?),
        Form::Stream => Ok(sse::respond(sse::begin(submission, &state.config, CortensorStream::new).await?)),
        Form::Whole => whole(&submission, state.router.settings().compat_aliases).await,
    }
}

/// Answers a task with its whole completion. With `aliases` the text stands there under several names.
///
/// # Errors
/// The task's error.
pub(in crate::listener) async fn whole(submission: &Submission, aliases: bool) -> Result<Response, Failed> {
    let completion = submission.shared_result().await?;
    reply::json(StatusCode::OK, &CompletionRecord::whole(&completion, aliases))
}

/// The answer 202 with the ids under which the client can poll the task.
fn accepted(submission: &Submission) -> Result<Response, Failed> {
    let (session, task) = (submission.session_id().0, submission.task_id().0);
    let body = Accepted {
        session_id: session,
        task_id: task,
        id: task,
        gid: submission.gid().0,
        status: "accepted",
        state: "queued",
    };
    let mut response = reply::json(StatusCode::ACCEPTED, &body)?;
    if let Ok(location) = HeaderValue::from_str(&format!("/api/v1/tasks/{session}/{task}")) {
        response.headers_mut().insert(http::header::LOCATION, location);
    }
    Ok(response)
}
