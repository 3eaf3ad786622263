//! The way of a request that only passes: from its body to a task, and from the task's answer to bytes.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::listener::answer::Named;
use crate::listener::auth::Caller;
use crate::listener::marks::Marked;
use crate::listener::reply::{Failed, Family};
use crate::listener::state::AppState;
use crate::listener::{body, form, intake, openai};
use crate::miner::ROUTE_NOT_SERVED;
use crate::model::{Completion, MinerInfo, MinerKind, RequestKind, Scope, TaskRequest};
use crate::{Error, ErrorKind, Result, Router, Submission};

/// The header that keeps browsers from guessing another type than the answer's own.
const NO_SNIFFING: HeaderName = HeaderName::from_static("x-content-type-options");

/// Answers a request of that kind.
///
/// # Errors
/// The refusal, or the error of the task.
pub(in crate::listener) async fn submit(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
    kind: RequestKind,
) -> Result<Response, Failed> {
    let (head, way) = (Marked::of(headers), openai::route_of(kind));
    let taken = take_in(state, caller, head, body, kind).await.map(|submission| (submission, ()));
    let answer = async |submission: Submission, ()| {
        let result = submission.shared_result().await;
        let completion = result.map_err(|error| failed(told(&state.router, &submission, way, error)))?;
        Ok(respond(&submission, &completion))
    };
    intake::answered(state, way, head, taken, answer).await
}

/// Reads a body and submits it.
async fn take_in(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    body: Body,
    kind: RequestKind,
) -> Result<Submission, Failed> {
    caller.may(Scope::Submit).map_err(failed)?;
    let request = if kind == RequestKind::Transcription {
        let boundary = form::boundary(head.headers);
        let body = body::read_form(state, head, body, boundary.as_ref().err()).await?;
        let boundary = boundary.map_err(failed)?;
        of_form(&body, &boundary).map_err(failed)?
    } else {
        openai::parse(&body::read(state, Family::OpenAi, head, body).await?, kind)?
    };
    let way = openai::route_of(kind);
    let entered = async {
        let mut intake = openai::intake_of(state, caller, head, request.kind(kind), way)?;
        // The answer comes as a whole, even if the model's server streams it.
        intake.waits = true;
        state.router.enter(Box::pin(state.router.checked(intake)).await?).await
    };
    entered.await.map_err(|error| failed(unserved(&state.router, kind, error)))
}

/// The request that a form is.
fn of_form(body: &[u8], boundary: &str) -> Result<TaskRequest> {
    let parts = form::parts(body, boundary)?;
    let model = parts.iter().find(|part| part.name == "model").and_then(|part| part.text.clone());
    let mut request = TaskRequest::default();
    request.model = model.filter(|model| !model.is_empty());
    request.with_form(&parts)
}

fn failed(error: Error) -> Failed {
    Failed::new(Family::OpenAi, error)
}

fn respond(submission: &Submission, completion: &Completion) -> Response {
    let answer = &completion.answer;
    let mut response = Response::new(Body::from(answer.raw.clone().unwrap_or_default()));
    let kind = answer.content_type.as_deref().and_then(|kind| HeaderValue::from_str(kind).ok());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind.unwrap_or(HeaderValue::from_static("application/octet-stream")));
    headers.insert(NO_SNIFFING, HeaderValue::from_static("nosniff"));
    Named::from(submission).tell(headers);
    response
}

/// The error of a task, which names the upstreams that were asked if none of them has the route.
fn told(router: &Router, submission: &Submission, way: &str, error: Error) -> Error {
    if error.code() != ROUTE_NOT_SERVED {
        return error;
    }
    let task = submission.state();
    let miners = router.miners();
    let name = |address: &str| {
        let known = miners.iter().find(|miner| miner.address == address);
        known.map_or_else(|| address.to_owned(), |miner| miner.id.clone())
    };
    let asked: Vec<String> = task.assigned_miners.iter().map(|address| name(address)).collect();
    let words = format!("no upstream has the route {way} for this model; asked: {}", asked.join(", "));
    Error::new(ErrorKind::NotFound, words)
        .with_code(ROUTE_NOT_SERVED)
        .with_ids(submission.session_id(), Some(submission.task_id()))
}

/// The error of a request that made no task, which says that only upstreams serve the route.
fn unserved(router: &Router, kind: RequestKind, error: Error) -> Error {
    let api = kind.only_api();
    let serves = |miner: &MinerInfo| miner.kind == MinerKind::Upstream && api.is_none_or(|api| miner.speaks(api));
    if error.code() != "model_not_found" || router.miners().iter().any(serves) {
        return error;
    }
    let way = openai::route_of(kind);
    let words = match api {
        None => format!("only an upstream can serve {way}, and the router has none: add one with --upstream URL"),
        Some(api) => format!(
            "only an upstream that speaks the API {api:?} can serve {way}, and the router has none: name the API in the \
             upstream's `api` or `also`"
        ),
    };
    Error::new(ErrorKind::NotFound, words).with_code(ROUTE_NOT_SERVED)
}
