//! The routes that list the models that a client can ask for.

use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, Uri};

use super::schema::{Model, ModelList};
use crate::listener::auth::Caller;
use crate::listener::messages;
use crate::listener::openapi::OpenAiFailures;
use crate::listener::reply::{self, Failed, Family};
use crate::listener::state::AppState;
use crate::model::{Scope, are_twins};
use crate::{Error, ModelInfo, Result, Router};

/// The models that a client can ask for
///
/// A request with the header `anthropic-version` gets the list in the form of Anthropic's API.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "OpenAI",
    responses((status = 200, description = "The models.", body = ModelList<'static>), OpenAiFailures)
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let family = Family::of_request(uri.path(), &headers);
    caller.may(Scope::Submit).or_else(|_| caller.may(Scope::Read)).map_err(|error| Failed::new(family, error))?;
    let models = state.router.models();
    match family {
        Family::Anthropic => reply::json(StatusCode::OK, &messages::Models::of(&models)),
        _ => reply::json(StatusCode::OK, &list_of(&models)),
    }
}

/// One model
///
/// A request with the header `anthropic-version` gets the model in the form of Anthropic's API.
#[utoipa::path(
    get,
    path = "/v1/models/{*id}",
    tag = "OpenAI",
    params(("id" = String, Path, description = "The model's name; it may have slashes in it.", min_length = 1)),
    responses((status = 200, description = "The model.", body = Model<'static>), OpenAiFailures)
)]
pub(super) async fn show(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failed> {
    let family = Family::of_request(uri.path(), &headers);
    let found = caller.may(Scope::Submit).or_else(|_| caller.may(Scope::Read)).and_then(|()| {
        let Path(id) = id.map_err(|rejection| Error::invalid("id", rejection.body_text()))?;
        one(&state.router, &id)
    });
    let found = found.map_err(|error| Failed::new(family, error))?;
    match family {
        Family::Anthropic => reply::json(StatusCode::OK, &messages::Model::of(&found)),
        _ => reply::json(StatusCode::OK, &model(&found)),
    }
}

fn model(info: &ModelInfo) -> Model<'_> {
    Model { id: &info.id, object: "model", created: info.created, owned_by: &info.owned_by }
}

pub(super) fn list_of(models: &[ModelInfo]) -> ModelList<'_> {
    ModelList { object: "list", data: models.iter().map(model).collect() }
}

fn one(router: &Router, id: &str) -> Result<ModelInfo> {
    let models = router.models();
    let named = models.iter().find(|info| info.id == id).or_else(|| models.iter().find(|info| are_twins(&info.id, id)));
    let info = named.ok_or_else(|| {
        Error::not_found(format!("no miner serves the model {id:?}: /v1/models lists those that there are"))
            .with_code("model_not_found")
            .with_param("model")
    })?;
    Ok(info.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_openais_shape() {
        let info = ModelInfo { id: "a\"b".into(), created: 7, owned_by: "me".into(), ..ModelInfo::default() };
        assert_eq!(
            serde_json::to_string(&list_of(&[info.clone(), info])).unwrap(),
            r#"{"object":"list","data":[{"id":"a\"b","object":"model","created":7,"owned_by":"me"},{"id":"a\"b","object":"model","created":7,"owned_by":"me"}]}"#
        );
        assert_eq!(serde_json::to_string(&list_of(&[])).unwrap(), r#"{"object":"list","data":[]}"#);
    }
}
