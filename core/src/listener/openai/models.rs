//! The models that can be asked for.

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;

use super::schema::{Model, ModelList};
use super::splice::string;
use crate::listener::auth::Caller;
use crate::listener::openapi::OpenAiFailures;
use crate::listener::reply::{self, Failed, Family};
use crate::listener::state::AppState;
use crate::model::are_twins;
use crate::{Error, ModelInfo, Result, Router};

/// The models that can be asked for
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "OpenAI",
    responses((status = 200, description = "The models.", body = ModelList), OpenAiFailures)
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Failed> {
    caller.may("submit").or_else(|_| caller.may("read")).map_err(|error| Failed::new(Family::OpenAi, error))?;
    Ok(reply::bytes(StatusCode::OK, list_of(&state.router.models())))
}

/// One model
#[utoipa::path(
    get,
    path = "/v1/models/{*id}",
    tag = "OpenAI",
    params(("id" = String, Path, description = "The model's name; it may have slashes in it.", min_length = 1)),
    responses((status = 200, description = "The model.", body = Model), OpenAiFailures)
)]
pub(super) async fn show(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failed> {
    let found = caller.may("submit").or_else(|_| caller.may("read")).and_then(|()| {
        let Path(id) = id.map_err(|rejection| Error::invalid("id", rejection.body_text()))?;
        one(&state.router, &id)
    });
    found.map(|body| reply::bytes(StatusCode::OK, body)).map_err(|error| Failed::new(Family::OpenAi, error))
}

/// Writes one model.
fn model(info: &ModelInfo, out: &mut Vec<u8>) {
    use std::io::Write as _;
    out.extend_from_slice(b"{\"id\":");
    string(out, &info.id);
    let _ = write!(out, ",\"object\":\"model\",\"created\":{},\"owned_by\":", info.created);
    string(out, &info.owned_by);
    out.push(b'}');
}

/// Writes the list.
fn list_of(models: &[ModelInfo]) -> Vec<u8> {
    let mut out = b"{\"object\":\"list\",\"data\":[".to_vec();
    for (index, info) in models.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        model(info, &mut out);
    }
    out.extend_from_slice(b"]}");
    out
}

fn one(router: &Router, id: &str) -> Result<Vec<u8>> {
    let models = router.models();
    let named = models.iter().find(|info| info.id == id).or_else(|| models.iter().find(|info| are_twins(&info.id, id)));
    let info = named.ok_or_else(|| {
        Error::not_found(format!("no miner serves the model {id:?}: /v1/models lists those that there are"))
            .with_code("model_not_found")
            .with_param("model")
    })?;
    let mut out = Vec::new();
    model(info, &mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_openais_shape() {
        let info = ModelInfo { id: "a\"b".into(), created: 7, owned_by: "me".into(), ..ModelInfo::default() };
        assert_eq!(
            String::from_utf8(list_of(&[info.clone(), info])).unwrap(),
            r#"{"object":"list","data":[{"id":"a\"b","object":"model","created":7,"owned_by":"me"},{"id":"a\"b","object":"model","created":7,"owned_by":"me"}]}"#
        );
        assert_eq!(list_of(&[]), br#"{"object":"list","data":[]}"#);
    }
}
