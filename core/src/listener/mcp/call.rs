//! Calls of tools. The handlers of the routes answer them.

use std::collections::HashMap;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use rmcp::model::{CallToolResult, ContentBlock, ErrorData, ProgressToken};
use serde_json::Value;
use serde_json::value::RawValue;

use super::exchange::{ROUTE, Request};
use super::fault::Fault;
use super::outcome;
use super::stream::CallStream;
use super::tools::{self, Tool};
use super::version::Form;
use crate::listener::auth::Caller;
use crate::listener::cortensor::agents::asker::Asker;
use crate::listener::cortensor::agents::work::Work;
use crate::listener::cortensor::agents::{delegate, validate};
use crate::listener::cortensor::schema::TaskPath;
use crate::listener::cortensor::{completions, node, sessions, tasks};
use crate::listener::extract::{InPath, InQuery};
use crate::listener::marks::Marked;
use crate::listener::reply::{Failed, Family, cortensor_error};
use crate::listener::state::AppState;
use crate::listener::{body, intake, request_id, sse};
use crate::model::{Scope, TaskRequest, Whole};
use crate::{Error, Submission};

/// Answers a call.
///
/// # Errors
/// The protocol's own error for a tool that there is not. All other failures are results that say so, which a model
/// can read.
pub(super) async fn answer(
    state: &AppState,
    caller: &Caller,
    head: Marked<'_>,
    request: &Request<'_>,
    form: Form,
) -> Result<Response, Fault> {
    let invalid = |words| Fault::of_request(&request.id, ErrorData::invalid_params(words, None));
    let name = request.params.name.as_deref().ok_or_else(|| invalid("params.name is missing".to_owned()))?;
    let Some(tool) = tools::named(name) else {
        return Err(invalid(format!("there is no tool {name:?}: tools/list lists them")));
    };
    let arguments = request.params.arguments.map_or("{}", RawValue::get);
    if !arguments.starts_with('{') {
        return Err(invalid("params.arguments must be an object".to_owned()));
    }
    let call = Call { state, caller, head, request, form };
    let progress = request.params.progress().filter(|_| takes_events(head.headers));
    Ok(match (tool, progress) {
        (Tool::Completions, Some(token)) => call.stream(token, arguments).await,
        (tool, _) => call.result(call.ask(tool, arguments).await.unwrap_or_else(IntoResponse::into_response)).await,
    })
}

/// One call of a tool.
struct Call<'a> {
    state: &'a AppState,
    caller: &'a Caller,
    head: Marked<'a>,
    request: &'a Request<'a>,
    form: Form,
}

