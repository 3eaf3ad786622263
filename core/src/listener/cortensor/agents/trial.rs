//! The trial routes: work for callers without a token, with a quota for each address. All else is as under the route
//! without `/trial`.

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use http::HeaderMap;
use http::request::Parts;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::schema::{ClaimBody, DelegateBody, DelegateCompletion, FactBody, ObjectiveBody, ResultBody};
use super::validate::Way;
use super::{delegate, validate};
use crate::Error;
use crate::listener::auth::Caller;
use crate::listener::bodies::PromptRequest;
use crate::listener::cortensor::completions;
use crate::listener::cortensor::schema::Accepted;
use crate::listener::openapi::{CortensorFailures, IdempotencyKey, ServerSentEvent, also};
use crate::listener::peer::Connection;
use crate::listener::reply::Failed;
use crate::listener::state::AppState;
use crate::model::agents::{DelegateAnswer, ValidateAnswer};
use crate::model::{CompletionRecord, Timestamp};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(complete))
        .routes(routes!(prompted))
        .routes(routes!(ordered))
        .routes(routes!(result))
        .routes(routes!(claim))
        .routes(also(routes!(fact), &["/api/v1/trial/fact-check"]))
}

/// The caller of a trial, whose request is taken from the quota of its address.
struct Visitor(Caller);

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Failed> {
        let connection = parts.extensions.get::<Connection>();
        let connection = connection.ok_or_else(|| Error::internal("a request has no connection"))?;
        Ok(Self(state.trials.caller(connection.peer.ip(), &parts.headers, Timestamp::wall_clock())?))
    }
}

/// Text for a prompt, on trial
///
/// As `/api/v1/completions`, without a token and with a quota for each address (`listen.trial`).
#[utoipa::path(
    post,
    path = "/api/v1/trial/completions",
    tag = "Trials",
    security(()),
    params(IdempotencyKey),
    request_body = PromptRequest,
    responses(
        (status = 200, description = "The answer, or its stream.", content((CompletionRecord<'static> = "application/json"), (ServerSentEvent = "text/event-stream"))),
        (status = 202, description = "With `async`: the task's ids.", body = Accepted),
        CortensorFailures,
    )
)]
async fn complete(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    completions::submit(&state, &caller, None, &headers, body, false).await
}

/// Work for a prompt, on trial
///
/// As `/api/v1/delegate`, without a token and with a quota for each address (`listen.trial`).
#[utoipa::path(
    post,
    path = "/api/v1/trial/delegate",
    tag = "Trials",
    security(()),
    params(IdempotencyKey),
    request_body = DelegateBody,
    responses(
        (status = 200, description = "The answer, or its stream.", content((DelegateCompletion<'static> = "application/json"), (ServerSentEvent = "text/event-stream"))),
        (status = 202, description = "With `async`: the task's ids.", body = Accepted),
        CortensorFailures,
    )
)]
async fn prompted(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    delegate::prompted(&state, &caller, &headers, body, "/api/v1/trial/delegate").await
}

/// Work for an objective, on trial
///
/// As `/api/v2/delegate`, without a token and with a quota for each address (`listen.trial`).
#[utoipa::path(
    post,
    path = "/api/v2/trial/delegate",
    tag = "Trials",
    security(()),
    params(IdempotencyKey),
    request_body = ObjectiveBody,
    responses((status = 200, description = "The result.", body = DelegateAnswer<'static>), CortensorFailures)
)]
async fn ordered(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    delegate::ordered(&state, &caller, &headers, body, ("/api/v2/trial/delegate", false)).await
}

/// A verdict on a result, on trial
///
/// As `/api/v1/validate`, without a token and with a quota for each address (`listen.trial`). A task that the router
/// has cannot be named.
#[utoipa::path(
    post,
    path = "/api/v1/trial/validate",
    tag = "Trials",
    security(()),
    params(IdempotencyKey),
    request_body = ResultBody,
    responses((status = 200, description = "The verdict.", body = ValidateAnswer<'static>), CortensorFailures)
)]
async fn result(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    validate::answer(&state, &caller, &headers, body, ("/api/v1/trial/validate", Way::Validation)).await
}

/// A verdict on a claim, on trial
///
/// As `/api/v2/validate`, without a token and with a quota for each address (`listen.trial`).
#[utoipa::path(
    post,
    path = "/api/v2/trial/validate",
    tag = "Trials",
    security(()),
    params(IdempotencyKey),
    request_body = ClaimBody,
    responses((status = 200, description = "The verdict.", body = ValidateAnswer<'static>), CortensorFailures)
)]
async fn claim(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    validate::answer(&state, &caller, &headers, body, ("/api/v2/trial/validate", Way::Validation)).await
}

/// A verdict on a fact, on trial
///
/// As `/api/v1/factcheck`, without a token and with a quota for each address (`listen.trial`).
#[utoipa::path(
    post,
    path = "/api/v1/trial/factcheck",
    tag = "Trials",
    security(()),
    params(IdempotencyKey),
    request_body = FactBody,
    responses((status = 200, description = "The verdict.", body = ValidateAnswer<'static>), CortensorFailures)
)]
async fn fact(
    State(state): State<AppState>,
    Visitor(caller): Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    validate::answer(&state, &caller, &headers, body, ("/api/v1/trial/factcheck", Way::Facts)).await
}
