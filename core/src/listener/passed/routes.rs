//! The routes.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

use super::answer::submit;
use super::schema::{ImageBody, ModerationBody, RerankBody, SpeechBody, TranscriptionForm};
use crate::Result;
use crate::listener::auth::Caller;
use crate::listener::openapi::{OpenAiFailures, TaskHeaders};
use crate::listener::reply::Failed;
use crate::listener::state::AppState;
use crate::model::RequestKind;

/// Documents in the order of their relevance to a query
///
/// The request passes to an upstream that has the route, and its answer comes back byte by byte.
#[utoipa::path(
    post,
    path = "/v1/rerank",
    tag = "OpenAI",
    params(TaskHeaders),
    request_body = RerankBody,
    responses(
        (
            status = 200,
            description = "The upstream's answer.",
            body = serde_json::Value,
            example = json!({"model": "tiny-rank", "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]})
        ),
        OpenAiFailures,
    )
)]
pub(super) async fn rerank(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    submit(&state, &caller, &headers, body, RequestKind::Rerank).await
}

/// The text of speech
///
/// The request passes to an upstream that has the route, with the upstream's name of the model. The answer has the type
/// that the upstream gives it: JSON, text, subtitles, or events, which come when the upstream has ended.
#[utoipa::path(
    post,
    path = "/v1/audio/transcriptions",
    tag = "OpenAI",
    params(TaskHeaders),
    request_body(content = TranscriptionForm, content_type = "multipart/form-data"),
    responses(
        (
            status = 200,
            description = "The upstream's answer, in the upstream's type.",
            body = serde_json::Value,
            example = json!({"text": "Hello, router!"})
        ),
        OpenAiFailures,
    )
)]
pub(super) async fn transcribe(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    submit(&state, &caller, &headers, body, RequestKind::Transcription).await
}

/// Speech of a text
///
/// The request passes to an upstream that has the route, and its answer comes back byte by byte, when it is whole.
#[utoipa::path(
    post,
    path = "/v1/audio/speech",
    tag = "OpenAI",
    params(TaskHeaders),
    request_body = SpeechBody,
    responses(
        (status = 200, description = "The sound, in the upstream's type.", content_type = "application/octet-stream"),
        OpenAiFailures,
    )
)]
pub(super) async fn speak(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    submit(&state, &caller, &headers, body, RequestKind::Speech).await
}

/// Images of a prompt
///
/// The request passes to an upstream that has the route, and its answer comes back byte by byte, when it is whole.
#[utoipa::path(
    post,
    path = "/v1/images/generations",
    tag = "OpenAI",
    params(TaskHeaders),
    request_body = ImageBody,
    responses(
        (
            status = 200,
            description = "The upstream's answer.",
            body = serde_json::Value,
            example = json!({"created": 1_767_225_600, "data": [{"b64_json": "iVBORw0KGgo="}]})
        ),
        OpenAiFailures,
    )
)]
pub(super) async fn draw(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    submit(&state, &caller, &headers, body, RequestKind::Image).await
}

/// Whether texts and images may be shown
///
/// The request passes to an upstream that has the route, and its answer comes back byte by byte.
#[utoipa::path(
    post,
    path = "/v1/moderations",
    tag = "OpenAI",
    params(TaskHeaders),
    request_body = ModerationBody,
    responses(
        (
            status = 200,
            description = "The upstream's answer.",
            body = serde_json::Value,
            example = json!({"id": "modr-1", "model": "tiny-judge", "results": [{"flagged": false, "categories": {"hate": false}}]})
        ),
        OpenAiFailures,
    )
)]
pub(super) async fn moderate(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    submit(&state, &caller, &headers, body, RequestKind::Moderation).await
}
