//! The way from a body to an answer, which all routes that make tasks share.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::chunk::{ChunkWriter, StreamSpec};
use super::{answer, request};
use crate::config::LimitsConfig;
use crate::listener::auth::Caller;
use crate::listener::marks::{Marked, Marks};
use crate::listener::reply::{self, Failed, Family};
use crate::listener::state::AppState;
use crate::listener::{access, body, intake, request_id, sse};
use crate::model::{RequestKind, Scope, TaskRequest};
use crate::router::{Checked, Intake, Wish};
use crate::{Result, Submission};

/// Headers in which OpenAI's SDKs send their own timeout, in seconds.
static SDK_TIMEOUTS: [HeaderName; 2] =
    [HeaderName::from_static("x-stainless-timeout"), HeaderName::from_static("x-stainless-read-timeout")];

/// Reads a body, submits it, and answers with the result or the stream.
pub(in crate::listener) async fn submit(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    body: Body,
    kind: RequestKind,
) -> Result<Response, Failed> {
    let failed = |error| Failed::new(Family::OpenAi, error);
    let (submission, reading) = match take_in(state, caller, head, body, kind).await {
        Ok(taken) => taken,
        Err(refusal) => {
            state.router.refused_at(route_of(kind), refusal.error(), || intake::trace(head));
            return Err(refusal);
        }
    };
    access::about(&submission);
    let task = request_id::Task::from(&submission);
    Ok(request_id::of_task(&task, respond(state, submission, reading).await.map_err(failed)))
}

/// Reads a body and submits it.
async fn take_in(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    body: Body,
    kind: RequestKind,
) -> Result<(Submission, Reading), Failed> {
    let failed = |error| Failed::new(Family::OpenAi, error);
    caller.may(Scope::Submit).map_err(failed)?;
    let body = body::read(state, Family::OpenAi, head, body).await?;
    let mut request: TaskRequest = body::parse(Family::OpenAi, &body)?;
    drop(body);
    request.kind = kind;
    if kind == RequestKind::Completion {
        // OpenAI's completions go to the model without a chat template.
        request.prompt_type = 1;
    }
    enter(state, caller, head, request).await.map_err(failed)
}

/// The route of that kind of requests.
fn route_of(kind: RequestKind) -> &'static str {
    match kind {
        RequestKind::Chat => "/v1/chat/completions",
        RequestKind::Completion => "/v1/completions",
        RequestKind::Embedding => "/v1/embeddings",
    }
}

/// The way in which a caller reads the answer. It is not part of the work: each caller has its own, even where an
/// idempotency key leads to a task that exists already.
pub(in crate::listener) struct Reading {
    stream: bool,
    /// Whether the stream ends with a chunk that carries the usage.
    usage: bool,
    /// The caller's own request, if an earlier request may have made the task; `None`: the task's request is the
    /// caller's.
    request: Option<Box<TaskRequest>>,
}

impl Reading {
    /// Reads from a request how its caller reads the answer.
    ///
    /// # Errors
    /// `InvalidArgument` when `stream_options` is malformed.
    pub(in crate::listener) fn of(checked: &Checked) -> Result<Self> {
        let request = checked.request();
        Ok(Self {
            stream: request.stream,
            usage: request::include_usage(request)?,
            request: checked.is_repeatable().then(|| Box::new(request.clone())),
        })
    }

    fn request<'a>(&'a self, submission: &'a Submission) -> &'a TaskRequest {
        self.request.as_deref().unwrap_or(submission.request())
    }
}

/// Submits a request to its session. Gives the submission and the way in which the caller reads its answer.
async fn enter(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    mut request: TaskRequest,
) -> Result<(Submission, Reading)> {
    let way = route_of(request.kind);
    let intake = Intake {
        session: session_of(head, &mut request)?,
        allowed: caller.sessions(),
        key: Some(caller.shared_id()),
        models: caller.models(),
        meter: caller.meter().cloned(),
        idempotency: if head.marks.has(Marks::REPEAT) { intake::repeat_key(head.headers, caller, way)? } else { None },
        detach: false,
        waits: !request.stream,
        any_model: false,
        patience: Some(patience(head, request.timeout, &state.router.config().limits)),
        trace: intake::trace(head),
        route: Some(route_of(request.kind)),
        request,
    };
    let checked = state.router.check(intake)?;
    let reading = Reading::of(&checked)?;
    Ok((state.router.enter(checked).await?, reading))
}

