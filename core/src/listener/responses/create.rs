//! The route that makes a response.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;

use super::found::{self, Found};
use super::schema::ResponsesBody;
use super::stream;
use crate::config::UpstreamApi;
use crate::listener::auth::Caller;
use crate::listener::marks::{Marked, Marks};
use crate::listener::openapi::{OpenAiFailures, ServerSentEvent, TaskHeaders};
use crate::listener::reply::{self, Failed, Family};
use crate::listener::state::AppState;
use crate::listener::{body, intake, openai, request_id};
use crate::model::chat::{Content, Message, Piece, Role, Said, into_raw};
use crate::model::responses::{Asked, Ended, Named, Resource, ResponsesRequest, passed, to_chat};
use crate::model::{Answer, Function, Scope, ToolCall};
use crate::router::Wish;
use crate::{Error, Result, Submission};

/// The route, as spans and idempotency keys name it.
const ROUTE: &str = "/v1/responses";

/// The next turn of a conversation
///
/// With `stream`, the answer is a stream of events from `response.created` to `response.completed`,
/// `response.incomplete` or `response.failed`, then `data: [DONE]`. With `background`, the answer comes at once, and
/// the response is read later by its id. Members that are not listed pass through to the miner. The header
/// `X-Cortensor-Left-Out-Tools` of an answer names the tools that the model was not offered.
#[utoipa::path(
    post,
    path = "/v1/responses",
    tag = "Responses",
    params(TaskHeaders),
    request_body = ResponsesBody,
    responses(
        (status = 200, description = "The response, or its stream.", content((Resource<'static> = "application/json"), (ServerSentEvent = "text/event-stream"))),
        OpenAiFailures,
    )
)]
pub(super) async fn create(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    let head = Marked::of(&headers);
    let taken = take_in(&state, &caller, head, body).await;
    let answer = async |submission, mut form: Form| {
        let left_out = std::mem::take(&mut form.left_out);
        let mut response = respond(&state, submission, form).await.map_err(failed)?;
        intake::tell_left_out(&left_out, response.headers_mut());
        Ok(response)
    };
    intake::answered(&state, ROUTE, head, taken, answer).await
}

/// The form in which the caller reads the answer.
struct Form {
    stream: bool,
    asked: Asked,
    /// The types of the tools that the model is not offered.
    left_out: Vec<String>,
}

pub(super) fn failed(error: Error) -> Failed {
    Failed::new(Family::OpenAi, error)
}

/// Reads a body and submits it.
async fn take_in(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    body: Body,
) -> Result<(Submission, Form), Failed> {
    caller.may(Scope::Submit).map_err(failed)?;
    let body = body::read(state, Family::OpenAi, head, body).await?;
    let request = to_chat(&body).map_err(failed)?;
    // A server of this API does not know the router's responses.
    let is_continued = request.asked.previous_response_id.is_some();
    let original = state.router.original(UpstreamApi::Responses, &body).filter(|_| !is_continued);
    drop(body);
    enter(state, caller, head, request, original).await.map_err(failed)
}

async fn enter(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    request: ResponsesRequest,
    original: Option<Box<RawValue>>,
) -> Result<(Submission, Form)> {
    let ResponsesRequest { mut chat, messages, asked, left_out } = request;
    let before = match &asked.previous_response_id {
        Some(id) => Some(found::find(state, caller, id, "previous_response_id").await?),
        None => None,
    };
    let messages = match &before {
        Some(before) => continued(before, messages).await?,
        None => messages,
    };
    chat.messages = Some(into_raw(&messages)?);
    let form = Form { stream: chat.stream, asked, left_out };
    let kept: Box<RawValue> = into_raw(&form.asked)?;
    let mut intake = openai::intake_of(state, caller, head, chat, ROUTE)?;
    if let Some(before) = before.filter(|_| !head.marks.has(Marks::SESSION)) {
        // A conversation stays in its session.
        intake.session = Wish::Exactly(before.submission.session_id());
    }
    (intake.responses, intake.original) = (Some(kept), original);
    intake.detach = form.asked.background;
    // The caller learns the id of the task at once, or with the first event.
    intake.waits &= !form.asked.background;
    let checked = state.router.check(intake)?;
    Ok((state.router.enter(checked).await?, form))
}

/// The messages of a conversation: those of the response before and its answer, then the new ones. The rules of the
/// response before do not hold any longer.
async fn continued(before: &Found, new: Vec<Message>) -> Result<Vec<Message>> {
    let completion = before.answer().await?;
    let asked = before.submission.request().messages.as_deref();
    let mut messages: Vec<Message> = match asked {
        Some(asked) => serde_json::from_str(asked.get()).map_err(Error::internal)?,
        None => return Err(found::gone("previous_response_id")),
    };
    messages.drain(..found::rules(&before.asked).min(messages.len()));
    messages.extend(said(&completion.answer));
    let rules = new.iter().take_while(|message| message.role == Role::System).count();
    let mut new = new.into_iter();
    let mut all: Vec<Message> = new.by_ref().take(rules).collect();
    all.append(&mut messages);
    all.extend(new);
    Ok(all)
}

/// An answer as the model's message.
fn said(answer: &Answer) -> Option<Message> {
    let mut message = Message::new(Role::Assistant, None);
    for piece in Said::default().answer(answer) {
        match piece {
            Piece::Reasoning(text) => message.reasoning_content.get_or_insert_default().push_str(&text),
            Piece::Text(text) => message.content = Some(Content::Text(text)),
            Piece::Refusal(text) => message.refusal = Some(text),
            Piece::Call(call) => {
                let function = Function::default()
                    .name(call.function.name.unwrap_or_default())
                    .arguments(call.function.arguments.unwrap_or_default());
                let call = ToolCall::default().id(call.id.unwrap_or_default()).r#type("function").function(function);
                message.tool_calls.push(call);
            }
        }
    }
    (!message.is_silent()).then_some(message)
}

async fn respond(state: &AppState, submission: Submission, form: Form) -> Result<Response> {
    if form.stream {
        return stream::respond(state, submission, form.asked, None).await;
    }
    if form.asked.background {
        submission.accepted().await?;
        let named = named(&submission);
        return resource(&submission, &Resource::of(&named, &form.asked, Ended::Queued, None));
    }
    let completion = submission.shared_result().await?;
    let mut named = named(&submission);
    if let Some(model) = &completion.answer.model {
        named.model.clone_from(model);
    }
    let ended_at = submission.state().ended_at.map(crate::model::Timestamp::as_secs);
    answered(&submission, &named, &form.asked, &completion.answer, ended_at)
}

/// A response that has its answer, as the body of an answer.
pub(super) fn answered(
    submission: &Submission,
    named: &Named,
    asked: &Asked,
    answer: &Answer,
    ended_at: Option<u64>,
) -> Result<Response> {
    match passed(named, answer) {
        Some(response) => resource(submission, &response),
        None => resource(submission, &Resource::of(named, asked, Ended::Answered(answer), ended_at)),
    }
}

/// The names of the response that a task is.
pub(super) fn named(submission: &Submission) -> Named {
    Named {
        digits: request_id::digits(&request_id::Task::from(submission)),
        model: submission.answering_model(),
        created_at: submission.created(),
    }
}

/// A response as the body of an answer.
pub(super) fn resource(submission: &Submission, resource: &impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(resource).map_err(Error::internal)?;
    let mut response = reply::bytes(StatusCode::OK, body);
    openai::Named::from(submission).tell(response.headers_mut());
    Ok(response)
}
