//! From a body to an answer: what the routes that make tasks have in common.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::chunk::{ChunkWriter, StreamSpec};
use super::{answer, request};
use crate::config::LimitsConfig;
use crate::listener::auth::Caller;
use crate::listener::cortensor::query;
use crate::listener::reply::{self, Failed, Family};
use crate::listener::state::AppState;
use crate::listener::{body, request_id, sse};
use crate::model::{MinerInfo, MinerKind, RequestKind, SessionId, TaskRequest, meant};
use crate::{Error, Result, Router, Submission, SubmitOptions};

/// Names the session of a request, and of its answer.
pub(in crate::listener) const SESSION: HeaderName = HeaderName::from_static("x-cortensor-session");
/// Names the task of an answer.
pub(in crate::listener) const TASK: HeaderName = HeaderName::from_static("x-cortensor-task");

/// Headers in which OpenAI's SDKs say how long they wait, in seconds.
static SDK_TIMEOUTS: [HeaderName; 2] =
    [HeaderName::from_static("x-stainless-timeout"), HeaderName::from_static("x-stainless-read-timeout")];
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Reads a body, submits it, and answers with the result or the stream.
pub(super) async fn submit(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
    kind: RequestKind,
) -> Result<Response, Failed> {
    let failed = |error| Failed::new(Family::OpenAi, error);
    caller.may("submit").map_err(failed)?;
    let body = body::read(state, Family::OpenAi, headers, body).await?;
    let request = request::checked(kind, body::parse(Family::OpenAi, &body)?).map_err(failed)?;
    drop(body);
    let (submission, reading) = enter(state, caller, headers, request).await.map_err(failed)?;
    let task = request_id::Task::from(&submission);
    Ok(request_id::of_task(&task, respond(state, submission, reading).await.map_err(failed)))
}

/// How a caller reads the answer: no part of the work, so it is the caller's own also where an idempotency key leads to a
/// task that is there already.
pub(in crate::listener) struct Reading {
    stream: bool,
    /// Whether the stream ends with a chunk of the usage.
    usage: bool,
    /// The caller's request, where the task may have been made by an earlier one.
    request: Option<Box<TaskRequest>>,
}

impl Reading {
    /// How that request wants to be answered; `keyed`: it has an idempotency key.
    ///
    /// # Errors
    /// When `stream_options` is not what it should be.
    pub(in crate::listener) fn of(request: &TaskRequest, keyed: bool) -> Result<Self> {
        Ok(Self {
            stream: request.stream,
            usage: request::include_usage(request)?,
            request: keyed.then(|| Box::new(request.clone())),
        })
    }

    fn request<'a>(&'a self, submission: &'a Submission) -> &'a TaskRequest {
        self.request.as_deref().unwrap_or(submission.request())
    }
}

/// Submits a request to the session that is meant, and says how its caller reads the answer.
async fn enter(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    mut request: TaskRequest,
) -> Result<(Submission, Reading)> {
    let (session, any_session) = session_of(state, caller, headers, &mut request)?;
    if let Some(refusal) = request::wants_upstream(&request)
        && !only_upstreams(&state.router, session, request.model.as_deref())
    {
        return Err(refusal);
    }
    let scope = match request.kind {
        RequestKind::Chat => "/v1/chat/completions",
        RequestKind::Completion => "/v1/completions",
        RequestKind::Embedding => "/v1/embeddings",
    };
    let idempotency_key = idempotency_key(headers)?;
    let scope = idempotency_key.as_ref().map(|_| format!("{} {scope}", caller.id())).unwrap_or_default();
    let reading = Reading::of(&request, idempotency_key.is_some())?;
    let options = SubmitOptions {
        idempotency_key,
        scope,
        any_session,
        timeout: Some(patience(headers, request.timeout, &state.router.config().limits)),
        open_ended: true,
        ..SubmitOptions::default()
    };
    Ok((state.router.submit(session, request, options).await?, reading))
}

