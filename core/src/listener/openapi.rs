//! The OpenAPI document of all families of routes, made from the handlers' own annotations.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response as Reply;
use bytes::Bytes;
use futures_util::stream;
use http::{StatusCode, header};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Ref;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, ObjectBuilder, RefOr, Required, Response, ResponseBuilder, Schema, schema,
};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, PartialSchema, ToSchema};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;

use super::openai::chunk_shape::{ChatPiece, Chunk, Delta};
use super::openai::schema::{Code, OpenAiError, OpenAiErrorBody, TextChoice};
use super::reply::{self, AnthropicError, AnthropicErrorBody, CortensorError};
use super::state::AppState;
use crate::KINDS;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "cortensor-router REST API",
        description = "Four families of routes on one listener: Cortensor's Router API under `/api/v1`, OpenAI's API under `/v1`, OpenAI's Responses API under `/v1/responses`, and Anthropic's Messages API under `/v1/messages`. `/api/v2` and `/api/v3` answer as `/api/v1` does, but for `delegate` and `validate`, which have versions of their own; and `/chat/completions`, `/completions`, `/embeddings`, `/models`, `/rerank`, `/audio/transcriptions`, `/audio/speech`, `/images/generations` and `/moderations` answer without `/v1` too. Published Cortensor clients and unmodified SDKs of OpenAI and Anthropic work with it.\n\nJSON is compact. Ids are non-negative integers, times are seconds since the Unix epoch unless said otherwise. A request that is refused says which field is wrong and how to mend it. A whole number may be written as `100.0`.\n\nEvery answer has the header `x-request-id`: the caller's own where the request has one of 1 to 128 visible ASCII characters, else one that the router makes.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT")
    ),
    servers((url = "/", description = "The listener itself; by default http://127.0.0.1:5010")),
    security(("bearer" = []), ("api_key" = [])),
    tags(
        (name = "Completions", description = "Cortensor's API: prompts and conversations, whole, streamed or for later. An answer carries the text again as `text`, `output`, `result`, `response` and `content`, and `success: true` (setting `compat_aliases`)."),
        (name = "Agents", description = "Cortensor's API for agents: work and verdicts by several miners under a policy, and the card that tells other agents of them."),
        (name = "Trials", description = "Some of these routes without a token, with a quota for each address. Off unless `listen.trial.enabled` is set."),
        (name = "Tasks", description = "Cortensor's API: what became of a prompt."),
        (name = "Sessions", description = "Cortensor's API: what tasks are submitted to. Sessions 0 and 1 are there from the start."),
        (name = "Router", description = "Cortensor's API: the router and its miners."),
        (name = "OpenAI", description = "OpenAI's API. Fields that the router does not need pass through to the miner untouched, and so do an upstream's answers, but for their ids. The headers `X-Cortensor-Session` and `X-Cortensor-Task` of an answer name its task; the request header `X-Cortensor-Session` chooses a session."),
        (name = "Responses", description = "OpenAI's Responses API. A request becomes a chat, so that every miner can answer it. The task keeps what the response repeats of its request, so that a response can be read again and continued."),
        (name = "Anthropic", description = "Anthropic's Messages API. A request becomes a chat, so that every miner can answer it. The headers `X-Cortensor-Session` and `X-Cortensor-Task` of an answer name its task; the request header `X-Cortensor-Session` chooses a session."),
        (name = "MCP", description = "The Model Context Protocol by streamable HTTP. Clients of the versions up to 2025-11-25 begin with `initialize` and send the header `Mcp-Session-Id` from then on; clients of 2026-07-28 send each request by itself."),
        (name = "Keys", description = "API keys, for tokens with the scope `admin`."),
        (name = "Usage", description = "Requests and tokens that were used, by day, key, model, session or miner."),
        (name = "Upstreams", description = "Model servers that the router calls, for tokens with the scope `admin`."),
        (name = "Webhooks", description = "Messages that wait for their webhooks, for tokens with the scope `admin`."),
        (name = "Audit", description = "The record of who changed keys, miners, upstreams, sessions and the configuration, for tokens with the scope `admin`."),
        (name = "Miners", description = "Miners with keys of their own, for tokens with the scope `admin`."),
        (name = "Operations", description = "For operators, load balancers and tools."),
    ),
    modifiers(&Security, &Failures, &Chunks)
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

/// The failures, each once; operations name them.
struct Failures;

