//! The routes of sessions: create, list, show, change, close.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::query;
use super::schema::{SessionCreated, SessionDetail, SessionPage, SessionQuery};
use crate::listener::auth::Caller;
use crate::listener::body;
use crate::listener::extract::{InPath, InQuery};
use crate::listener::marks::Marked;
use crate::listener::openapi::{CortensorFailures, ReadFailures, also};
use crate::listener::reply::{Failed, Family, Json};
use crate::listener::state::AppState;
use crate::model::{Scope, Session, SessionPatch, SessionSpec, page_rows, wanted_sessions};
use crate::router::SessionFilter;

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(also(routes!(create), &["/api/v1/create"]))
        .routes(routes!(list))
        .routes(routes!(show, change, close))
}

/// Creates a session
///
/// A token that is limited to sessions may not create or change any.
///
/// Only `name` is required. Cortensor's camelCase names (`minNumOfNodes`, `maxNumOfNodes`, `numOfValidatorNodes`,
/// `reserveEphemeralNodes`, `reservePeriod`, `modelIdentifier`, `maxTaskExecutionCount`) are accepted as well.
#[utoipa::path(
    post,
    path = "/api/v1/sessions",
    tag = "Sessions",
    request_body = SessionSpec,
    responses((status = 200, description = "The session.", body = SessionCreated), CortensorFailures)
)]
pub(in crate::listener) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<SessionCreated>, Failed> {
    caller.may(Scope::Submit)?;
    caller.is_unlimited()?;
    let body = body::read(&state, Family::Cortensor, Marked::of(&headers), body).await?;
    let mut spec: SessionSpec = body::parse(Family::Cortensor, &body)?;
    spec.owner.get_or_insert_with(|| caller.id().to_owned());
    let session = state.router.create_session(spec).await?;
    let (session_id, tx_hash) = (session.id.0, session.sid.clone());
    Ok(Json(SessionCreated { session, session_id, status: "created", tx_hash }))
}

/// The sessions, by id
///
/// A token that is limited to sessions sees only those. Sessions 0 and 1 always exist; they are listed once they were
/// used or changed.
#[utoipa::path(
    get,
    path = "/api/v1/sessions",
    tag = "Sessions",
    params(SessionQuery),
    responses((status = 200, description = "A page of them.", body = SessionPage), ReadFailures)
)]
pub(in crate::listener) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InQuery(asked): InQuery<SessionQuery>,
) -> Result<Json<SessionPage>, Failed> {
    caller.may(Scope::Read)?;
    let limit = page_rows(query::number("limit", &asked.limit)?, state.config.max_page_rows)?;
    let offset = query::number("offset", &asked.offset)?.unwrap_or(0);
    let wanted = wanted_sessions(Some(&asked.state))?;
    let filter = SessionFilter { state: wanted, limit: Some(limit), offset, only: caller.sessions().to_vec() };
    let (sessions, count) = state.router.sessions(&filter);
    Ok(Json(SessionPage { count, sessions }))
}

/// One session
#[utoipa::path(
    get,
    path = "/api/v1/sessions/{id}",
    tag = "Sessions",
    params(("id" = String, Path, description = "Its number, or its 0x and 64 digits.")),
    responses((status = 200, description = "The session.", body = SessionDetail), ReadFailures)
)]
pub(in crate::listener) async fn show(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(id): InPath<String>,
) -> Result<Json<SessionDetail>, Failed> {
    caller.may(Scope::Read)?;
    let id = query::session(&state, &caller, &id).await?;
    let session = state.router.session(id)?;
    Ok(Json(SessionDetail { session, max_context_tokens: state.router.info().max_context_tokens }))
}

/// Changes a session
///
/// Members that the body leaves out stay unchanged. Tasks that wait already keep their places.
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
) -> Result<Json<Session>, Failed> {
    caller.may(Scope::Submit)?;
    // A higher priority or weight of one session takes miners from the others.
    caller.is_unlimited()?;
    let id = query::session(&state, &caller, &id).await?;
    let body = body::read(&state, Family::Cortensor, Marked::of(&headers), body).await?;
    let patch: SessionPatch = body::parse(Family::Cortensor, &body)?;
    Ok(Json(state.router.update_session(id, patch).await?))
}

/// Closes a session
///
/// The session's tasks finish, and new ones are refused (409). The session stays in the list. Session 0 cannot be
/// closed, and session 1 only with the scope `admin`.
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
) -> Result<Json<Session>, Failed> {
    caller.may(Scope::Submit)?;
    let id = query::session(&state, &caller, &id).await?;
    if id.0 == 1 {
        // Session 1 is shared by all callers, as is session 0, which cannot be closed.
        caller.may(Scope::Admin)?;
    }
    let closed = if caller.may(Scope::Admin).is_ok() {
        state.router.close_session_by(id, caller.id()).await
    } else {
        state.router.close_session(id).await
    };
    Ok(Json(closed?))
}
