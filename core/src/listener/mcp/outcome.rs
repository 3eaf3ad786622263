//! Answers to requests, as messages of the protocol.

use axum::response::Response;
use http::StatusCode;
use rmcp::model::{JsonRpcResponse, JsonRpcVersion2_0, RequestId};
use serde::Serialize;

use crate::Error;
use crate::listener::reply;

/// The answer to the request of that id, as JSON.
pub(super) fn message(id: &RequestId, result: &impl Serialize) -> Result<Vec<u8>, Error> {
    let message = JsonRpcResponse { jsonrpc: JsonRpcVersion2_0, id: id.clone(), result };
    reply::written(&message)
}

/// The answer to the request of that id.
pub(super) fn response(id: &RequestId, result: &impl Serialize) -> Response {
    match message(id, result) {
        Ok(body) => reply::bytes(StatusCode::OK, body),
        Err(error) => reply::bytes(StatusCode::INTERNAL_SERVER_ERROR, super::fault::error_of(Some(id.clone()), &error)),
    }
}

/// The answer to a message that wants none.
pub(super) fn accepted() -> Response {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}
