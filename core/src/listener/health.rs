//! The routes for operators and load balancers.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::cortensor::schema::{Health, Readiness};
use super::machine::Machine;
use super::openapi::{ReadFailures, also};
use super::reply::{Failed, Json};
use super::state::AppState;
use crate::model::Scope;
use crate::router::Exposition;

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(also(routes!(alive), &["/health"])).routes(routes!(ready)).routes(routes!(metrics))
}

/// Whether the process is alive
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "Operations",
    security((), ("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "It is.", body = Health), ReadFailures)
)]
async fn alive() -> Json<Health> {
    Json(Health::OK)
}

/// Whether the router takes tasks
///
/// The answer needs no token and has only counts.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "Operations",
    security((), ("bearer" = []), ("api_key" = [])),
    responses(
        (status = 200, description = "It does.", body = Readiness),
        ReadFailures,
        (status = 503, description = "It does not: it drains, its store refuses to write, or no miner is up and `listen.ready_needs_miner` asks for one.", body = Readiness),
    )
)]
async fn ready(State(state): State<AppState>) -> (StatusCode, Json<Readiness>) {
    let now = state.router.status();
    let word = if state.router.is_draining() {
        "draining"
    } else if !state.router.is_ready() {
        "store_unavailable"
    } else if state.config.ready_needs_miner && now.active_miners == 0 {
        "no_miner"
    } else {
        "ready"
    };
    let status = if word == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = Readiness {
        status: word,
        miners: now.connected_miners,
        active_miners: now.active_miners,
        queued_tasks: now.queued_tasks,
        running_tasks: now.running_tasks,
    };
    (status, Json(body))
}

/// Metrics, in Prometheus' text format
///
/// A client whose `Accept` names `application/openmetrics-text` gets `OpenMetrics` 1.0, others the text format 0.0.4.
/// The setting `listen.public_metrics` opens it to callers without a token.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "Operations",
    responses(
        (status = 200, description = "The metrics.", content((String = "application/openmetrics-text"), (String = "text/plain"))),
        ReadFailures,
    )
)]
async fn metrics(
    State(state): State<AppState>,
    caller: Option<axum::Extension<Caller>>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    if let Some(caller) = caller {
        caller.may(Scope::Read)?;
    }
    let form = Exposition::wanted(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()));
    Machine::show(state.router.metrics());
    let mut response = form.of(state.router.metrics_text()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
    Ok(response)
}
