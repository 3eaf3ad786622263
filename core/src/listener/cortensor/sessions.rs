//! Sessions: create, list, show, change, close.

use std::collections::HashMap;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::query;
use crate::listener::auth::Caller;
use crate::listener::body;
use crate::listener::reply::{self, Failed, Family};
use crate::listener::state::AppState;
use crate::model::{Session, SessionPatch, SessionSpec, wanted_sessions};
use crate::router::SessionFilter;

pub(super) fn routes() -> axum::Router<AppState> {
    axum::Router::new()
        .route("/api/v1/sessions", get(list).post(create))
        .route("/api/v1/create", post(create))
        .route("/api/v1/sessions/{id}", get(show).patch(change).delete(close))
}

#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    session: Session,
    session_id: u64,
    status: &'static str,
    tx_hash: String,
}

async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    caller.may("submit")?;
    let body = body::read(&state, Family::Cortensor, &headers, body).await?;
    let mut spec: SessionSpec = body::parse(Family::Cortensor, &body)?;
    if spec.owner.is_empty() {
        spec.owner.clone_from(&caller.id);
    }
    let session = state.router.create_session(spec).await?;
    let answer = Created { session_id: session.id.0, status: "created", tx_hash: session.sid.clone(), session };
    reply::json(StatusCode::OK, &answer)
}

#[derive(Serialize)]
struct Sessions {
    count: u64,
    sessions: Vec<Session>,
}

async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<HashMap<String, String>>,
) -> Result<Response, Failed> {
    caller.may("read")?;
    let page = query::page(&asked, state.config.max_page_rows)?;
    let wanted = wanted_sessions(asked.get("state").map(String::as_str))?;
    let filter =
        SessionFilter { state: wanted, limit: page.limit, offset: page.offset, only: caller.sessions().to_vec() };
    let (sessions, count) = state.router.sessions(&filter);
    reply::json(StatusCode::OK, &Sessions { count, sessions })
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    session: Session,
    max_context_tokens: u64,
}

async fn show(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Failed> {
    caller.may("read")?;
    let id = query::session(&state, &caller, &id)?;
    let shown =
        Shown { session: state.router.session(id)?, max_context_tokens: state.router.info().max_context_tokens };
    reply::json(StatusCode::OK, &shown)
}

async fn change(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    caller.may("submit")?;
    let id = query::session(&state, &caller, &id)?;
    let body = body::read(&state, Family::Cortensor, &headers, body).await?;
    let patch: SessionPatch = body::parse(Family::Cortensor, &body)?;
    reply::json(StatusCode::OK, &state.router.update_session(id, patch).await?)
}

async fn close(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Failed> {
    caller.may("submit")?;
    let id = query::session(&state, &caller, &id)?;
    reply::json(StatusCode::OK, &state.router.close_session(id).await?)
}
