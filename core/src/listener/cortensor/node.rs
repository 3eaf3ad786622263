//! The router itself: info, status, about, ping, miners.

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::listener::auth::Caller;
use crate::listener::console;
use crate::listener::openapi::{self, ReadFailures};
use crate::listener::reply::{self, Failed, Json};
use crate::listener::state::AppState;
use crate::model::{FleetInfo, NodeInfo, NodeStatus, Scope};

use super::schema::{About, Greeting, Health, MinerPage};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(root))
        .routes(routes!(info))
        .routes(routes!(status))
        .routes(routes!(about))
        .routes(routes!(ping))
        .routes(routes!(fleet))
        .routes(routes!(miners))
}

/// Shows that a router is here
///
/// This is for users who open the address in a browser, and for health checks that request only this path. A client
/// whose `Accept` names `text/html` gets the page of the console, unless the setting `listen.console` is off.
#[utoipa::path(
    get,
    path = "/",
    tag = "Router",
    security((), ("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "Where its APIs are, or the console.", content((Greeting = "application/json"), (String = "text/html"))),
        (status = 304, description = "The page is the one that `If-None-Match` names."),
        ReadFailures,
    )
)]
async fn root(State(state): State<AppState>, headers: HeaderMap) -> Response {
    let mut response = if console::is_wanted(&state, &headers) {
        console::page(&state, &headers)
    } else {
        Json(Greeting {
            name: "cortensor-router",
            version: crate::VERSION,
            status: "ok",
            message: "an AI inference router: OpenAI's API under /v1, Cortensor's under /api/v1",
            openapi: "/openapi.json",
            health: "/healthz",
        })
        .into_response()
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// The router's identity and features
#[utoipa::path(
    get,
    path = "/api/v1/info",
    tag = "Router",
    responses((status = 200, description = "The router.", body = NodeInfo), ReadFailures)
)]
pub(in crate::listener) async fn info(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<NodeInfo>, Failed> {
    caller.may(Scope::Read)?;
    Ok(Json(state.router.info()))
}

/// The router's state
///
/// The setting `listen.public_status` opens it to callers without a token.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "Router",
    responses((status = 200, description = "Its state.", body = NodeStatus), ReadFailures)
)]
pub(in crate::listener) async fn status(
    State(state): State<AppState>,
    caller: Option<Extension<Caller>>,
) -> Result<Json<NodeStatus>, Failed> {
    if let Some(Extension(caller)) = caller {
        caller.may(Scope::Read)?;
    }
    Ok(Json(state.status()))
}

/// Whether the router answers
#[utoipa::path(
    get,
    path = "/api/v1/ping",
    tag = "Router",
    security((), ("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "It does.", body = Health), ReadFailures)
)]
pub(in crate::listener) async fn ping() -> Json<Health> {
    Json(Health::OK)
}

/// The router's identity, for callers without a token
#[utoipa::path(
    get,
    path = "/api/v1/about",
    tag = "Router",
    security((), ("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "The name and version of the router.", body = About), ReadFailures)
)]
pub(in crate::listener) async fn about(State(state): State<AppState>) -> Json<About> {
    let info = state.router.info();
    Json(About {
        name: info.name,
        version: info.version,
        from_address: info.address,
        x402_enabled: false,
        endpoints: openapi::endpoints(),
    })
}

/// The routers that share the database
///
/// Each is shown as the router that was asked sees it. A router with a store of its own shows none.
#[utoipa::path(
    get,
    path = "/api/v1/fleet",
    tag = "Router",
    responses((status = 200, description = "The routers.", body = FleetInfo), ReadFailures)
)]
pub(in crate::listener) async fn fleet(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<FleetInfo>, Failed> {
    caller.may(Scope::Read)?;
    Ok(Json(state.router.fleet()))
}

/// The connected miners
#[utoipa::path(
    get,
    path = "/api/v1/miners",
    tag = "Router",
    responses((status = 200, description = "The miners.", body = MinerPage<'static>), ReadFailures)
)]
pub(in crate::listener) async fn miners(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Failed> {
    caller.may(Scope::Read)?;
    let miners = state.router.miners();
    let answer = MinerPage {
        nodes: miners.iter().map(|miner| (miner.id.as_str(), miner)).collect(),
        stats: state.router.info().node_stats,
        miners: &miners,
        count: miners.len(),
    };
    reply::json(StatusCode::OK, &answer)
}
