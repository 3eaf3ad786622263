//! The routes that ask miners for their opinions about a claim.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::asker::Asker;
use super::delegate::worked;
use super::outcome::{Form, Validation};
use super::schema::{ClaimBody, ClaimReplicasBody, FactBody, ResultBody};
use super::work::Work;
use crate::listener::auth::Caller;
use crate::listener::cortensor::query;
use crate::listener::openapi::{CortensorFailures, IdempotencyKey, also};
use crate::listener::reply::Failed;
use crate::listener::state::AppState;
use crate::model::agents::{Claim, Examination, Mode, Order, Stored, Subject, ValidateAnswer, examine, factcheck};
use crate::model::{Day, Scope, SharedText, TaskState, Timestamp};
use crate::router::Wish;
use crate::{Error, ErrorKind, Result};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(first))
        .routes(routes!(second))
        .routes(routes!(third))
        .routes(also(routes!(fact), &["/api/v1/fact-check"]))
}

/// A verdict on a result
///
/// The result is in the request (`task_request_input` and `task_result_output`), or it is the answer to a task that the
/// router has (`session_id` and `task_id`). The second way needs a token with the scope `read` too.
#[utoipa::path(
    post,
    path = "/api/v1/validate",
    tag = "Agents",
    params(IdempotencyKey),
    request_body = ResultBody,
    responses((status = 200, description = "The verdict.", body = ValidateAnswer<'static>), CortensorFailures)
)]
async fn first(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    answer(&state, &caller, &headers, body, ("/api/v1/validate", Way::Validation)).await
}

/// A verdict on a claim
///
/// Miners are asked under the rules of a policy; a majority of those asked makes the verdict. An answer that gives no
/// verdict by the rule counts as `RETRY`.
#[utoipa::path(
    post,
    path = "/api/v2/validate",
    tag = "Agents",
    params(IdempotencyKey),
    request_body = ClaimBody,
    responses((status = 200, description = "The verdict.", body = ValidateAnswer<'static>), CortensorFailures)
)]
async fn second(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    answer(&state, &caller, &headers, body, ("/api/v2/validate", Way::Validation)).await
}

/// A verdict on a claim, by replicas
///
/// Like `/api/v2/validate`, and `consensus` says how many replicas answer, in which sessions, and what follows if they
/// do not agree.
#[utoipa::path(
    post,
    path = "/api/v3/validate",
    tag = "Agents",
    params(IdempotencyKey),
    request_body = ClaimReplicasBody,
    responses((status = 200, description = "The verdict.", body = ValidateAnswer<'static>), CortensorFailures)
)]
async fn third(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    answer(&state, &caller, &headers, body, ("/api/v3/validate", Way::Replicas)).await
}

/// A verdict on a fact
///
/// At least three miners are asked. The router has no sources of its own: with the mode `realtime` the miners are told
/// the date, and those that can look things up are asked to do so.
#[utoipa::path(
    post,
    path = "/api/v1/factcheck",
    tag = "Agents",
    params(IdempotencyKey),
    request_body = FactBody,
    responses((status = 200, description = "The verdict.", body = ValidateAnswer<'static>), CortensorFailures)
)]
async fn fact(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    answer(&state, &caller, &headers, body, ("/api/v1/factcheck", Way::Facts)).await
}

/// The ways to ask for a verdict.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::listener) enum Way {
    /// On a claim or on the result of a task.
    Validation,
    /// On a claim, by replicas.
    Replicas,
    /// On a fact.
    Facts,
}