impl Call<'_> {
    /// Asks the handler of a route, as the route would.
    async fn ask(&self, tool: Tool, arguments: &str) -> Result<Response, Failed> {
        let (state, caller) = (State(self.state.clone()), Extension(self.caller.clone()));
        Ok(match tool {
            Tool::Completions => {
                let taken = self.enter(arguments, false).await;
                let answer = async |submission: Submission, form: completions::Form| {
                    // A tool's result has the text twice already, and no client of this protocol reads the aliases.
                    if form.is_whole() {
                        completions::whole(&submission, false).await
                    } else {
                        completions::answer(self.state, submission, form).await
                    }
                };
                intake::answered(self.state, ROUTE, self.head, taken, answer).await?
            }
            Tool::CreateSession => {
                let body = Body::from(arguments.to_owned());
                sessions::create(state, caller, HeaderMap::new(), body).await?.into_response()
            }
            Tool::Tasks => {
                let mut asked = texts(arguments)?;
                let session = asked.remove("session_id");
                let session_id = session.ok_or_else(|| Error::invalid("session_id", "session_id is missing"))?;
                match asked.remove("task_id") {
                    Some(task_id) => tasks::show(state, caller, InPath(TaskPath { session_id, task_id })).await?,
                    None => tasks::list(state, caller, InPath(session_id), query(asked)?).await?,
                }
            }
            Tool::Delegate => {
                self.work(delegate::delegate(self.state, &self.asker(arguments)?, arguments.as_bytes(), false).await)
                    .await?
            }
            Tool::Validate => {
                let way = validate::Way::Validation;
                self.work(validate::validate(self.state, &self.asker(arguments)?, arguments.as_bytes(), way).await)
                    .await?
            }
            Tool::Factcheck => {
                let way = validate::Way::Facts;
                self.work(validate::validate(self.state, &self.asker(arguments)?, arguments.as_bytes(), way).await)
                    .await?
            }
            Tool::Miners => node::miners(state, caller).await?,
            Tool::Sessions => {
                let mut asked = texts(arguments)?;
                match asked.remove("id") {
                    Some(id) => sessions::show(state, caller, InPath(id)).await?.into_response(),
                    None => sessions::list(state, caller, query(asked)?).await?.into_response(),
                }
            }
            Tool::Status => node::status(state, Some(caller)).await?.into_response(),
            Tool::About => node::about(state).await.into_response(),
            Tool::Ping => node::ping().await.into_response(),
            Tool::Info => node::info(state, caller).await?.into_response(),
        })
    }

    fn asker(&self, arguments: &str) -> Result<Asker<'_>, Error> {
        Asker::of(self.caller, self.head, ROUTE, arguments.as_bytes())
    }

    /// Answers an order by the tasks that it became.
    async fn work(&self, taken: Result<Work, Error>) -> Result<Response, Failed> {
        delegate::respond(self.state, self.head, ROUTE, taken.map_err(Failed::from)).await
    }

    /// Submits a completion.
    async fn enter(&self, arguments: &str, stream: bool) -> Result<(Submission, completions::Form), Failed> {
        self.caller.may(Scope::Submit)?;
        let mut asked: TaskRequest = body::parse(Family::Cortensor, arguments.as_bytes())?;
        asked.stream = stream;
        asked.kind = completions::kind_of(&asked, false);
        let taken = completions::Taken { session: None, key: "/api", route: ROUTE, chat: false };
        completions::enter(self.state, self.caller, self.head, asked, taken).await
    }

    /// Answers a completion with a stream, on which the client hears of progress under that token.
    async fn stream(&self, token: ProgressToken, arguments: &str) -> Response {
        let entered = self.enter(arguments, true).await;
        let answered = intake::answered(self.state, ROUTE, self.head, entered, async |submission, form| {
            let completions::Form::Stream = form else {
                return Ok(self.result(completions::answer(self.state, submission, form).await?).await);
            };
            let stream = CallStream::new(self.request.id.clone(), token, self.form);
            let last = stream.last_event();
            let mut response = sse::respond(sse::begin(submission, &self.state.config, |_| stream).await?);
            response.extensions_mut().insert(last);
            Ok(response)
        });
        match answered.await {
            // The answer of a task that failed before its first piece is an error like a refusal.
            Ok(response) if response.status().is_success() => response,
            Ok(response) => self.result(response).await,
            Err(refusal) => self.result(refusal.into_response()).await,
        }
    }

    /// The answer of a route as the result of a tool.
    async fn result(&self, answer: Response) -> Response {
        let is_success = answer.status().is_success();
        let named = answer.headers().get(request_id::HEADER).cloned();
        let text = match answer.into_body().collect().await {
            Ok(body) => body.to_bytes().to_vec(),
            Err(error) => cortensor_error(&Error::internal(error)),
        };
        let mut response = outcome::response(&self.request.id, &result(text, is_success, self.form));
        response.headers_mut().extend(named.map(|id| (request_id::HEADER, id)));
        response
    }
}

/// The result of a tool: JSON as text and, unless it is an error, as structured content too. Clients compare structured
/// content with the schema of answers, which an error does not fit.
pub(super) fn result(json: Vec<u8>, is_success: bool, form: Form) -> CallToolResult {
    let structured = if is_success { serde_json::from_slice::<Value>(&json).ok() } else { None };
    let content = vec![ContentBlock::text(String::from_utf8(json).unwrap_or_default())];
    let mut result = if is_success { CallToolResult::success(content) } else { CallToolResult::error(content) };
    result.structured_content = structured;
    result.result_type = form.result_type();
    result
}

/// Whether the client takes a stream of events.
fn takes_events(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/event-stream")
    })
}

/// Arguments as a path or a query has them: a whole number may be a number or a text.
fn texts(arguments: &str) -> Result<HashMap<String, String>, Error> {
    let members: HashMap<String, Value> = crate::model::from_json("arguments", arguments.as_bytes())?;
    let text = |(name, value): (String, Value)| {
        let text = match value {
            Value::Null => return None,
            Value::String(text) => Ok(text),
            value => serde_json::from_value::<Whole<u64>>(value).map(|number| number.0.to_string()),
        };
        let wrong = |_| Error::invalid(name.clone(), format!("{name} must be a text or a whole number"));
        Some(text.map_err(wrong).map(|text| (name, text)))
    };
    members.into_iter().filter_map(text).collect()
}

fn query<T: serde::de::DeserializeOwned>(asked: HashMap<String, String>) -> Result<InQuery<T>, Error> {
    InQuery::of(asked).map_err(|words| Error::invalid("arguments", words))
}
