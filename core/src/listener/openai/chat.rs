//! The route for conversations.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use http::HeaderMap;

use super::schema::ChatCompletion;
use crate::listener::answer::Answer;
use crate::listener::auth::Caller;
use crate::listener::bodies::ChatCompletionRequest;
use crate::listener::fast_path::FastPath;
use crate::listener::marks::Marked;
use crate::listener::openapi::{OpenAiFailures, ServerSentEvent, TaskHeaders};
use crate::listener::state::AppState;

/// The next message of a conversation
///
/// With `stream`, the answer is a stream of events `data: {...}` with `ChatChunk` objects, then `data: [DONE]`. A
/// failure after the first event is an event with `error`.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "OpenAI",
    params(TaskHeaders),
    request_body = ChatCompletionRequest,
    responses(
        (status = 200, description = "The answer, or its stream.", content((ChatCompletion<'static> = "application/json"), (ServerSentEvent = "text/event-stream"))),
        OpenAiFailures,
    )
)]
pub(in crate::listener) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    FastPath::Chat.submit(&state, &caller, Marked::of(&headers), body).await
}
