//! The routes: one message a request, its answer as JSON or as a stream of events.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Frame;
use rmcp::model::{
    CacheScope, DiscoverResult, EmptyObject, ErrorData, Implementation, InitializeResult, ProtocolVersion, RequestId,
    ResourcesCapability, ServerCapabilities, ToolsCapability,
};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::fault::Fault;
use super::message::{Message, Params};
use super::schema::{Advertisement, McpMessage, SessionHeader};
use super::sessions::Running;
use super::version::{Form, agreed};
use super::{call, outcome, resources, tools};
use crate::listener::auth::Caller;
use crate::listener::body;
use crate::listener::cut::is_stream;
use crate::listener::intake::MCP_SESSION;
use crate::listener::marks::Marked;
use crate::listener::openapi::{McpFailures, ServerSentEvent};
use crate::listener::reply::{Failed, Family, Json};
use crate::listener::state::AppState;
use crate::model::Scope;
use crate::{Error, ErrorKind};

/// The route, as spans and the advertisement name it.
pub(super) const ROUTE: &str = "/mcp";

/// Advice for the model that uses the tools.
const INSTRUCTIONS: &str = "A router for AI inference. cortensor_completions asks a model; cortensor_info lists the \
    models, cortensor_sessions and cortensor_tasks show the work so far. A completion with \"async\": true is answered \
    at once with the ids under which cortensor_tasks shows its answer later.";

/// Milliseconds for which a client may keep facts that only another version of the router changes.
pub(super) const STABLE_MS: u64 = 3_600_000;

/// One message of the Model Context Protocol
///
/// A request is answered with JSON or, if it asks for progress and has a stream to report on, with events; a
/// notification is answered with 202. A batch is refused. A request of the version 2026-07-28 stands alone and has the
/// headers `MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name`; hanging up cancels it, as it does in every version.
#[utoipa::path(
    post,
    path = "/mcp",
    tag = "MCP",
    params(SessionHeader),
    request_body = McpMessage,
    responses(
        (status = 200, description = "The answer to a request, or its stream.", content((McpMessage = "application/json"), (ServerSentEvent = "text/event-stream"))),
        (status = 202, description = "A notification was taken."),
        McpFailures,
    )
)]
pub(super) async fn post(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    speaks(&caller)?;
    let head = Marked::of(&headers);
    let body = body::read(&state, Family::Mcp, head, body).await?;
    let answer = match Message::read(&body) {
        Ok(Message::Request { id, method, params }) => {
            answer(&state, &caller, head, Request { id, method: &method, params }).await
        }
        Ok(Message::Notification { method, params }) => note(&state, &caller, &headers, &method, &params),
        Ok(Message::Answer) => note(&state, &caller, &headers, "", &Params::default()),
        Err(fault) => Err(fault),
    };
    Ok(answer.unwrap_or_else(IntoResponse::into_response))
}

/// Ends a session
///
/// Its requests are cancelled. A client of the version 2026-07-28 has no session.
#[utoipa::path(
    delete,
    path = "/mcp",
    tag = "MCP",
    params(SessionHeader),
    responses((status = 204, description = "The session is over."), McpFailures)
)]
pub(super) async fn end(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<StatusCode, Failed> {
    speaks(&caller)?;
    session_of(&headers).and_then(|id| state.mcp.end(id, caller.id())).map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where the Model Context Protocol is spoken
#[utoipa::path(
    get,
    path = "/mcp/messages",
    tag = "MCP",
    responses((status = 200, description = "The endpoint, its versions and its tools.", body = Advertisement), McpFailures)
)]
pub(super) async fn advertise(Extension(caller): Extension<Caller>) -> Result<Json<Advertisement>, Failed> {
    speaks(&caller)?;
    Ok(Json(Advertisement {
        name: NAME,
        version: crate::VERSION,
        transport: "streamable-http",
        endpoint: ROUTE,
        protocol_versions: ProtocolVersion::KNOWN_VERSIONS.iter().map(ToString::to_string).collect(),
        tools: tools::names().collect(),
    }))
}

/// Refuses a caller that could use no tool at all. Each tool then asks for the scope of its own route.
fn speaks(caller: &Caller) -> Result<(), Failed> {
    caller.may(Scope::Submit).or_else(|_| caller.may(Scope::Read)).map_err(refused)
}

fn refused(error: Error) -> Failed {
    Failed::new(Family::Mcp, error)
}

const NAME: &str = "cortensor-router";

/// A request, without its envelope.
pub(super) struct Request<'a> {
    pub(super) id: RequestId,
    pub(super) method: &'a str,
    pub(super) params: Params<'a>,
}

