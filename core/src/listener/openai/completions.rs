//! The route for text that continues a prompt.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use http::HeaderMap;

use super::schema::TextCompletion;
use crate::listener::answer::Answer;
use crate::listener::auth::Caller;
use crate::listener::bodies::CompletionRequest;
use crate::listener::fast_path::FastPath;
use crate::listener::marks::Marked;
use crate::listener::openapi::{OpenAiFailures, ServerSentEvent, TaskHeaders};
use crate::listener::state::AppState;

/// Text that continues a prompt
///
/// With `stream`, the answer is a stream of events `data: {...}` with `TextChunk` objects, then `data: [DONE]`. A
/// failure after the first event is an event with `error`.
#[utoipa::path(
    post,
    path = "/v1/completions",
    tag = "OpenAI",
    params(TaskHeaders),
    request_body = CompletionRequest,
    responses(
        (status = 200, description = "The answer, or its stream.", content((TextCompletion<'static> = "application/json"), (ServerSentEvent = "text/event-stream"))),
        OpenAiFailures,
    )
)]
pub(super) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    FastPath::Completion.submit(&state, &caller, Marked::of(&headers), body).await
}