/// A submitted chat as OpenAI's clients read it, whole or streamed; `/api` has routes for chats too.
///
/// # Errors
/// When the task fails before its first token.
pub(in crate::listener) async fn chat(state: &AppState, submission: Submission, reading: Reading) -> Result<Response> {
    respond(state, submission, reading).await
}

async fn respond(state: &AppState, submission: Submission, reading: Reading) -> Result<Response> {
    if reading.stream { stream(state, submission, reading).await } else { unary(submission, reading).await }
}

/// Seconds that the caller waits: what its SDK says of itself and what the body says, whichever is less, else the default. All of
/// OpenAI's SDKs send such a header, with ten minutes in it where the program says nothing else.
fn patience(headers: &HeaderMap, body: Option<f64>, limits: &LimitsConfig) -> f64 {
    let sdk = SDK_TIMEOUTS
        .iter()
        .filter_map(|name| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok())
        .find(|seconds| seconds.is_finite() && *seconds > 0.0);
    match (sdk, body) {
        (Some(sdk), Some(body)) => sdk.min(body),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => limits.openai_timeout_secs as f64,
    }
}

/// The session: the header's, else the one that the model's name stands for, else the token's own, else the router's
/// choice. And whether the caller named none.
fn session_of(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    request: &mut TaskRequest,
) -> Result<(SessionId, bool)> {
    let named = request.model.as_deref().and_then(request::session_in_model);
    if let Some(header) = headers.get(SESSION) {
        let text = header
            .to_str()
            .map_err(|_| Error::invalid("X-Cortensor-Session", "X-Cortensor-Session must be a session's number"))?;
        return Ok((query::session(state, caller, text.trim())?, false));
    }
    if let Some(id) = named {
        let session = query::session(state, caller, id)?;
        request.model = None;
        return Ok((session, false));
    }
    let session = caller.sessions().first().map_or_else(|| state.router.next_completion_session(), |id| SessionId(*id));
    caller.sees(session)?;
    Ok((session, true))
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key =
        key.to_str().map_err(|_| Error::invalid("Idempotency-Key", "Idempotency-Key must be plain ASCII text"))?;
    Ok(Some(key.trim().to_owned()))
}

/// Waits for the whole answer. While this waits, a client that hangs up drops it, and with it the task.
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
        model: &submission.answering_model(),
        include_usage: reading.usage,
        echo: request.prompt.clone().filter(|_| answer::echoes(request)),
    });
    let mut named = HeaderMap::with_capacity(2);
    name_task(&mut named, &submission);
    let mut response = sse::respond(submission, tokens, first, layout, keepalive);
    response.headers_mut().extend(named);
    Ok(response)
}

/// Says which task the answer belongs to: OpenAI's bodies have no place for it.
fn name_task(headers: &mut HeaderMap, submission: &Submission) {
    headers.insert(SESSION, HeaderValue::from(submission.session_id().0));
    headers.insert(TASK, HeaderValue::from(submission.task_id().0));
}

/// Whether every miner that could be given the request is an upstream: one of those that list its model, where there are any.
fn only_upstreams(router: &Router, session: SessionId, model: Option<&str>) -> bool {
    let own = router.session(session).map(|session| session.spec.model).unwrap_or_default();
    let model = model.unwrap_or(&own);
    let miners = router.miners();
    let lists = |miner: &&MinerInfo| meant(&miner.models, model).is_some();
    let are_upstreams =
        |of: &dyn Fn(&&MinerInfo) -> bool| miners.iter().filter(of).all(|miner| miner.kind == MinerKind::Upstream);
    if model.is_empty() {
        are_upstreams(&|_| true)
    } else if miners.iter().any(|miner| miner.active && lists(&miner)) {
        are_upstreams(&lists)
    } else {
        are_upstreams(&|miner| miner.models.is_empty() || lists(miner))
    }
}
