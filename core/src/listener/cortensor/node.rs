//! The router itself: info, status, about, ping, miners.

use std::collections::BTreeMap;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;
use serde_json::json;

use crate::listener::auth::Caller;
use crate::listener::reply::{self, Failed};
use crate::listener::state::AppState;
use crate::model::{MinerInfo, NodeStats};

pub(super) fn routes() -> axum::Router<AppState> {
    axum::Router::new()
        .route("/api/v1/info", get(info))
        .route("/api/v1/status", get(status))
        .route("/api/v1/about", get(about))
        .route("/api/v1/ping", get(ping))
        .route("/api/v1/miners", get(miners))
}

async fn info(State(state): State<AppState>, Extension(caller): Extension<Caller>) -> Result<Response, Failed> {
    caller.may("read")?;
    reply::json(StatusCode::OK, &state.router.info())
}

async fn status(State(state): State<AppState>, caller: Option<Extension<Caller>>) -> Result<Response, Failed> {
    if let Some(Extension(caller)) = caller {
        caller.may("read")?;
    }
    let mut status = state.router.status();
    (status.cpu_usage, status.memory_usage) = state.machine.usage();
    reply::json(StatusCode::OK, &status)
}

async fn ping() -> Result<Response, Failed> {
    reply::json(StatusCode::OK, &json!({"status": "ok"}))
}

async fn about(State(state): State<AppState>) -> Result<Response, Failed> {
    let info = state.router.info();
    reply::json(
        StatusCode::OK,
        &json!({
            "name": info.name,
            "version": info.version,
            "from_address": info.address,
            "x402_enabled": false,
            "endpoints": [
                "/api/v1/info", "/api/v1/status", "/api/v1/miners", "/api/v1/sessions", "/api/v1/create", "/api/v1/tasks/{session_id}",
                "/api/v1/completions", "/api/v1/chat/completions", "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models",
            ],
        }),
    )
}

#[derive(Serialize)]
struct MinerList<'a> {
    nodes: BTreeMap<&'a str, &'a MinerInfo>,
    stats: NodeStats,
    miners: &'a [MinerInfo],
    count: usize,
}

async fn miners(State(state): State<AppState>, Extension(caller): Extension<Caller>) -> Result<Response, Failed> {
    caller.may("read")?;
    let miners = state.router.miners();
    let answer = MinerList {
        nodes: miners.iter().map(|miner| (miner.id.as_str(), miner)).collect(),
        stats: state.router.info().node_stats,
        miners: &miners,
        count: miners.len(),
    };
    reply::json(StatusCode::OK, &answer)
}
