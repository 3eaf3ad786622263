//! The route that makes a response.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use http::HeaderMap;
use serde_json::value::RawValue;

use super::found::{self, Found};
use super::schema::ResponsesBody;
use super::stream;
use crate::config::UpstreamApi;
use crate::listener::answer::{Answer, Named};
use crate::listener::auth::Caller;
use crate::listener::fast_path::FastPath;
use crate::listener::intake::{self, ToolsLeftOut, is_own};
use crate::listener::marks::{Marked, Marks};
use crate::listener::openapi::{OpenAiFailures, ServerSentEvent, TaskHeaders};
use crate::listener::reply::{Failed, Family, written};
use crate::listener::state::AppState;
use crate::listener::{openai, request_id};
use crate::model::chat::{Content, Message, Piece, Role, Said, into_raw};
use crate::model::responses::{Asked, Ended, Named as Names, Resource, ResponsesRequest, passed, to_chat};
use crate::model::{self, Function, SessionId, ToolCall};
use crate::router::{Checked, Fingerprint, Wish};
use crate::{Error, Result, Submission};

/// The route, as spans and idempotency keys name it.
pub(in crate::listener) const ROUTE: &str = "/v1/responses";

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
) -> Answer {
    FastPath::Responses.submit(&state, &caller, Marked::of(&headers), body).await
}

/// A request that was read from its body.
pub(in crate::listener) struct Order {
    request: ResponsesRequest,
    /// The body itself, for an upstream that speaks this API.
    original: Option<Box<RawValue>>,
    /// The fingerprint of the body, if the request is repeatable.
    said: Option<Fingerprint>,
}

/// The form in which the caller reads the answer.
pub(in crate::listener) struct Form {
    stream: bool,
    asked: Box<Asked>,
    left_out: ToolsLeftOut,
}

pub(super) fn failed(error: Error) -> Failed {
    Failed::new(Family::OpenAi, error)
}

impl Order {
    /// Reads a body.
    ///
    /// # Errors
    /// `InvalidArgument` names the field.
    pub(in crate::listener) fn read(state: &AppState, head: Marked<'_>, body: &[u8]) -> Result<Self> {
        let mut request = to_chat(body)?;
        let original = state.router.original(UpstreamApi::Responses, body, request.own.is_some());
        let said = intake::fingerprint(head, body);
        if request.asked.previous_response_id.is_none() {
            return Ok(Self { request, original, said });
        }
        // A server of this API does not know the router's responses.
        if let Some(why) = request.own.as_mut().filter(|_| original.is_some()) {
            *why = not_continued(&format!("{why}; a server of this API may know it"));
        }
        Ok(Self { request, original: None, said })
    }

    /// Submits the request.
    ///
    /// # Errors
    /// The refusal.
    pub(in crate::listener) async fn enter(
        self: Box<Self>,
        state: &AppState,
        caller: &Caller,
        head: Marked<'_>,
    ) -> Result<(Submission, Form)> {
        if state.router.learns() {
            Box::pin(openai::learn(state, head, self.request.chat.model.clone())).await?;
        }
        let (checked, form) = match &self.request.asked.previous_response_id {
            None => self.checked(state, caller, head, None)?,
            // The rarer way is boxed, so that the usual one does not reserve memory for it.
            Some(_) => Box::pin(self.continued(state, caller, head)).await?,
        };
        Ok((state.router.enter(checked).await?, form))
    }

    /// Checks a request that continues a response.
    async fn continued(
        mut self: Box<Self>,
        state: &AppState,
        caller: &Caller,
        head: Marked<'_>,
    ) -> Result<(Checked, Form)> {
        let id = self.request.asked.previous_response_id.as_deref().unwrap_or_default();
        let before = found::find(state, caller, id, "previous_response_id").await?;
        if let Some(why) = before.own_words() {
            return Err(not_continued(&format!("the request of this response has words that no chat says: {why}")));
        }
        self.request.messages = continued(&before, std::mem::take(&mut self.request.messages)).await?;
        self.checked(state, caller, head, Some(before.submission.session_id()))
    }

