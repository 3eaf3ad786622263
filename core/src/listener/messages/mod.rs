//! Anthropic's Messages API under `/v1/messages`, so that Claude Code and Anthropic's SDKs work unmodified.
//!
//! A request becomes a chat, and the chat's answer becomes a message or its events
//! ([`crate::model::messages`]). A miner sees a chat, whichever family it came by.

mod count;
mod create;
mod models;
mod schema;
mod stream;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::listener::state::AppState;

pub(in crate::listener) use create::{Order, ROUTE, respond};
pub(in crate::listener) use models::{Model, Models, rfc3339};

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create::create)).routes(routes!(count::count))
}
