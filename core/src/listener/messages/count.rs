//! The route that counts the tokens of a request.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::schema::CountBody;
use crate::Result;
use crate::listener::auth::Caller;
use crate::listener::body;
use crate::listener::marks::Marked;
use crate::listener::openapi::AnthropicFailures;
use crate::listener::reply::{self, Failed, Family};
use crate::listener::state::AppState;
use crate::model::messages::to_count;
use crate::model::{Scope, estimate_tokens, meant};

/// The header that says that a count is an estimate.
const ESTIMATE: HeaderName = HeaderName::from_static("x-cortensor-estimate");

/// The number of tokens of a request.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenCount {
    /// Tokens that the model would read.
    input_tokens: u64,
}

/// The tokens that a request would use
///
/// An upstream that serves the model counts them: one that speaks the Messages API, llama.cpp or vLLM. If none does, the
/// router estimates them from the text of the messages, the system prompt and the tools, and says so with the header
/// `X-Cortensor-Estimate: true`. No task is made.
#[utoipa::path(
    post,
    path = "/v1/messages/count_tokens",
    tag = "Anthropic",
    request_body = CountBody,
    responses((status = 200, description = "The count.", body = TokenCount), AnthropicFailures)
)]
pub(super) async fn count(
    State(state): State<AppState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failed> {
    let failed = |error| Failed::new(Family::Anthropic, error);
    caller.may(Scope::Submit).map_err(failed)?;
    let body = body::read(&state, Family::Anthropic, Marked::of(&headers), body).await?;
    let chat = to_count(&body).map_err(failed)?;
    // A caller that may use only some models learns nothing of the others.
    let may_ask = caller.models().is_empty()
        || chat.model.as_deref().is_some_and(|model| meant(caller.models(), model).is_some());
    let counted = if may_ask { state.router.count_tokens(&chat, &body).await } else { None };
    let estimate = || {
        let tools = chat.extra("tools").map_or(0, |tools| estimate_tokens(tools.get()));
        estimate_tokens(&chat.prompt_text()).saturating_add(tools)
    };
    let mut response = reply::json(StatusCode::OK, &TokenCount { input_tokens: counted.unwrap_or_else(estimate) })?;
    if counted.is_none() {
        response.headers_mut().insert(ESTIMATE, HeaderValue::from_static("true"));
    }
    Ok(response)
}
