//! The route for vectors.
//!
//! A miner that is not an upstream answers an embedding with JSON in its text: a list of numbers, or a list of such
//! lists if there are several inputs.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use http::HeaderMap;

use super::schema::EmbeddingList;
use crate::listener::answer::Answer;
use crate::listener::auth::Caller;
use crate::listener::bodies::EmbeddingRequest;
use crate::listener::fast_path::FastPath;
use crate::listener::marks::Marked;
use crate::listener::openapi::{OpenAiFailures, TaskHeaders};
use crate::listener::state::AppState;

/// Vectors of texts
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "OpenAI",
    params(TaskHeaders),
    request_body = EmbeddingRequest,
    responses(
        (status = 200, description = "The vectors.", body = EmbeddingList<'static>),
        OpenAiFailures,
    )
)]
pub(super) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    FastPath::Embedding.submit(&state, &caller, Marked::of(&headers), body).await
}
