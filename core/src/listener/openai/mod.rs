//! OpenAI's API under `/v1`, so that its unmodified clients work.
//!
//! A body is read into a [`TaskRequest`](crate::model::TaskRequest) once; fields that the router does not need go on
//! to the miner as they came. An upstream's answers and chunks go back as their own bytes with our ids in them.

mod answer;
mod chat;
mod chunk;
mod completions;
mod embeddings;
pub(in crate::listener) mod failure;
mod models;
mod request;
mod run;
mod schema;
mod splice;

use axum::routing::{get, post};

pub(in crate::listener) use run::chat as answer_chat;

use crate::listener::state::AppState;

pub(in crate::listener) fn routes() -> axum::Router<AppState> {
    axum::Router::new()
        .route("/v1/chat/completions", post(chat::create))
        .route("/v1/completions", post(completions::create))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/models", get(models::list))
        // A model's name may have slashes in it.
        .route("/v1/models/{*id}", get(models::show))
}

/// What these routes add to the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(
    paths(chat::create, completions::create, embeddings::create, models::list, models::show),
    components(schemas(schema::OpenAiError)),
    tags((
        name = "OpenAI",
        description = "OpenAI's API. Fields that the router does not need pass through to the miner untouched, and so do \
            an upstream's answers, but for their ids. The headers `X-Cortensor-Session` and `X-Cortensor-Task` of an \
            answer name its task; the request header `X-Cortensor-Session` chooses a session."
    ))
)]
pub(in crate::listener) struct Document;
