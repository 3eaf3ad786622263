//! Cortensor's REST API.

pub(in crate::listener) mod agents;
mod answer;
pub(in crate::listener) mod completions;
pub(in crate::listener) mod node;
pub(in crate::listener) mod query;
pub(in crate::listener) mod schema;
pub(in crate::listener) mod sessions;
#[cfg(test)]
mod shape_tests;
pub(in crate::listener) mod tasks;

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
