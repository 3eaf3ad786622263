//! Sessions: create, list, show, change, close.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::query;
use super::schema::{SessionCreated, SessionDetail, SessionPage, SessionQuery};
use crate::listener::auth::Caller;
use crate::listener::body;
use crate::listener::extract::{InPath, InQuery};
use crate::listener::openapi::{CortensorFailures, ReadFailures, also};
use crate::listener::reply::{self, Failed, Family};
use crate::listener::state::AppState;
use crate::model::{Session, SessionPatch, SessionSpec, wanted_sessions};
use crate::router::SessionFilter;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(also(routes!(create), &["/api/v1/create"]))
        .routes(routes!(list))
        .routes(routes!(show, change, close))
}

#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    session: Session,
    session_id: u64,
    status: &'static str,
    tx_hash: String,
}

/// Creates a session
///
/// A token with sessions of its own may create and change none.
///
/// Only `name` is wanted. Cortensor's camelCase names (`minNumOfNodes`, `maxNumOfNodes`, `numOfValidatorNodes`, `reserveEphemeralNodes`,
/// `reservePeriod`, `modelIdentifier`, `maxTaskExecutionCount`) are taken as well.
#[utoipa::path(
    post,
    path = "/api/v1/sessions",
    tag = "Sessions",
    request_body = SessionSpec,
    responses((status = 200, description = "The session.", body = SessionCreated), CortensorFailures)
)]
async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    caller.may("submit")?;
    caller.is_unlimited()?;
    let body = body::read(&state, Family::Cortensor, &headers, body).await?;
    let mut spec: SessionSpec = body::parse(Family::Cortensor, &body)?;
    if spec.owner.is_empty() {
        caller.id().clone_into(&mut spec.owner);
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

/// The sessions, by id
///
/// A token with sessions of its own sees those alone. Sessions 0 and 1 are always there; they are listed once they were used or changed.
#[utoipa::path(
    get,
    path = "/api/v1/sessions",
    tag = "Sessions",
    params(SessionQuery),
    responses((status = 200, description = "A page of them.", body = SessionPage), ReadFailures)
)]
async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InQuery(asked): InQuery,
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

/// One session
#[utoipa::path(
    get,
    path = "/api/v1/sessions/{id}",
    tag = "Sessions",
    params(("id" = String, Path, description = "Its number, or its 0x and 64 digits.")),
    responses((status = 200, description = "The session.", body = SessionDetail), ReadFailures)
)]
async fn show(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(id): InPath<String>,
) -> Result<Response, Failed> {
    caller.may("read")?;
    let id = query::session(&state, &caller, &id)?;
    let shown =
        Shown { session: state.router.session(id)?, max_context_tokens: state.router.info().max_context_tokens };
    reply::json(StatusCode::OK, &shown)
}

/// Changes a session
///
/// What the body leaves out stays as it is. Tasks that wait already keep the place that they have.
#[utoipa::path(
    patch,
    path = "/api/v1/sessions/{id}",
    tag = "Sessions",
    params(("id" = String, Path, description = "Its number, or its 0x and 64 digits.")),
    request_body = SessionPatch,
    responses((status = 200, description = "The session as it is now.", body = Session), CortensorFailures)
)]
async fn change(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(id): InPath<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    caller.may("submit")?;
    // A session's priority and weight are taken from what others get.
    caller.is_unlimited()?;
    let id = query::session(&state, &caller, &id)?;
    let body = body::read(&state, Family::Cortensor, &headers, body).await?;
    let patch: SessionPatch = body::parse(Family::Cortensor, &body)?;
    reply::json(StatusCode::OK, &state.router.update_session(id, patch).await?)
}

/// Closes a session
///
/// Its tasks finish; new ones are refused (409). It stays in the list. Session 0 stays open, and session 1 is closed by
/// a token with the scope `admin` alone.
#[utoipa::path(
    delete,
    path = "/api/v1/sessions/{id}",
    tag = "Sessions",
    params(("id" = String, Path, description = "Its number, or its 0x and 64 digits.")),
    responses((status = 200, description = "The session as it is now.", body = Session), ReadFailures)
)]
async fn close(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(id): InPath<String>,
) -> Result<Response, Failed> {
    caller.may("submit")?;
    let id = query::session(&state, &caller, &id)?;
    if id.0 == 1 {
        // It is everybody's, as session 0 is, which nobody closes.
        caller.may("admin")?;
    }
    reply::json(StatusCode::OK, &state.router.close_session(id).await?)
}