    /// Checks the request. A conversation that goes on stays in its session.
    fn checked(
        self: Box<Self>,
        state: &AppState,
        caller: &Caller,
        head: Marked<'_>,
        session: Option<SessionId>,
    ) -> Result<(Checked, Form)> {
        let ResponsesRequest { mut chat, messages, asked, left_out, own } = self.request;
        let left_out = ToolsLeftOut::of(left_out, self.original.is_some());
        chat.messages = Some(into_raw(&messages)?);
        let mut form = Form { stream: chat.stream, asked, left_out };
        let kept: Box<RawValue> = into_raw(&form.asked)?;
        // No answer shows the input, which may be long.
        form.asked.input = None;
        let mut intake = openai::intake_of(state, caller, head, chat, ROUTE)?;
        if let Some(session) = session.filter(|_| !head.marks.has(Marks::SESSION)) {
            intake.session = Wish::Exactly(session);
        }
        (intake.responses, intake.original, intake.own) = (Some(kept), self.original, own);
        intake.said = self.said;
        intake.detach = form.asked.background;
        // The caller learns the id of the task at once, or with the first event.
        intake.waits &= !form.asked.background;
        Ok((state.router.check(intake)?, form))
    }
}

/// The error for a response that cannot go on as a chat. Servers of this API do not know the router's responses.
fn not_continued(why: &str) -> Error {
    let words = format!(
        "previous_response_id: {why}, but not the router's responses: send the items of the conversation in input"
    );
    Error::invalid("previous_response_id", words)
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
fn said(answer: &model::Answer) -> Option<Message> {
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

/// Answers a submitted request: with the whole response, its stream, or, in the background, with its names alone.
///
/// # Errors
/// The task's error, if it fails before its first token.
pub(in crate::listener) async fn respond(state: &AppState, submission: Submission, form: Form) -> Result<Answer> {
    let Form { stream, asked, left_out } = form;
    let head = Named::from(&submission);
    if stream {
        let events = Box::pin(stream::events(state, submission, asked, None)).await?;
        return Ok(Answer::events(head.leaving_out(left_out.kinds(|| events.is_own())), events));
    }
    if asked.background {
        submission.accepted().await?;
        let named = named(&submission);
        let head = head.leaving_out(left_out.kinds(|| None));
        return Ok(Answer::Whole(head, shown(&Resource::of(&named, &asked, Ended::Queued, None))?.into()));
    }
    let completion = submission.shared_result().await?;
    let ended_at = submission.ended_at().map(model::Timestamp::as_secs);
    let head = head.leaving_out(left_out.kinds(|| Some(is_own(completion.answer.raw.as_deref()))));
    Ok(Answer::Whole(head, answered(named(&submission), &asked, &completion.answer, ended_at)?.into()))
}

/// A response that has its answer, as the body of an answer. It names the model that answered, if that is known.
pub(super) fn answered(
    mut named: Names,
    asked: &Asked,
    answer: &model::Answer,
    ended_at: Option<u64>,
) -> Result<Vec<u8>> {
    if let Some(model) = &answer.model {
        named.model.clone_from(model);
    }
    match passed(&named, answer) {
        Some(response) => written(&response),
        None => shown(&Resource::of(&named, asked, Ended::Answered(answer), ended_at)),
    }
}

/// A response as the body of an answer.
pub(super) fn shown(response: &Resource<'_>) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(1 << 10);
    response.write(&mut out)?;
    Ok(out)
}

/// The names of the response that a task is.
pub(super) fn named(submission: &Submission) -> Names {
    Names {
        digits: request_id::digits(&request_id::Task::from(submission)),
        model: submission.answering_model(),
        created_at: submission.created(),
    }
}
