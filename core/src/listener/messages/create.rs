//! The route that answers a conversation.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use http::HeaderMap;
use serde_json::value::RawValue;

use super::schema::MessagesBody;
use super::stream::MessageStream;
use crate::config::UpstreamApi;
use crate::listener::answer::{Answer, Named};
use crate::listener::auth::Caller;
use crate::listener::fast_path::FastPath;
use crate::listener::intake::{self, ToolsLeftOut, is_own};
use crate::listener::marks::Marked;
use crate::listener::openapi::{AnthropicFailures, ServerSentEvent, TaskHeaders};
use crate::listener::state::AppState;
use crate::listener::{openai, reply, request_id, sse};
use crate::model::messages::{Events, Message, MessagesRequest, Wishes, passed, to_chat};
use crate::router::Fingerprint;
use crate::{Result, Submission};

/// The route, as spans and idempotency keys name it.
pub(in crate::listener) const ROUTE: &str = "/v1/messages";

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
) -> Answer {
    FastPath::Messages.submit(&state, &caller, Marked::of(&headers), body).await
}

/// A request that was read from its body.
pub(in crate::listener) struct Order {
    request: MessagesRequest,
    /// The body itself, for an upstream that speaks this API.
    original: Option<Box<RawValue>>,
    /// The fingerprint of the body, if the request is repeatable.
    said: Option<Fingerprint>,
}

/// The form in which the caller reads the answer.
pub(in crate::listener) struct Form {
    stream: bool,
    wishes: Wishes,
    left_out: ToolsLeftOut,
}

impl Order {
    /// Reads a body.
    ///
    /// # Errors
    /// `InvalidArgument` names the field.
    pub(in crate::listener) fn read(state: &AppState, head: Marked<'_>, body: &[u8]) -> Result<Self> {
        let request = to_chat(body)?;
        let original = state.router.original(UpstreamApi::Anthropic, body, request.own.is_some());
        Ok(Self { request, original, said: intake::fingerprint(head, body) })
    }

    /// Submits the request.
    ///
    /// # Errors
    /// The refusal.
    pub(in crate::listener) async fn enter(
        self,
        state: &AppState,
        caller: &Caller,
        head: Marked<'_>,
    ) -> Result<(Submission, Form)> {
        let MessagesRequest { chat, wishes, left_out, own } = self.request;
        let left_out = ToolsLeftOut::of(left_out, self.original.is_some());
        let form = Form { stream: chat.stream, wishes, left_out };
        let mut intake = openai::intake_of(state, caller, head, chat, ROUTE)?;
        (intake.original, intake.said, intake.own) = (self.original, self.said, own);
        // The rarer way is boxed, so that the usual one does not reserve memory for it.
        let checked = if state.router.learns() {
            Box::pin(state.router.checked(intake)).await?
        } else {
            state.router.check(intake)?
        };
        Ok((state.router.enter(checked).await?, form))
    }
}

/// Answers a submitted request, whole or streamed.
///
/// # Errors
/// The task's error, if it fails before its first token.
pub(in crate::listener) async fn respond(state: &AppState, submission: Submission, form: Form) -> Result<Answer> {
    let id = format!("msg_{}", request_id::digits(&request_id::Task::from(&submission)));
    let Form { stream, wishes, left_out } = form;
    let named = Named::from(&submission);
    if stream {
        let layout =
            |submission: &Submission| MessageStream::new(Events::new(id, submission.answering_model(), wishes));
        let events = sse::begin(submission, &state.config, layout).await?;
        return Ok(Answer::events(named.leaving_out(left_out.kinds(|| events.is_own())), events));
    }
    let completion = submission.shared_result().await?;
    let body = if let Some(message) = passed(&completion, &id) {
        reply::written(&message)
    } else {
        let model = completion.answer.model.as_deref().unwrap_or(&completion.model);
        reply::written(&Message::of(&completion, &id, model, &wishes))
    };
    let left_out = left_out.kinds(|| Some(is_own(completion.answer.raw.as_deref())));
    Ok(Answer::Whole(named.leaving_out(left_out), body?.into()))
}