impl Modify for Failures {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        for (name, schema) in [
            (CortensorError::name(), CortensorError::schema()),
            (OpenAiError::name(), OpenAiError::schema()),
            (OpenAiErrorBody::name(), OpenAiErrorBody::schema()),
            (Code::name(), Code::schema()),
            (AnthropicError::name(), AnthropicError::schema()),
            (AnthropicErrorBody::name(), AnthropicErrorBody::schema()),
        ] {
            components.schemas.insert(name.into_owned(), schema);
        }
        let mcp = cfg!(feature = "mcp").then_some("McpMessage");
        for family in ["CortensorError", "OpenAiError", "AnthropicError"].into_iter().chain(mcp) {
            components.responses.extend(
                failure_statuses().map(|status| (failure_name(family, status), failure(family, status).into())),
            );
        }
    }
}

/// The chunks of OpenAI's streams, which are inside of the events that the operations name.
struct Chunks;

impl Modify for Chunks {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        for (name, schema) in [
            ("ChatChunk", Chunk::<ChatPiece<'_>>::schema()),
            ("ChatPiece", ChatPiece::schema()),
            ("Delta", Delta::schema()),
            ("TextChunk", Chunk::<TextChoice<'_>>::schema()),
        ] {
            components.schemas.insert(name.to_owned(), schema);
        }
    }
}

/// The beginning of the document, before any route.
pub(super) fn head() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// Serves and describes one item of handlers under more paths.
pub(super) fn also(
    (schemas, mut paths, methods): UtoipaMethodRouter<AppState>,
    more: &[&str],
) -> UtoipaMethodRouter<AppState> {
    if let Some(item) = paths.paths.values().next().cloned() {
        paths.paths.extend(more.iter().map(|path| ((*path).to_owned(), item.clone())));
    }
    (schemas, paths, methods)
}

/// The document, made once.
pub(super) static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(|| {
    let mut document = super::routes().into_openapi();
    let paths = std::mem::take(&mut document.paths.paths);
    for (path, mut item) in paths {
        // The wildcard of a name with slashes in it is the server's business.
        let path = path.replace("{*", "{");
        let operations = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        for (method, operation) in operations {
            let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
            let id = std::iter::once(method).chain(words).collect::<Vec<_>>().join("_");
            if let Some(operation) = operation {
                operation.operation_id = Some(id);
            }
        }
        document.paths.paths.insert(path, item);
    }
    document
});

/// The OpenAPI document of the listener as compact JSON: what `GET /openapi.json` answers.
pub fn openapi_json() -> String {
    DOCUMENT.to_json().unwrap_or_else(|error| unreachable!("the document has only string keys: {error}"))
}

/// The OpenAPI document with line breaks: `docs/openapi.json`, from which `cargo xtask gen` makes what follows from it.
#[doc(hidden)]
pub fn openapi_file() -> String {
    DOCUMENT.to_pretty_json().map_or_else(|error| unreachable!("only string keys: {error}"), |json| json + "\n")
}

/// Every path, for `GET /api/v1/about`.
pub(crate) fn endpoints() -> Vec<&'static str> {
    DOCUMENT.paths.paths.keys().map(String::as_str).collect()
}

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(document))
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "Operations",
    security((), ("bearer" = []), ("api_key" = [])),
    responses((status = 200, description = "The OpenAPI document.", body = Object), ReadFailures)
)]
async fn document() -> Reply {
    static TEXT: LazyLock<Bytes> = LazyLock::new(|| openapi_json().into());
    /// The bytes of a piece.
    const PIECE: usize = 16 << 10;
    // It goes out in pieces, so that a reader that is slow holds one of them and not a copy of all.
    let pieces = (0..TEXT.len()).step_by(PIECE).map(|from| TEXT.slice(from..TEXT.len().min(from + PIECE)));
    let mut response = reply::bytes(StatusCode::OK, Vec::new());
    *response.body_mut() = Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)));
    response.headers_mut().insert(header::CONTENT_LENGTH, TEXT.len().into());
    response
}

/// An event of a stream, as readers of `text/event-stream` take it apart.
pub(super) enum ServerSentEvent {}

impl PartialSchema for ServerSentEvent {
    fn schema() -> RefOr<Schema> {
        let text = |says| ObjectBuilder::new().schema_type(schema::Type::String).description(Some(says));
        ObjectBuilder::new()
            .description(Some("An event of a stream, as readers of `text/event-stream` take it apart."))
            .property("data", text("JSON as the operation says, or `[DONE]`."))
            .property("event", text("`message` where nothing is said."))
            .property("id", text("The event's number, under Cortensor's routes."))
            .required("data")
            .into()
    }
}

impl ToSchema for ServerSentEvent {
    fn name() -> Cow<'static, str> {
        "ServerSentEvent".into()
    }
}

/// The request header of the routes that make tasks.
pub(super) enum IdempotencyKey {}

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let key = ObjectBuilder::new().schema_type(schema::Type::String).min_length(Some(1)).max_length(Some(256));
        let says = "A key under which the same request can be sent again without making a second task.";
        vec![header("Idempotency-Key", key, says)]
    }
}

