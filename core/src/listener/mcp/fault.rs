//! The protocol's errors, and the router's errors in their form.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rmcp::model::{ErrorCode, ErrorData, JsonRpcError, ProtocolVersion, RequestId};
use serde_json::Value;

use crate::listener::access;
use crate::listener::reply::{self, Failed, cortensor_error};
use crate::{Error, ErrorKind};

/// The code of the router's errors for which the protocol has none. The range from -32099 to -32000 is the servers'.
const OWN: ErrorCode = ErrorCode(-32000);

/// A request that is answered with an error of the protocol.
pub(super) struct Fault {
    status: StatusCode,
    id: Option<RequestId>,
    error: ErrorData,
}

impl Fault {
    /// A fault that is told in the answer to the request of that id.
    pub(super) fn of_request(id: &RequestId, error: ErrorData) -> Self {
        Self { status: StatusCode::OK, id: Some(id.clone()), error }
    }

    /// A fault of the request's form.
    pub(super) fn bad_request(id: Option<RequestId>, error: ErrorData) -> Self {
        Self { status: StatusCode::BAD_REQUEST, id, error }
    }

    /// The error as the answer to that request.
    pub(super) fn of(self, id: &RequestId) -> Self {
        Self { id: Some(id.clone()), ..self }
    }

    /// The error of the router, with the status that the other families give it.
    pub(super) fn refusal(id: Option<RequestId>, error: &Error) -> Self {
        let status = StatusCode::from_u16(error.kind().row().http_status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, id, error: data(error) }
    }

    /// The fault of a method that this server does not have.
    pub(super) fn unknown_method(id: &RequestId, method: &str, is_single: bool) -> Self {
        let words = format!("there is no method {method}");
        // Versions with sessions tell every error in the body alone.
        let status = if is_single { StatusCode::NOT_FOUND } else { StatusCode::OK };
        Self { status, id: Some(id.clone()), error: ErrorData::new(ErrorCode::METHOD_NOT_FOUND, words, None) }
    }

    /// The fault of a version that this server does not speak in that form.
    pub(super) fn unknown_version(id: Option<RequestId>, asked: ProtocolVersion, spoken: &[ProtocolVersion]) -> Self {
        Self::bad_request(id, ErrorData::unsupported_protocol_version(asked, spoken))
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        access::failed(&self.error.code.0.to_string());
        let body = serde_json::to_vec(&JsonRpcError::new(self.id, self.error)).unwrap_or_default();
        reply::bytes(self.status, body)
    }
}

/// The error of a resource that cannot be read.
pub(super) fn of_resource(id: &RequestId, failed: &Failed, is_single: bool) -> Fault {
    let mut told = data(failed.error());
    if is_single && told.code == ErrorCode::RESOURCE_NOT_FOUND {
        told.code = ErrorCode::INVALID_PARAMS;
    }
    Fault::of_request(id, told)
}

/// The error in the protocol's form; `data` has it as Cortensor's clients read it.
fn data(error: &Error) -> ErrorData {
    let code = match error.kind() {
        ErrorKind::InvalidArgument => ErrorCode::INVALID_PARAMS,
        ErrorKind::NotFound => ErrorCode::RESOURCE_NOT_FOUND,
        ErrorKind::Internal => ErrorCode::INTERNAL_ERROR,
        _ => OWN,
    };
    let whole = serde_json::from_slice::<Value>(&cortensor_error(error)).ok();
    ErrorData::new(code, error.message().to_owned(), whole)
}

/// An error that belongs to no request that could be read, as the body of an answer.
pub(in crate::listener) fn error(error: &Error) -> Vec<u8> {
    error_of(None, error)
}

/// An error that ends the request of that id, as a message.
pub(super) fn error_of(id: Option<RequestId>, error: &Error) -> Vec<u8> {
    serde_json::to_vec(&JsonRpcError::new(id, data(error))).unwrap_or_default()
}
