//! Cortensor's REST API.

pub(in crate::listener) mod agents;
mod answer;
mod completions;
mod node;
pub(in crate::listener) mod query;
pub(in crate::listener) mod schema;
mod sessions;
#[cfg(test)]
mod shape_tests;
mod tasks;

use utoipa_axum::router::OpenApiRouter;

use crate::listener::state::AppState;

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .merge(node::routes())
        .merge(sessions::routes())
        .merge(tasks::routes())
        .merge(completions::routes())
        .merge(agents::routes())
}