/// Answers a submitted chat in OpenAI's shape, whole or streamed. The routes for chats under `/api` use it too.
///
/// # Errors
/// The task's error, if it fails before its first token.
pub(in crate::listener) async fn chat(state: &AppState, submission: Submission, reading: Reading) -> Result<Response> {
    respond(state, submission, reading).await
}

async fn respond(state: &AppState, submission: Submission, reading: Reading) -> Result<Response> {
    // The stream's future is boxed, so that a whole answer does not reserve memory for it.
    if reading.stream { Box::pin(stream(state, submission, reading)).await } else { unary(submission, reading).await }
}

/// The seconds that the caller waits: the lesser of its SDK's timeout and the body's, else the default. All of OpenAI's
/// SDKs send the header, with ten minutes unless the program sets another time.
fn patience(head: Marked<'_>, body: Option<f64>, limits: &LimitsConfig) -> f64 {
    let names = if head.marks.has(Marks::TIMEOUT) { &SDK_TIMEOUTS[..] } else { &[] };
    let sdk = names
        .iter()
        .filter_map(|name| head.headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok())
        .find(|seconds| seconds.is_finite() && *seconds > 0.0);
    match (sdk, body) {
        (Some(sdk), Some(body)) => sdk.min(body),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => limits.openai_timeout_secs as f64,
    }
}

/// The session that the caller wants: the header names it, else the model's name, else the router chooses.
fn session_of<'a>(head: Marked<'a>, request: &mut TaskRequest) -> Result<Wish<'a>> {
    if head.marks.has(Marks::SESSION)
        && let Some(name) = intake::session(head.headers)?
    {
        return Ok(Wish::Named(name.into()));
    }
    if let Some(id) = request.model.as_deref().and_then(request::session_in_model) {
        let wish = Wish::Named(id.to_owned().into());
        request.model = None;
        return Ok(wish);
    }
    Ok(Wish::Any)
}

/// Waits for the whole answer. A client that hangs up meanwhile drops this future, and with it the task.
async fn unary(submission: Submission, reading: Reading) -> Result<Response> {
    let completion = submission.shared_result().await?;
    let body = answer::render(reading.request(&submission), &completion)?;
    let mut response = reply::bytes(StatusCode::OK, body);
    name_task(response.headers_mut(), &submission);
    Ok(response)
}

async fn stream(state: &AppState, submission: Submission, reading: Reading) -> Result<Response> {
    submission.accepted().await?;
    let keepalive = Duration::from_millis(state.config.keepalive_ms);
    let mut tokens = submission.stream();
    let first = sse::first(&mut tokens, keepalive).await?;
    let request = reading.request(&submission);
    let layout = ChunkWriter::new(StreamSpec {
        kind: request.kind,
        gid: submission.gid(),
        created: submission.created(),
        model: submission.answering_model(),
        include_usage: reading.usage,
        echo: request.prompt.clone().filter(|_| answer::echoes(request)),
    });
    let mut named = HeaderMap::with_capacity(2);
    name_task(&mut named, &submission);
    let mut response = sse::respond(submission, tokens, first, layout, keepalive);
    response.headers_mut().extend(named);
    Ok(response)
}

/// Names the task in headers, because OpenAI's bodies have no member for it.
fn name_task(headers: &mut HeaderMap, submission: &Submission) {
    // Most programs use the first sessions alone.
    const FIRST: [&str; 4] = ["0", "1", "2", "3"];
    let session = submission.session_id().0;
    let known = usize::try_from(session).ok().and_then(|session| FIRST.get(session));
    let session = known.map_or_else(|| HeaderValue::from(session), |text| HeaderValue::from_static(text));
    headers.insert(intake::SESSION, session);
    headers.insert(intake::TASK, HeaderValue::from(submission.task_id().0));
}
