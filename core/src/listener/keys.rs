//! API keys, for administrators. The secret is shown once, when a key is created.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::body;
use super::cortensor::schema::{KeyPage, KeyRevoked};
use super::extract::InPath;
use super::marks::Marked;
use super::openapi::{CortensorFailures, ReadFailures};
use super::reply::{Failed, Family, Json};
use super::state::AppState;
use crate::Error;
use crate::config::{KeyLimits, LimitsPatch};
use crate::model::{Scope, Timestamp};
use crate::store::ApiKey;
use crate::token::{KeySpec, NewKey};

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(limit, revoke))
}

/// The keys, without their secrets
#[utoipa::path(
    get,
    path = "/api/v1/keys",
    tag = "Keys",
    responses((status = 200, description = "The keys.", body = KeyPage), ReadFailures)
)]
async fn list(State(state): State<AppState>, Extension(caller): Extension<Caller>) -> Result<Json<KeyPage>, Failed> {
    caller.may(Scope::Admin)?;
    let mut keys = state.router.keys().await?;
    keys.retain(|key| caller.rules(key));
    Ok(Json(KeyPage { count: keys.len(), keys }))
}

/// Creates a key
///
/// The answer has the token, which is never shown again: only a hash of its secret is kept. A key never makes a key
/// that can do more than itself: the new key gets its sessions, models, limits and its expiry if the body names none,
/// and wider ones are refused (403).
#[utoipa::path(
    post,
    path = "/api/v1/keys",
    tag = "Keys",
    request_body = KeySpec,
    responses((status = 201, description = "The key, with its token.", body = NewKey), CortensorFailures)
)]
async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<NewKey>), Failed> {
    caller.may(Scope::Admin)?;
    let body = body::read(&state, Family::Cortensor, Marked::of(&headers), body).await?;
    let spec = caller.lend(body::parse(Family::Cortensor, &body)?, Timestamp::wall_clock().as_secs())?;
    Ok((StatusCode::CREATED, Json(state.router.make_key(&spec, caller.id()).await?)))
}

/// A change of a key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyPatch {
    /// The limits to change: a missing member keeps its limit, and `null` lifts it.
    #[schema(value_type = KeyLimits)]
    limits: LimitsPatch,
}

/// Changes the limits of a key
///
/// The limits count at once. The tokens that the key has used on this day and in this month count against them. A key
/// never gives wider limits than its own (403).
#[utoipa::path(
    patch,
    path = "/api/v1/keys/{id}",
    tag = "Keys",
    params(("id" = String, Path, description = "The key's id: the part between the first two underscores of its token.")),
    request_body = KeyPatch,
    responses((status = 200, description = "The key as it is now.", body = ApiKey), CortensorFailures)
)]
async fn limit(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(id): InPath<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ApiKey>, Failed> {
    caller.may(Scope::Admin)?;
    let body = body::read(&state, Family::Cortensor, Marked::of(&headers), body).await?;
    let patch: KeyPatch = body::parse(Family::Cortensor, &body)?;
    let hidden = state.router.key_ring().get(&id).is_some_and(|known| !caller.rules(&known.key));
    let changed = if hidden {
        None
    } else {
        let by = caller.shared_id();
        state.router.change_limits(&id, patch.limits, move |limits| caller.may_grant(limits), &by).await?
    };
    Ok(Json(changed.ok_or_else(|| unknown(&id))?))
}

fn unknown(id: &str) -> Error {
    Error::not_found(format!("there is no key {id}")).with_code("key_not_found").with_param("id")
}

/// Revokes a key
///
/// Waiting requests of the key are answered with 401 (`key_revoked`), its streams end with that error, and their tasks
/// are cancelled. Tasks that were submitted with `async` or `detach` go on.
#[utoipa::path(
    delete,
    path = "/api/v1/keys/{id}",
    tag = "Keys",
    params(("id" = String, Path, description = "The key's id: the part between the first two underscores of its token.")),
    responses((status = 200, description = "It is revoked.", body = KeyRevoked), ReadFailures)
)]
async fn revoke(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(id): InPath<String>,
) -> Result<Json<KeyRevoked>, Failed> {
    caller.may(Scope::Admin)?;
    let hidden = state.router.key_ring().get(&id).is_some_and(|known| !caller.rules(&known.key));
    if hidden || !state.router.revoke_key(&id, caller.id()).await? {
        return Err(unknown(&id).into());
    }
    Ok(Json(KeyRevoked::new(id)))
}
