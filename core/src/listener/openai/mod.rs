//! OpenAI's routes.
mod answer;
mod chunk;
pub(in crate::listener) mod failure;
mod request;
mod schema;
mod splice;

pub(in crate::listener) use answer::render;

use crate::listener::state::AppState;

pub(in crate::listener) fn routes() -> axum::Router<AppState> {
    axum::Router::new()
}