/// The session that a request names.
fn session_of(headers: &HeaderMap) -> Result<&str, Error> {
    let missing = || {
        Error::invalid(
            "Mcp-Session-Id",
            "the header Mcp-Session-Id is missing: begin a session with initialize, and send its id",
        )
    };
    headers.get(MCP_SESSION).and_then(|id| id.to_str().ok()).ok_or_else(missing)
}

/// Takes a message that wants no answer.
fn note(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    method: &str,
    params: &Params<'_>,
) -> Result<Response, Fault> {
    // A request that stands alone is cancelled by hanging up.
    if Form::of_headers(headers)? == Form::Session {
        let noted = session_of(headers).and_then(|id| match (method, &params.request_id) {
            ("notifications/cancelled", Some(request)) => state.mcp.cancel(id, caller.id(), request),
            _ => state.mcp.touch(id, caller.id()),
        });
        noted.map_err(|error| Fault::refusal(None, &error))?;
    }
    Ok(outcome::accepted())
}

async fn answer(state: &AppState, caller: &Caller, head: Marked<'_>, request: Request<'_>) -> Result<Response, Fault> {
    let form = Form::of_request(head.headers, &request.id, request.method, &request.params)?;
    if request.method == "initialize" {
        return initialize(state, caller, &request);
    }
    if form.is_single() {
        return dispatch(state, caller, head, &request, form).await;
    }
    let running = session_of(head.headers)
        .and_then(|id| state.mcp.enter(id, caller.id(), &request.id))
        .map_err(|error| Fault::refusal(Some(request.id.clone()), &error))?;
    let answered = tokio::select! {
        biased;
        () = running.cancelled.cancelled() => {
            let error = Error::new(ErrorKind::Cancelled, "the client cancelled the request");
            return Err(Fault::refusal(Some(request.id.clone()), &error));
        }
        answered = dispatch(state, caller, head, &request, form) => answered?,
    };
    if !is_stream(&answered) {
        return Ok(answered);
    }
    let gone = Box::pin(running.cancelled.clone().cancelled_owned());
    Ok(answered.map(|body| Body::new(Cancellable { body: Some(body), gone, _running: running })))
}

async fn dispatch(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    request: &Request<'_>,
    form: Form,
) -> Result<Response, Fault> {
    let id = &request.id;
    match request.method {
        "ping" => Ok(outcome::response(id, &EmptyObject {})),
        "server/discover" if form.is_single() => Ok(outcome::response(id, &discovered())),
        "tools/list" => Ok(outcome::response(id, &tools::list(&request.params, id, form)?)),
        "tools/call" => call::answer(state, caller, head, request, form).await,
        "resources/list" => resources::list(state, caller, request, form),
        "resources/templates/list" => Ok(outcome::response(id, &resources::templates(form))),
        "resources/read" => resources::read(state, caller, request, form).await,
        other => Err(Fault::unknown_method(id, other, form.is_single())),
    }
}

/// Begins a session.
fn initialize(state: &AppState, caller: &Caller, request: &Request<'_>) -> Result<Response, Fault> {
    let id = &request.id;
    let asked = request.params.protocol_version.as_ref().ok_or_else(|| {
        Fault::bad_request(Some(id.clone()), ErrorData::invalid_params("params.protocolVersion is missing", None))
    })?;
    let session = state.mcp.begin(caller.shared_id()).map_err(|error| Fault::refusal(Some(id.clone()), &error))?;
    let mut response = outcome::response(id, &config().with_protocol_version(agreed(asked)));
    if let Ok(session) = HeaderValue::try_from(session) {
        response.headers_mut().insert(MCP_SESSION, session);
    }
    Ok(response)
}

fn discovered() -> DiscoverResult {
    DiscoverResult::from_server_info(ProtocolVersion::KNOWN_VERSIONS.to_vec(), config())
        .with_ttl_ms(STABLE_MS)
        .with_cache_scope(CacheScope::Public)
}

/// The facts about this server that every client learns.
fn config() -> InitializeResult {
    let mut capabilities = ServerCapabilities::default();
    capabilities.tools = Some(ToolsCapability::default());
    capabilities.resources = Some(ResourcesCapability::default());
    InitializeResult::new(capabilities)
        .with_server_info(Implementation::new(NAME, crate::VERSION).with_title("Cortensor Router"))
        .with_instructions(INSTRUCTIONS)
}

/// A stream that ends when its request is cancelled.
struct Cancellable {
    /// The stream; `None` after the cancellation.
    body: Option<Body>,
    gone: Pin<Box<WaitForCancellationFutureOwned>>,
    _running: Running,
}

impl http_body::Body for Cancellable {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.gone.as_mut().poll(cx).is_ready() {
            // Dropping the stream drops the caller's attachment to its task.
            self.body = None;
        }
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }
}
