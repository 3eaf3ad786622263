//! The Model Context Protocol by streamable HTTP, for agents and desktop programs.
//!
//! A tool is an operation of the OpenAPI document, and the handler of its route answers it. The protocol's records come
//! from the official SDK (`rmcp`); the transport is the listener's own, because a request must pass the gate, stay on
//! its thread and end with its connection.

mod call;
mod exchange;
mod fault;
mod message;
mod outcome;
mod resources;
mod schema;
mod sessions;
mod stream;
mod tools;
mod version;

pub(in crate::listener) use fault::error;
pub(in crate::listener) use sessions::Sessions;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::listener::state::AppState;

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(exchange::post, exchange::end)).routes(routes!(exchange::advertise))
}
