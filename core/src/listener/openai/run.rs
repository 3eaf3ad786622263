//! From a body to an answer: what the routes that make tasks have in common.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::chunk::{ChunkWriter, StreamSpec};
use super::stream::ChunkBody;
use super::{answer, request};
use crate::model::{MinerKind, RequestKind, SessionId, TaskRequest};
use crate::{Error, Result, Router, StreamEvent, Submission, SubmitOptions};

const SESSION: HeaderName = HeaderName::from_static("x-cortensor-session");
const TASK: HeaderName = HeaderName::from_static("x-cortensor-task");
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Submits a request that was checked, and answers with its result or its stream.
pub(super) async fn run(router: &Router, session: SessionId, request: TaskRequest, options: SubmitOptions) -> Result<Response> {
    if let Some(refusal) = request::wants_upstream(&request)
        && !only_upstreams(router, session, request.model.as_deref())
    {
        return Err(refusal);
    }
    let submission = router.submit(session, request, options).await?;
    if submission.request().stream { stream(router, submission).await } else { unary(submission).await }
}

/// Waits for the whole answer. While this waits, a client that hangs up drops it, and with it the task.
async fn unary(submission: Submission) -> Result<Response> {
    let completion = submission.result().await?;
    let body = answer::render(submission.request(), &completion)?;
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    name_task(response.headers_mut(), &submission);
    Ok(response)
}

/// Waits for the first event before it answers, so that a task that fails at once has a status of its own; but no
/// longer than a client waits for a sign of life.
async fn stream(router: &Router, submission: Submission) -> Result<Response> {
    submission.accepted().await?;
    let keepalive = Duration::from_millis(router.config().listen.keepalive_ms);
    let mut events = submission.stream();
    let mut first = tokio::time::timeout(keepalive, events.next_batch()).await.ok().flatten().unwrap_or_default();
    if let [StreamEvent::End(Err(_))] = first.as_slice()
        && let Some(StreamEvent::End(Err(error))) = first.pop()
    {
        return Err(error);
    }
    let request = submission.request();
    let echo = request.extra("echo").is_some_and(|value| value.get() == "true");
    let writer = ChunkWriter::new(StreamSpec {
        kind: request.kind,
        gid: submission.gid(),
        created: submission.created(),
        model: &submission.model(),
        include_usage: request::include_usage(request)?,
        echo: if echo && request.kind == RequestKind::Completion { request.prompt.clone() } else { None },
    });
    let mut response = Response::new(Body::new(ChunkBody::new(events, writer, first, keepalive)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    name_task(headers, &submission);
    Ok(response)
}

/// Says which task the answer belongs to: OpenAI's bodies have no place for it.
fn name_task(headers: &mut HeaderMap, submission: &Submission) {
    headers.insert(SESSION, HeaderValue::from(submission.session_id().0));
    headers.insert(TASK, HeaderValue::from(submission.task_id().0));
}

/// Whether every miner that could be given the request is an upstream.
fn only_upstreams(router: &Router, session: SessionId, model: Option<&str>) -> bool {
    let own = router.session(session).map(|session| session.spec.model).unwrap_or_default();
    let model = model.unwrap_or(&own);
    router
        .miners()
        .iter()
        .filter(|miner| model.is_empty() || miner.models.is_empty() || miner.models.iter().any(|name| name == model))
        .all(|miner| miner.kind == MinerKind::Upstream)
}
