//! Answers: JSON bodies, and errors in the shape of the family of routes in which they occur.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::access;
#[cfg(feature = "mcp")]
use super::mcp;
use super::openai::failure;
use crate::model::write_compact;
use crate::{Error, ErrorKind};

/// A family of routes, which determines the shape of errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::listener) enum Family {
    /// `/api/...` and the rest.
    Cortensor,
    /// `/v1/...`
    OpenAi,
    /// `/v1/messages...`, which Anthropic's clients request.
    Anthropic,
    /// `/mcp`
    #[cfg(feature = "mcp")]
    Mcp,
}

impl Family {
    /// The error in this family's shape, as JSON.
    pub(in crate::listener) fn error(self, error: &Error) -> Vec<u8> {
        match self {
            Self::Cortensor => cortensor_error(error),
            Self::OpenAi => {
                let mut body = Vec::with_capacity(256);
                failure::write(error, &mut body);
                body
            }
            Self::Anthropic => anthropic_error(error),
            #[cfg(feature = "mcp")]
            Self::Mcp => mcp::error(error),
        }
    }

    /// The family of a request for that path. Two families list models under one path, and Anthropic's clients send the
    /// version of their API with every request.
    pub(in crate::listener) fn of_request(path: &str, headers: &HeaderMap) -> Self {
        let lists_models = path.strip_prefix("/v1/models").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if lists_models && headers.contains_key("anthropic-version") { Self::Anthropic } else { Self::of(path) }
    }

    /// The family of the routes at that path.
    pub(in crate::listener) fn of(path: &str) -> Self {
        #[cfg(feature = "mcp")]
        if path.strip_prefix("/mcp").is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return Self::Mcp;
        }
        let Some(rest) = path.strip_prefix("/v1").filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
            return Self::Cortensor;
        };
        match rest.strip_prefix("/messages") {
            Some(more) if more.is_empty() || more.starts_with('/') => Self::Anthropic,
            _ => Self::OpenAi,
        }
    }
}

/// The header in which Anthropic's SDKs look for the id of an answer.
pub(in crate::listener) const ANTHROPIC_ID: HeaderName = HeaderName::from_static("request-id");

/// An error that is about to become an answer.
#[derive(Debug)]
pub(in crate::listener) struct Failed {
    family: Family,
    status: StatusCode,
    error: Error,
}

impl Failed {
    pub(in crate::listener) fn new(family: Family, error: Error) -> Self {
        let status = StatusCode::from_u16(error.kind().row().http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { family, status, error }
    }

    /// The error.
    pub(in crate::listener) fn error(&self) -> &Error {
        &self.error
    }

    /// Sets a status other than the kind's.
    pub(in crate::listener) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

/// An error of Cortensor's routes.
impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::new(Family::Cortensor, error)
    }
}

/// An error of Cortensor's routes. It has the text three times, because published clients read different members.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct CortensorError<'a> {
    /// The problem and how to mend it; always a text.
    error: &'a str,
    /// Alias of `error`.
    message: &'a str,
    /// Alias of `error`.
    detail: &'a str,
    /// The finest code of the error, for example `session_not_found`, or its kind if there is none.
    code: &'a str,
    /// The field at fault.
    #[schema(required)]
    param: Option<&'a str>,
    /// The session that the error is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    session_id: Option<u64>,
    /// The task that the error is about. If the task goes on, it can be polled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    task_id: Option<u64>,
}

/// The error in the shape that Cortensor's clients read.
pub(in crate::listener) fn cortensor_error(error: &Error) -> Vec<u8> {
    let details = error.details();
    let text = error.message();
    let body = CortensorError {
        error: text,
        message: text,
        detail: text,
        code: error.code(),
        param: details.param.as_deref(),
        session_id: details.session_id.map(|id| id.0),
        task_id: details.task_id.map(|id| id.0),
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

/// An error in the shape that Anthropic's clients read.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct AnthropicError<'a> {
    /// `error`
    r#type: &'static str,
    /// The error.
    error: AnthropicErrorBody<'a>,
}

/// The problem and how to mend it.
#[derive(Serialize, ToSchema)]
pub(in crate::listener) struct AnthropicErrorBody<'a> {
    /// Anthropic's word for the kind: `invalid_request_error`, `authentication_error`, `overloaded_error` ...
    r#type: &'a str,
    /// The problem and how to mend it.
    message: &'a str,
    /// The finest code of the error, for example `model_not_found`, or its kind if there is none.
    code: &'a str,
    /// The field at fault.
    #[schema(required)]
    param: Option<&'a str>,
}

/// The error in the shape that Anthropic's clients read.
fn anthropic_error(error: &Error) -> Vec<u8> {
    let details = error.details();
    let said = details.upstream.as_ref().and_then(|said| said.message.as_deref());
    let body = AnthropicErrorBody {
        r#type: error.kind().row().anthropic_type,
        message: said.unwrap_or(error.message()),
        code: error.code(),
        param: details.param.as_deref(),
    };
    serde_json::to_vec(&AnthropicError { r#type: "error", error: body }).unwrap_or_default()
}

impl Failed {
    /// The status, the headers and the body of the answer.
    pub(in crate::listener) fn into_parts(self) -> (StatusCode, HeaderMap, Vec<u8>) {
        access::failed(self.error.code());
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(millis) = self.error.details().retry_after_ms {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(millis.div_ceil(1_000).max(1)));
        }
        if self.error.kind() == ErrorKind::Unauthenticated {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // RFC 9110, 15.5.16: the header names the codings that are accepted.
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        (self.status, headers, self.family.error(&self.error))
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let (status, headers, body) = self.into_parts();
        let mut response = Response::new(Body::from(body));
        (*response.status_mut(), *response.headers_mut()) = (status, headers);
        response
    }
}

/// A value as the body of an answer: compact JSON.
pub(in crate::listener) struct Json<T>(pub(in crate::listener) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0).into_response()
    }
}

/// An answer with a JSON body that is written already.
pub(in crate::listener) fn bytes(status: StatusCode, body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A value as compact JSON, in a buffer in which a short answer has room.
///
/// # Errors
/// When the value has no JSON form, which no record of an answer lacks.
pub(in crate::listener) fn written(value: &impl Serialize) -> crate::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(1 << 10);
    write_compact(&mut out, value).map_err(Error::internal)?;
    Ok(out)
}

/// A value as compact JSON.
pub(in crate::listener) fn json<T: Serialize>(status: StatusCode, value: &T) -> Result<Response, Failed> {
    Ok(bytes(status, written(value)?))
}
