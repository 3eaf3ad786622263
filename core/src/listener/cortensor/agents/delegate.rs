//! The routes that delegate work.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asker::Asker;
use super::outcome::{Delegation, Form};
use super::schema::{ConsentedBody, DelegateBody, DelegateCompletion, ObjectiveBody, Said};
use super::work::Work;
use crate::Submission;
use crate::listener::auth::Caller;
use crate::listener::cortensor::completions::{self, Taken};
use crate::listener::cortensor::schema::Accepted;
use crate::listener::marks::Marked;
use crate::listener::openapi::{CortensorFailures, IdempotencyKey, ServerSentEvent};
use crate::listener::reply::{self, Failed, Family};
use crate::listener::state::AppState;
use crate::listener::{body, intake, request_id};
use crate::model::agents::{DelegateAnswer, Evidence, delegation, prompt_of};
use crate::model::{CompletionRecord, Scope, TaskRequest};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(first)).routes(routes!(second)).routes(routes!(third))
}

/// Work for a prompt
///
/// A completion whose answer also lists the miners. The members of a completion work here too, and `policy` names the
/// rules by which several miners answer. With `stream`, the answer is a stream as that of `/api/v1/completions`.
#[utoipa::path(
    post,
    path = "/api/v1/delegate",
    tag = "Agents",
    params(IdempotencyKey),
    request_body = DelegateBody,
    responses(
        (status = 200, description = "The answer, or its stream.", content((DelegateCompletion<'static> = "application/json"), (ServerSentEvent = "text/event-stream"))),
        (status = 202, description = "With `async`: the task's ids.", body = Accepted),
        CortensorFailures,
    )
)]
async fn first(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    prompted(&state, &caller, &headers, body, "/api/v1/delegate").await
}

/// Work for an objective
///
/// Miners answer the objective under the rules of a policy. The answer is whole; the evidence has every miner's answer.
#[utoipa::path(
    post,
    path = "/api/v2/delegate",
    tag = "Agents",
    params(IdempotencyKey),
    request_body = ObjectiveBody,
    responses((status = 200, description = "The result.", body = DelegateAnswer<'static>), CortensorFailures)
)]
async fn second(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    ordered(&state, &caller, &headers, body, ("/api/v2/delegate", false)).await
}

/// Work for an objective, by replicas
///
/// Like `/api/v2/delegate`, and `consensus` says how many replicas answer, in which sessions, and what follows if they
/// do not agree.
#[utoipa::path(
    post,
    path = "/api/v3/delegate",
    tag = "Agents",
    params(IdempotencyKey),
    request_body = ConsentedBody,
    responses((status = 200, description = "The result.", body = DelegateAnswer<'static>), CortensorFailures)
)]
async fn third(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    ordered(&state, &caller, &headers, body, ("/api/v3/delegate", true)).await
}

/// Answers a delegation of the first version.
pub(super) async fn prompted(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
    route: &'static str,
) -> Result<Response, Failed> {
    let head = Marked::of(headers);
    let taken = async {
        caller.may(Scope::Submit)?;
        let body = body::read(state, Family::Cortensor, head, body).await?;
        let request: TaskRequest = body::parse(Family::Cortensor, &body)?;
        let request = prompt_of(request, state.router.settings().limits.max_answers)?;
        completions::enter(state, caller, head, request, Taken { session: None, key: route, route, chat: false }).await
    };
    let taken = taken.await;
    intake::answered(state, route, head, taken, |submission, form| async move {
        if form.is_whole() {
            listed(state, &submission).await
        } else {
            completions::answer(state, submission, form).await
        }
    })
    .await
}

/// A completion with its miners.
async fn listed(state: &AppState, submission: &Submission) -> Result<Response, Failed> {
    let done = submission.shared_result().await?;
    let evidence = Evidence::of(&done, |miner| submission.took_ms(miner));
    let completion = CompletionRecord::whole(&done, state.router.settings().compat_aliases);
    let responses = evidence.iter().map(Said::of).collect();
    reply::json(StatusCode::OK, &DelegateCompletion { completion, responses })
}

/// Answers a delegation of a later version.
pub(super) async fn ordered(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
    (route, replicas): (&'static str, bool),
) -> Result<Response, Failed> {
    let begin = async |asker: &Asker<'_>, body: &[u8]| delegate(state, asker, body, replicas).await;
    worked(state, caller, headers, body, route, begin).await
}

/// Answers a request to that route by the work that begins with its body.
pub(super) async fn worked(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
    route: &'static str,
    begin: impl AsyncFnOnce(&Asker<'_>, &[u8]) -> crate::Result<Work>,
) -> Result<Response, Failed> {
    let head = Marked::of(headers);
    let taken = async {
        caller.may(Scope::Submit)?;
        let body = body::read(state, Family::Cortensor, head, body).await?;
        Ok(begin(&Asker::of(caller, head, route, &body)?, &body).await?)
    };
    respond(state, head, route, taken.await).await
}

/// Begins the work of a delegation of the second version, or with `replicas` of the third.
///
/// # Errors
/// `InvalidArgument` names the member; the refusal of the tasks.
pub(in crate::listener) async fn delegate(
    state: &AppState,
    asker: &Asker<'_>,
    body: &[u8],
    replicas: bool,
) -> crate::Result<Work> {
    asker.caller().may(Scope::Submit)?;
    let mut order = delegation(body, replicas, state.router.settings().limits.max_answers)?;
    if replicas {
        order.replicas.get_or_insert_default();
    }
    Work::begin(state, asker, order, false, |order| {
        let (policy, quorum) = (order.rules.tier, order.rules.quorum());
        let (replicas, metadata) = (order.replicas.clone(), order.metadata.clone());
        Form::Delegation(Box::new(Delegation { policy, quorum, replicas, metadata }))
    })
    .await
}

/// Answers a request by the tasks that it became.
pub(in crate::listener) async fn respond(
    state: &AppState,
    head: Marked<'_>,
    route: &'static str,
    taken: Result<Work, Failed>,
) -> Result<Response, Failed> {
    let work = taken.inspect_err(|refusal| state.router.refused_at(route, refusal.error(), || intake::trace(head)))?;
    let task = work.task();
    let answer = work.answer().await.map(|json| reply::bytes(StatusCode::OK, json)).map_err(Failed::from);
    match task {
        Some(task) => Ok(request_id::of_task(&task, answer)),
        None => answer,
    }
}