/// The request headers of OpenAI's routes that make tasks.
pub(super) enum TaskHeaders {}

impl IntoParams for TaskHeaders {
    fn into_params(parameter_in: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let says = "The session to use: its number, or its 0x and 64 digits. Missing: the token's own, else the router's choice.";
        let session = header("X-Cortensor-Session", ObjectBuilder::new().schema_type(schema::Type::String), says);
        std::iter::once(session).chain(IdempotencyKey::into_params(parameter_in)).collect()
    }
}

/// The request header that says where a reader left off.
pub(super) enum LastEventId {}

impl IntoParams for LastEventId {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let number = ObjectBuilder::new().schema_type(schema::Type::Integer).minimum(Some(0));
        let says = "The number of the last event that was seen; the events after it are sent. Missing: everything. A number that \
                    is none of this task: everything, behind a mark.";
        vec![header("Last-Event-ID", number, says)]
    }
}

fn header(name: &str, schema: ObjectBuilder, says: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(says))
        .schema(Some(schema))
        .build()
}

/// Every failure that a route of Cortensor's family may answer with.
pub(super) struct CortensorFailures;

impl IntoResponses for CortensorFailures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        failures("CortensorError")
    }
}

/// Every failure that a route without a body may answer with.
pub(super) struct ReadFailures;

impl IntoResponses for ReadFailures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut responses = failures("CortensorError");
        responses.retain(|status, _| {
            matches!(status.as_str(), "400" | "401" | "403" | "404" | "405" | "409" | "500" | "503")
        });
        responses
    }
}

/// Every failure that a route of OpenAI's family may answer with.
pub(super) struct OpenAiFailures;

impl IntoResponses for OpenAiFailures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        failures("OpenAiError")
    }
}

/// Every failure that a route of Anthropic's family may answer with.
pub(super) struct AnthropicFailures;

impl IntoResponses for AnthropicFailures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        failures("AnthropicError")
    }
}

/// Every failure that a route of the Model Context Protocol may answer with.
#[cfg(feature = "mcp")]
pub(super) struct McpFailures;

#[cfg(feature = "mcp")]
impl IntoResponses for McpFailures {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        failures("McpMessage")
    }
}

/// The statuses of failures, out of the table of kinds.
fn failure_statuses() -> impl Iterator<Item = u16> {
    KINDS.iter().map(|row| row.http_status).chain([405, 408, 415])
}

fn failure_name(family: &str, status: u16) -> String {
    format!("{family}{status}")
}

/// One response a status, by name.
fn failures(family: &str) -> BTreeMap<String, RefOr<Response>> {
    failure_statuses()
        .map(|status| (status.to_string(), Ref::from_response_name(failure_name(family, status)).into()))
        .collect()
}

/// The response of that status in that family's shape.
fn failure(family: &str, status: u16) -> Response {
    let words = match status {
        400 => "A field is missing, of the wrong type or out of its range; `param` names it.",
        401 => "No token, or one that is not known.",
        403 => "The token does not carry the scope that this needs.",
        404 => "There is no such thing for this token: route, session, task or model.",
        405 => "The route has no such method; `Allow` lists those that it has.",
        408 => "The headers or the body did not come in time.",
        409 => "The session or task is not in a state that allows this.",
        413 => "The body is larger than the router takes.",
        415 => "The body is not JSON, or is compressed (`Content-Encoding`).",
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
        .content("application/json", ContentBuilder::new().schema(Some(Ref::from_schema_name(family))).build());
    if matches!(status, 429 | 503) {
        let seconds = ObjectBuilder::new().schema_type(schema::Type::Integer).minimum(Some(0));
        response = response.header(
            "Retry-After",
            HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds until a retry may succeed.")).build(),
        );
    }
    response.build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_route_is_without_its_description_nor_a_description_without_its_route() {
        let (router, document) = super::super::routes().split_for_parts();
        let shown = format!("{router:?}");
        // The route that answers everything else stands there too.
        let is_route = |text: &&str| text.starts_with('/') && !text.contains("fallback");
        let served: BTreeSet<&str> = shown.split('"').filter(is_route).collect();
        let described: BTreeSet<&str> = document.paths.paths.keys().map(String::as_str).collect();
        assert_eq!(served, described);
        assert!(described.len() > 30);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_a_summary_and_a_tag_that_is_explained() {
        let document = serde_json::to_value(&*DOCUMENT).unwrap();
        let tags: BTreeSet<&str> =
            document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(operation["summary"].is_string(), "{method} {path}");
                assert!(names.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
                assert!(tags.contains(operation["tags"][0].as_str().unwrap()), "{method} {path}");
            }
        }
    }
}
