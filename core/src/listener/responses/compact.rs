//! The route that makes a long input shorter.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

use super::schema::CompactBody;
use crate::Result;
use crate::listener::auth::Caller;
use crate::listener::openapi::{OpenAiFailures, TaskHeaders};
use crate::listener::passed;
use crate::listener::reply::Failed;
use crate::listener::state::AppState;
use crate::model::RequestKind;

/// A shorter input that stands for a long one
///
/// The request passes to an upstream that speaks this API and has the route, and its answer comes back byte by byte.
/// The items of its `output` are the `input` of the next request. They have their meaning for that upstream alone, so
/// that only an upstream that speaks this API gets that request.
#[utoipa::path(
    post,
    path = "/v1/responses/compact",
    tag = "Responses",
    params(TaskHeaders),
    request_body = CompactBody,
    responses(
        (
            status = 200,
            description = "The upstream's answer.",
            body = serde_json::Value,
            example = json!({"id": "resp_1", "object": "response.compaction", "created_at": 1_767_225_600, "output": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello, router!"}]},
                {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAAA=="},
            ], "usage": {"input_tokens": 41, "output_tokens": 9, "total_tokens": 50}})
        ),
        OpenAiFailures,
    )
)]
pub(super) async fn compact(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    passed::submit(&state, &caller, &headers, body, RequestKind::Compaction).await
}
