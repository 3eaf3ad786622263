//! Cortensor's REST API.

mod answer;
mod completions;
mod node;
pub(in crate::listener) mod query;
mod sessions;
mod tasks;

use crate::listener::state::AppState;

pub(in crate::listener) fn routes() -> axum::Router<AppState> {
    axum::Router::new()
        .merge(node::routes())
        .merge(sessions::routes())
        .merge(tasks::routes())
        .merge(completions::routes())
}
