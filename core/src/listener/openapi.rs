//! The OpenAPI document of both families of routes, made from the handlers' own annotations.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::response::Response as Reply;
use axum::routing::get;
use http::StatusCode;
use utoipa::openapi::schema::Ref;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, HeaderBuilder, ObjectBuilder, RefOr, Response, ResponseBuilder, schema};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi};

use super::reply;
use super::state::AppState;
use crate::KINDS;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "cortensor-router REST API",
        description = "Two families of routes on one listener: Cortensor's Router API under `/api/v1` and OpenAI's API under `/v1`. Published Cortensor clients and unmodified OpenAI SDKs work with it.\n\nJSON is compact. Ids are non-negative integers, times are seconds since the Unix epoch unless said otherwise. A request that is refused says which field is wrong and how to mend it.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    servers((url = "/", description = "The listener itself; by default http://127.0.0.1:5010")),
    security(("bearer" = []), ("api_key" = [])),
    paths(document),
    tags((name = "Operations", description = "For operators, load balancers and tools.")),
    modifiers(&Security)
)]
struct Document;

/// The two ways to send a token.
struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme(
            "bearer",
            SecurityScheme::Http(
                HttpBuilder::new()
                    .scheme(HttpAuthScheme::Bearer)
                    .description(Some("`Authorization: Bearer <token>`"))
                    .build(),
            ),
        );
        components.add_security_scheme(
            "api_key",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description("X-API-Key", "`X-API-Key: <token>`"))),
        );
    }
}

/// The document, made once.
static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(|| {
    let mut document = Document::openapi();
    document.merge(super::openai::Document::openapi());
    document
});

/// The OpenAPI document of the listener as compact JSON: what `GET /openapi.json` answers.
pub fn openapi_json() -> String {
    DOCUMENT.to_json().unwrap_or_else(|error| unreachable!("the document has only string keys: {error}"))
}

/// The REST reference as Markdown: `docs/rest-api.md`.
pub fn rest_reference() -> String {
    let document = serde_json::to_value(&*DOCUMENT)
        .unwrap_or_else(|error| unreachable!("the document has only string keys: {error}"));
    super::reference::markdown(&document)
}

pub(super) fn routes() -> axum::Router<AppState> {
    axum::Router::new().route("/openapi.json", get(document))
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "Operations",
    security((), ("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "The OpenAPI document.", body = Object))
)]
async fn document() -> Reply {
    reply::bytes(StatusCode::OK, openapi_json().into_bytes())
}

/// Request headers of the routes that make tasks.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "the headers are only described here")]
pub(super) struct TaskHeaders {
    /// The session to use: its number, or its 0x and 64 digits. Missing: the token's own, else the router's choice.
    #[param(rename = "X-Cortensor-Session")]
    session: Option<String>,
    /// A key under which the same request can be sent again without making a second task.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 256)]
    idempotency_key: Option<String>,
}

/// Every failure that a route of OpenAI's family may answer with.
pub(super) struct OpenAiFailures;

impl IntoResponses for OpenAiFailures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        failures("OpenAiError")
    }
}

/// One response a status, out of the table of kinds.
fn failures(schema: &str) -> BTreeMap<String, RefOr<Response>> {
    let mut responses: BTreeMap<String, RefOr<Response>> = BTreeMap::new();
    for status in KINDS.iter().map(|row| row.http_status).chain([405, 408, 415]) {
        let words = match status {
            400 => "A field is missing, of the wrong type or out of its range; `param` names it.",
            401 => "No token, or one that is not known.",
            403 => "The token does not carry the scope that this needs.",
            404 => "There is no such thing for this token: route, session, task or model.",
            405 => "The route has no such method; `Allow` lists those that it has.",
            408 => "The body did not come in time.",
            409 => "The session or task is not in a state that allows this.",
            413 => "The body is larger than the router takes.",
            415 => "The body is not JSON.",
            422 => "The idempotency key was used before with another request.",
            429 => "The router is at one of its bounds; `Retry-After` says when to come back.",
            499 => "Somebody cancelled the task.",
            500 => "A defect of the router.",
            502 => "Every miner that was tried failed; the message is the last one's.",
            503 => "No miner is there, or the router is shutting down; `Retry-After` says when to come back.",
            504 => "The deadline passed; the ids are in the error, and the task can be polled.",
            _ => "The request failed.",
        };
        let mut response = ResponseBuilder::new()
            .description(words)
            .content("application/json", ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build());
        if matches!(status, 429 | 503) {
            let seconds = ObjectBuilder::new().schema_type(schema::Type::Integer).minimum(Some(0));
            response = response.header(
                "Retry-After",
                HeaderBuilder::new()
                    .schema(Some(seconds))
                    .description(Some("Seconds until a retry may succeed."))
                    .build(),
            );
        }
        responses.insert(status.to_string(), response.build().into());
    }
    responses
}