/// Answers a request for a verdict.
pub(super) async fn answer(
    state: &AppState,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
    (route, way): (&'static str, Way),
) -> Result<Response, Failed> {
    let begin = async |asker: &Asker<'_>, body: &[u8]| validate(state, asker, body, way).await;
    worked(state, caller, headers, body, route, begin).await
}

/// Begins the work of a validation or of a check of facts.
///
/// # Errors
/// `InvalidArgument` names the member; `NotFound` if there is no such task; the refusal of the tasks.
pub(in crate::listener) async fn validate(state: &AppState, asker: &Asker<'_>, body: &[u8], way: Way) -> Result<Work> {
    asker.caller().may(Scope::Submit)?;
    let config = state.router.settings();
    let most = config.limits.max_answers;
    let mut examination = match way {
        Way::Facts => factcheck(body, most)?,
        Way::Validation | Way::Replicas => examine(body, way == Way::Replicas, most)?,
    };
    if way == Way::Replicas {
        examination.order.replicas.get_or_insert_default();
    }
    let (text, is_recorded) = match &examination.subject {
        Subject::Claim(claim) => (claim.clone(), None),
        Subject::Stored(stored) => recorded(state, asker, &examination.order, stored).await?,
    };
    if examination.mode == Some(Mode::Realtime) {
        let today = Day::of(Timestamp::wall_clock());
        let words = format!("Today is {today} (UTC). If you can look things up, do so before you answer.");
        let context = examination.context.take().into_iter().fold(words, |all, more| format!("{all}\n{more}"));
        examination.context = Some(context);
    }
    let (mode, context) = (examination.mode, examination.context.clone());
    let prompt = if way == Way::Facts { config.agents.facts() } else { config.agents.validation() };
    let claim = Claim { text: &text, context: context.as_deref(), prompt };
    let order = Examination::ask(examination, &claim, config.agents.validators, config.agents.opinion_tokens)?;
    let text = &text;
    Work::begin(state, asker, order, true, |order| {
        let replicas = order.replicas.clone();
        let wanted = replicas.as_ref().map(|replicas| replicas.count).or(order.rules.miners).unwrap_or(1);
        let (policy, metadata) = (order.rules.tier, order.metadata.clone());
        let claim = text.clone();
        Form::Validation(Box::new(Validation { claim, wanted, policy, replicas, mode, is_recorded, metadata }))
    })
    .await
}

/// The claim that the answer to a stored task is right, and whether the caller's result is that answer.
///
/// # Errors
/// `NotFound` if there is no such task for this caller, or no answer of that miner; `Conflict` if the task has no
/// answer yet or the router does not keep what was asked.
async fn recorded(
    state: &AppState,
    asker: &Asker<'_>,
    order: &Order,
    stored: &Stored,
) -> Result<(String, Option<bool>)> {
    asker.caller().may(Scope::Read)?;
    let name = order.session.as_deref().map(query::session_in_body).transpose()?.flatten();
    let wish = name.map_or(Wish::Any, |name| Wish::Named(name.into()));
    state.router.learn_session(&wish).await?;
    let session = state.router.session_of(&wish, asker.caller().sessions())?;
    let task = state.router.task(session, stored.task).await?;
    let conflict = |words: &str| Error::new(ErrorKind::Conflict, words).with_param("task_id");
    if task.state != TaskState::Ended {
        return Err(conflict("the task has not ended: wait for its answer"));
    }
    let question = task.request.prompt_text();
    if question.is_empty() {
        return Err(conflict("the session of this task does not keep what was asked (retention): give a claim"));
    }
    let is_of = |miner: &str| stored.miner.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(miner));
    let answers = task.results.iter().filter(|result| is_of(&result.miner)).map(|result| &result.answer.text);
    let known: Vec<&str> = answers.map(SharedText::as_str).collect();
    let result = match (&stored.result, known.first()) {
        (Some(result), _) => result.as_str(),
        (None, Some(known)) => known,
        (None, None) if stored.miner.is_some() => {
            let words = "that miner gave no answer to this task: the task's miners are in its record";
            return Err(Error::not_found(words).with_code("result_not_found").with_param("miner_address"));
        }
        (None, None) => return Err(conflict("the task has no answer: give the result_data")),
    };
    Ok((Claim::of_result(&question, result), Some(known.contains(&result))))
}
