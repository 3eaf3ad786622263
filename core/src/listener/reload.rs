//! The route that reads the configuration again.

use axum::Extension;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::openapi::CortensorFailures;
use super::reply::{Failed, Json};
use super::state::AppState;
use crate::router::Reloaded;

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(reload))
}

/// Reads the configuration again
///
/// The router reads the file, the environment and the flags of its start as it did then, and works with what they say
/// now. Connections and tasks go on. The answer names the keys that changed, and those whose new values need a restart.
/// If anything is wrong, nothing changes, and the error names the file, the line and the key. SIGHUP does the same.
#[utoipa::path(
    post,
    path = "/api/v1/reload",
    tag = "Operations",
    responses((status = 200, description = "The differences from the configuration before.", body = Reloaded), CortensorFailures)
)]
async fn reload(State(state): State<AppState>, Extension(caller): Extension<Caller>) -> Result<Json<Reloaded>, Failed> {
    caller.administers()?;
    Ok(Json(Box::pin(state.router.read_again(caller.id())).await?))
}
