//! For operators and load balancers.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::auth::Caller;
use super::reply::{self, Failed};
use super::state::AppState;

pub(in crate::listener) fn routes() -> axum::Router<AppState> {
    axum::Router::new()
        .route("/healthz", get(alive))
        .route("/health", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// The process answers.
async fn alive() -> Result<Response, Failed> {
    reply::json(StatusCode::OK, &json!({"status": "ok"}))
}

/// The router takes tasks.
async fn ready(State(state): State<AppState>) -> Result<Response, Failed> {
    if state.router.is_ready() {
        return reply::json(StatusCode::OK, &json!({"status": "ready"}));
    }
    reply::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "draining"}))
}

/// Prometheus' text format as `OpenMetrics`.
async fn metrics(State(state): State<AppState>, caller: Option<axum::Extension<Caller>>) -> Result<Response, Failed> {
    if let Some(caller) = caller {
        caller.may("read")?;
    }
    let mut response = state.router.metrics_text().into_response();
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
