//! The way from a body to an answer, which all routes that make tasks share.

use axum::response::{IntoResponse, Response};
use http::HeaderName;

use super::chunk::{ChunkWriter, StreamSpec};
use super::{answer, request};
use crate::config::LimitsConfig;
use crate::listener::answer::{Answer, Named};
use crate::listener::auth::Caller;
use crate::listener::marks::{Marked, Marks};
use crate::listener::reply::{Failed, Family};
use crate::listener::state::AppState;
use crate::listener::{body, intake, sse};
use crate::model::{RequestKind, TaskRequest};
use crate::router::{Checked, Intake, Wish};
use crate::{Result, Submission};

/// Headers in which OpenAI's SDKs send their own timeout, in seconds.
static SDK_TIMEOUTS: [HeaderName; 2] =
    [HeaderName::from_static("x-stainless-timeout"), HeaderName::from_static("x-stainless-read-timeout")];

/// Reads a request from its body.
///
/// # Errors
/// The error names the field at fault.
pub(in crate::listener) fn parse(body: &[u8], kind: RequestKind) -> Result<TaskRequest, Failed> {
    let mut request: TaskRequest = body::parse(Family::OpenAi, body)?;
    request.kind = kind;
    if kind == RequestKind::Completion {
        // OpenAI's completions go to the model without a chat template.
        request.prompt_type = 1;
    }
    Ok(request)
}

/// The route of that kind of requests.
pub(in crate::listener) const fn route_of(kind: RequestKind) -> &'static str {
    match kind {
        RequestKind::Chat => "/v1/chat/completions",
        RequestKind::Completion => "/v1/completions",
        RequestKind::Embedding => "/v1/embeddings",
        RequestKind::Rerank => "/v1/rerank",
        RequestKind::Transcription => "/v1/audio/transcriptions",
        RequestKind::Speech => "/v1/audio/speech",
        RequestKind::Image => "/v1/images/generations",
        RequestKind::Moderation => "/v1/moderations",
        RequestKind::Compaction => "/v1/responses/compact",
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
///
/// # Errors
/// The refusal.
pub(in crate::listener) async fn enter(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    request: TaskRequest,
) -> Result<(Submission, Reading)> {
    if state.router.learns() {
        // The rarer way is boxed, so that the usual one does not reserve memory for it.
        return Box::pin(enter_shared(state, caller, head, request)).await;
    }
    let (checked, reading) = checked(state, caller, head, request)?;
    Ok((state.router.enter(checked).await?, reading))
}

/// Submits a request to a session that another router may have made.
async fn enter_shared(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    request: TaskRequest,
) -> Result<(Submission, Reading)> {
    learn(state, head, request.model.clone()).await?;
    let (checked, reading) = checked(state, caller, head, request)?;
    Ok((state.router.enter(checked).await?, reading))
}

fn checked(state: &AppState, caller: &Caller, head: Marked<'_>, request: TaskRequest) -> Result<(Checked, Reading)> {
    let way = route_of(request.kind);
    let checked = state.router.check(intake_of(state, caller, head, request, way)?)?;
    let reading = Reading::of(&checked)?;
    Ok((checked, reading))
}

/// A request that came by that route under `/v1`, with what its headers say.
///
/// # Errors
/// `InvalidArgument` names the header.
pub(in crate::listener) fn intake_of<'a>(
    state: &AppState,
    caller: &'a Caller,
    head: Marked<'a>,
    mut request: TaskRequest,
    way: &'static str,
) -> Result<Intake<'a>> {
    let session = session_of(head, &mut request)?;
    Ok(Intake {
        idempotency: if head.marks.has(Marks::REPEAT) { intake::repeat_key(head.headers, caller, way)? } else { None },
        waits: !request.stream,
        patience: Some(patience(head, request.timeout, &state.router.settings().limits)),
        trace: intake::trace(head),
        ..intake::of(caller, session, request, way)
    })
}

/// Answers a submitted chat in OpenAI's shape, whole or streamed. The routes for chats under `/api` use it too.
///
/// # Errors
/// The task's error, if it fails before its first token.
pub(in crate::listener) async fn chat(state: &AppState, submission: Submission, reading: Reading) -> Result<Response> {
    Ok(respond(state, submission, reading).await?.into_response())
}

/// Answers a submitted request in OpenAI's shape, whole or streamed.
///
/// # Errors
/// The task's error, if it fails before its first token.
pub(in crate::listener) async fn respond(state: &AppState, submission: Submission, reading: Reading) -> Result<Answer> {
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

/// Makes sure that the session that the caller names is known here if another router has made it.
///
/// # Errors
/// The store's; `InvalidArgument` names the header.
pub(in crate::listener) async fn learn(state: &AppState, head: Marked<'_>, model: Option<String>) -> Result<()> {
    let mut named = TaskRequest::default();
    named.model = model;
    let wish = session_of(head, &mut named)?;
    state.router.learn_session(&wish).await
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
async fn unary(submission: Submission, reading: Reading) -> Result<Answer> {
    let completion = submission.shared_result().await?;
    let body = answer::render(reading.request(&submission), &completion)?;
    Ok(Answer::Whole(Named::from(&submission), body))
}

async fn stream(state: &AppState, submission: Submission, reading: Reading) -> Result<Answer> {
    let named = Named::from(&submission);
    let layout = |submission: &Submission| {
        let request = reading.request(submission);
        ChunkWriter::new(StreamSpec {
            kind: request.kind,
            gid: submission.gid(),
            created: submission.created(),
            model: submission.answering_model(),
            include_usage: reading.usage,
            echo: request.prompt.clone().filter(|_| answer::echoes(request)),
        })
    };
    Ok(Answer::events(named, sse::begin(submission, &state.config, layout).await?))
}
