//! The small routes of OpenAI's API: reranking, audio, images and moderation.
//!
//! A request passes to an upstream that has the route, as a task like any other, and the answer's bytes come back with
//! their type. Miners other than upstreams are not offered such tasks.

mod answer;
mod routes;
mod schema;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes as handlers;

use crate::listener::state::AppState;

pub(in crate::listener) use answer::submit;

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(handlers!(routes::rerank))
        .routes(handlers!(routes::transcribe))
        .routes(handlers!(routes::speak))
        .routes(handlers!(routes::draw))
        .routes(handlers!(routes::moderate))
}
