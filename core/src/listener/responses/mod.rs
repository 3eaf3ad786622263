//! OpenAI's Responses API under `/v1/responses`, which Codex, openai-agents and others use by default.
//!
//! A request becomes a chat, and the chat's answer becomes a response or its events
//! ([`crate::model::responses`]). A response is its task: its id holds the task's number, and the task keeps the part of
//! the request that the response repeats. Only the request to compact an input passes to an upstream.

mod compact;
mod create;
mod found;
mod read;
mod schema;
mod stream;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::listener::state::AppState;

pub(in crate::listener) use create::{Order, ROUTE, respond};

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create::create))
        .routes(routes!(compact::compact))
        .routes(routes!(read::show, read::delete))
        .routes(routes!(read::cancel))
        .routes(routes!(read::input_items))
}
