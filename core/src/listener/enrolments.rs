//! The routes for miners with keys of their own: the one-time tokens that enrol a miner, and the enrolled miners. For
//! administrators.

use std::num::NonZeroU64;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::auth::Caller;
use super::body;
use super::cortensor::schema::KeyRevoked;
use super::extract::InPath;
use super::marks::Marked;
use super::openapi::{CortensorFailures, ReadFailures};
use super::reply::{Failed, Family, Json};
use super::state::AppState;
use crate::Error;
use crate::model::{Scope, Timestamp, absent};
use crate::store::ApiKey;
use crate::store::MinerRecord;
use crate::token::{KeySpec, NewKey};

pub(in crate::listener) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(withdraw))
        .routes(routes!(identities))
        .routes(routes!(revoke))
}

/// Enrolment tokens that are not spent, without their secrets.
#[derive(Serialize, ToSchema)]
struct EnrolmentPage {
    /// The number of tokens.
    count: usize,
    /// The tokens.
    enrolments: Vec<ApiKey>,
}

/// Enrolled miners.
#[derive(Serialize, ToSchema)]
struct IdentityPage {
    /// The number of miners.
    count: usize,
    /// The miners.
    identities: Vec<MinerRecord>,
}

/// The properties of a token that enrols a miner.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
struct Enrolment {
    /// The miner's name for people.
    name: String,
    /// The only models that the miner may serve; empty: all models.
    models: Vec<String>,
    /// The person or company that runs the miner.
    #[serde(with = "absent::text")]
    #[schema(value_type = String, default = "")]
    owner: Option<String>,
    /// The seconds until the token expires, at most 30 days; 0: one day.
    #[serde(with = "absent::number")]
    #[schema(value_type = u64, default = 0)]
    ttl_secs: Option<NonZeroU64>,
}

/// Makes a one-time token that enrols a miner's key
///
/// The token is shown here and never again. The miner sends it once together with its key, which is enough from then
/// on.
#[utoipa::path(
    post,
    path = "/api/v1/miners/enrolments",
    tag = "Miners",
    request_body = Enrolment,
    responses((status = 201, description = "The token's record, with the token.", body = NewKey), CortensorFailures)
)]
async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<NewKey>), Failed> {
    caller.administers()?;
    let body = body::read(&state, Family::Cortensor, Marked::of(&headers), body).await?;
    let Enrolment { name, models, owner, ttl_secs } = body::parse(Family::Cortensor, &body)?;
    let spec = KeySpec { name, models, owner, ttl_secs, scopes: vec![Scope::Enrol], ..KeySpec::default() };
    let spec = caller.lend(spec, Timestamp::wall_clock().as_secs())?;
    Ok((StatusCode::CREATED, Json(state.router.make_key(&spec, caller.id()).await?)))
}

/// The enrolment tokens that are not spent
#[utoipa::path(
    get,
    path = "/api/v1/miners/enrolments",
    tag = "Miners",
    responses((status = 200, description = "The tokens, without their secrets.", body = EnrolmentPage), ReadFailures)
)]
async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<EnrolmentPage>, Failed> {
    caller.administers()?;
    let mut keys = state.router.keys().await?;
    keys.retain(|key| key.scopes.contains(&Scope::Enrol));
    Ok(Json(EnrolmentPage { count: keys.len(), enrolments: keys }))
}

/// Revokes an enrolment token that is not spent
#[utoipa::path(
    delete,
    path = "/api/v1/miners/enrolments/{id}",
    tag = "Miners",
    params(("id" = String, Path, description = "The token's id: the part between the first two underscores.")),
    responses((status = 200, description = "It is revoked.", body = KeyRevoked), ReadFailures)
)]
async fn withdraw(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(id): InPath<String>,
) -> Result<Json<KeyRevoked>, Failed> {
    caller.administers()?;
    let there = state.router.keys().await?.into_iter().any(|key| key.id == id && key.scopes.contains(&Scope::Enrol));
    if !there || !state.router.revoke_key(&id, caller.id()).await? {
        return Err(Error::not_found(format!("there is no enrolment {id}: it may be spent"))
            .with_code("enrolment_not_found")
            .with_param("id")
            .into());
    }
    Ok(Json(KeyRevoked::new(id)))
}

/// The miners with an enrolled key
#[utoipa::path(
    get,
    path = "/api/v1/miners/identities",
    tag = "Miners",
    responses((status = 200, description = "The miners, those that were revoked included.", body = IdentityPage), ReadFailures)
)]
async fn identities(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<IdentityPage>, Failed> {
    caller.administers()?;
    let mut miners = state.router.known_miners();
    miners.retain(|miner| miner.public_key.is_some());
    Ok(Json(IdentityPage { count: miners.len(), identities: miners }))
}

/// Refuses an enrolled miner from now on, and ends its connection
#[utoipa::path(
    delete,
    path = "/api/v1/miners/identities/{id}",
    tag = "Miners",
    params(("id" = String, Path, description = "The id of the miner's key: `mk_` and 32 hexadecimal digits.")),
    responses((status = 200, description = "It is refused from now on.", body = KeyRevoked), ReadFailures)
)]
async fn revoke(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    InPath(id): InPath<String>,
) -> Result<Json<KeyRevoked>, Failed> {
    caller.administers()?;
    if !state.router.refuse_miner(&id, caller.id()).await? {
        return Err(Error::not_found(format!("there is no enrolled miner {id}"))
            .with_code("miner_not_found")
            .with_param("id")
            .into());
    }
    Ok(Json(KeyRevoked::new(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_stay_as_they_are() {
        let token = ApiKey { id: "5f2a".into(), ..ApiKey::default() };
        let miner = MinerRecord { id: "mk_0f3c".into(), ..MinerRecord::default() };
        let lines = [
            serde_json::to_string(&EnrolmentPage { count: 1, enrolments: vec![token] }),
            serde_json::to_string(&EnrolmentPage { count: 0, enrolments: Vec::new() }),
            serde_json::to_string(&IdentityPage { count: 1, identities: vec![miner] }),
            serde_json::to_string(&IdentityPage { count: 0, identities: Vec::new() }),
        ];
        insta::assert_snapshot!("pages", lines.map(Result::unwrap).join("\n"));
    }
}
