//! The route that tells a caller what its token allows.

use axum::Extension;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::openapi::ReadFailures;
use super::reply::Json;
use super::state::AppState;
use crate::config::KeyLimits;
use crate::model::Scope;

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(show))
}

/// The caller, as the router sees it.
#[derive(Serialize, ToSchema)]
struct Whoami {
    /// The id of its key, the name of its configured token, or a word for a caller without either: `dev`,
    /// `anonymous`, `command`.
    id: String,
    /// The name of its key for people; empty where it has none.
    name: String,
    /// The scopes: `submit`, `read`, `admin`, `miner`, `enrol`. The scope `admin` includes all others.
    scopes: Vec<Scope>,
    /// The only sessions that it may use; empty: all sessions.
    sessions: Vec<u64>,
    /// The only models that it may use; empty: all models.
    models: Vec<String>,
    /// The time from which on its key is refused, in Unix seconds; 0: never.
    expires_at: u64,
    /// Its limits.
    #[serde(skip_serializing_if = "KeyLimits::is_none")]
    #[schema(required = false)]
    limits: KeyLimits,
}

/// The caller's own rights
///
/// Every caller that is not refused may ask this, whatever its scopes are.
#[utoipa::path(
    get,
    path = "/api/v1/whoami",
    tag = "Router",
    responses((status = 200, description = "The caller.", body = Whoami), ReadFailures)
)]
async fn show(Extension(caller): Extension<Caller>) -> Json<Whoami> {
    let rights = caller.rights();
    Json(Whoami {
        id: caller.id().to_owned(),
        name: caller.name().unwrap_or_default().to_owned(),
        scopes: rights.scopes.clone(),
        sessions: rights.sessions.iter().map(|session| session.0).collect(),
        models: rights.models.clone(),
        expires_at: rights.expires_at.map_or(0, Into::into),
        limits: rights.limits,
    })
}
