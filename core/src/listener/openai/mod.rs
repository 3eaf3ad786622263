//! OpenAI's API under `/v1`, so that its unmodified clients work.
//!
//! A body is read into a [`TaskRequest`](crate::model::TaskRequest) once; fields that the router does not need go to
//! the miner unchanged. An upstream's answers and chunks go to the client as their own bytes, with the router's ids in
//! them.

mod answer;
mod chat;
mod chunk;
pub(in crate::listener) mod chunk_shape;
mod completions;
mod counts;
mod embeddings;
pub(in crate::listener) mod failure;
mod models;
mod repeat;
mod request;
mod run;
pub(in crate::listener) mod schema;
#[cfg(test)]
mod shape_tests;
mod splice;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[cfg(feature = "embed")]
pub(crate) use counts::EmbeddingCounts;
pub(in crate::listener) use run::{Reading, chat as answer_chat, enter, intake_of, learn, parse, respond, route_of};

use crate::listener::state::AppState;

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(chat::create))
        .routes(routes!(completions::create))
        .routes(routes!(embeddings::create))
        .routes(routes!(models::list))
        .routes(routes!(models::show))
}
