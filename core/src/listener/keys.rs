//! API keys, for administrators. The secret is shown once, when a key is created.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{delete, get};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::auth::Caller;
use super::body;
use super::reply::{self, Failed, Family};
use super::state::AppState;
use crate::Error;
use crate::token::KeySpec;

pub(in crate::listener) fn routes() -> axum::Router<AppState> {
    axum::Router::new().route("/api/v1/keys", get(list).post(create)).route("/api/v1/keys/{id}", delete(revoke))
}

fn now_secs() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

async fn list(State(state): State<AppState>, Extension(caller): Extension<Caller>) -> Result<Response, Failed> {
    caller.may("admin")?;
    let keys = state.router.keys().await?;
    reply::json(StatusCode::OK, &json!({"count": keys.len(), "keys": keys}))
}

async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    caller.may("admin")?;
    let body = body::read(&state, Family::Cortensor, &headers, body).await?;
    let spec: KeySpec = body::parse(Family::Cortensor, &body)?;
    let (token, mut key) = spec.mint(now_secs())?;
    state.router.put_key(key.clone()).await?;
    key.hash.clear();
    let mut answer = serde_json::to_value(&key).map_err(Error::internal)?;
    answer["token"] = json!(token.reveal());
    reply::json(StatusCode::CREATED, &answer)
}

async fn revoke(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Failed> {
    caller.may("admin")?;
    if !state.router.delete_key(&id).await? {
        return Err(Error::not_found(format!("there is no key {id}"))
            .with_code("key_not_found")
            .with_param("id")
            .into());
    }
    reply::json(StatusCode::OK, &json!({"id": id, "status": "revoked"}))
}
