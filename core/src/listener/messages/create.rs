//! The route that answers a conversation.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};

use super::schema::MessagesBody;
use super::stream::MessageStream;
use crate::config::UpstreamApi;
use crate::listener::auth::Caller;
use crate::listener::marks::Marked;
use crate::listener::openapi::{AnthropicFailures, ServerSentEvent, TaskHeaders};
use crate::listener::reply::{self, Failed, Family};
use crate::listener::state::AppState;
use crate::listener::{body, intake, openai, request_id, sse};
use crate::model::Scope;
use crate::model::messages::{Events, Message, MessagesRequest, Wishes, passed, to_chat};
use crate::{Result, Submission};

/// The route, as spans and idempotency keys name it.
const ROUTE: &str = "/v1/messages";

/// The next message of a conversation, in Anthropic's form
///
/// With `stream`, the answer is a stream of events from `message_start` to `message_stop`. A failure after the first
/// event is an event `error`. An upstream that speaks this API gets the body as it is, and its answer comes back as
/// it is. Other miners get a chat: members that only Anthropic's own servers know, such as `cache_control`, have no
/// effect there, and members that this route does not know pass through. The header `X-Cortensor-Left-Out-Tools` of
/// an answer names the tools that a model behind a chat is not offered.
#[utoipa::path(
    post,
    path = "/v1/messages",
    tag = "Anthropic",
    params(TaskHeaders),
    request_body = MessagesBody,
    responses(
        (status = 200, description = "The message, or its stream.", content((Message<'static> = "application/json"), (ServerSentEvent = "text/event-stream"))),
        AnthropicFailures,
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
    wishes: Wishes,
    /// The types of the tools that the model is not offered.
    left_out: Vec<String>,
}

fn failed(error: crate::Error) -> Failed {
    Failed::new(Family::Anthropic, error)
}

/// Reads a body and submits it.
async fn take_in(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    body: Body,
) -> Result<(Submission, Form), Failed> {
    caller.may(Scope::Submit).map_err(failed)?;
    let body = body::read(state, Family::Anthropic, head, body).await?;
    let MessagesRequest { chat, wishes, left_out } = to_chat(&body).map_err(failed)?;
    let original = state.router.original(UpstreamApi::Anthropic, &body);
    drop(body);
    let form = Form { stream: chat.stream, wishes, left_out };
    let mut intake = openai::intake_of(state, caller, head, chat, ROUTE).map_err(failed)?;
    intake.original = original;
    let checked = state.router.check(intake).map_err(failed)?;
    let submission = state.router.enter(checked).await.map_err(failed)?;
    Ok((submission, form))
}

async fn respond(state: &AppState, submission: Submission, form: Form) -> Result<Response> {
    let id = format!("msg_{}", request_id::digits(&request_id::Task::from(&submission)));
    if form.stream {
        return stream(state, submission, form.wishes, id).await;
    }
    let completion = submission.shared_result().await?;
    let body = if let Some(message) = passed(&completion, &id) {
        serde_json::to_vec(&message)
    } else {
        let model = completion.answer.model.as_deref().unwrap_or(&completion.model);
        serde_json::to_vec(&Message::of(&completion, &id, model, &form.wishes))
    };
    let mut response = reply::bytes(StatusCode::OK, body.map_err(crate::Error::internal)?);
    openai::Named::from(&submission).tell(response.headers_mut());
    Ok(response)
}

async fn stream(state: &AppState, submission: Submission, wishes: Wishes, id: String) -> Result<Response> {
    let named = openai::Named::from(&submission);
    let layout = |submission: &Submission| MessageStream::new(Events::new(id, submission.answering_model(), wishes));
    let mut response = sse::respond(sse::begin(submission, &state.config, layout).await?);
    named.tell(response.headers_mut());
    Ok(response)
}
