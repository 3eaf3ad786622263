//! Reading a request's body, within its bounds of bytes and time.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

use super::reply::{Failed, Family};
use super::state::AppState;
use crate::model::from_json;
use crate::{Error, ErrorKind};

/// The whole body.
pub(in crate::listener) async fn read(
    state: &AppState,
    family: Family,
    headers: &HeaderMap,
    mut body: Body,
) -> Result<Bytes, Failed> {
    if let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        // Scripts that forget the header send text or a form; what is surely not JSON is refused.
        if !(kind.is_empty()
            || kind.ends_with("json")
            || kind == "text/plain"
            || kind == "application/x-www-form-urlencoded")
        {
            let error = Error::invalid("Content-Type", format!("the body must be application/json, not {kind}"));
            return Err(Failed::new(family, error.with_code("unsupported_media_type"))
                .status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
    }
    let limit = state.router.config().limits.max_request_bytes;
    let too_large = || {
        Failed::new(
            family,
            Error::new(
                ErrorKind::TooLarge,
                format!("the body is larger than {limit} bytes (limits.max_request_bytes)"),
            ),
        )
    };
    let wait = Duration::from_millis(state.config.body_timeout_ms);
    // A client that is still sending when the connection closes sees that, and not the 413.
    let most = state.config.max_discarded_bytes;
    if http_body::Body::size_hint(&body).lower() > limit {
        // Who asks first has sent nothing yet, and is told not to.
        if !headers.contains_key(header::EXPECT) {
            let _ = tokio::time::timeout(wait, discard(body, most)).await;
        }
        return Err(too_large());
    }
    match tokio::time::timeout(wait, Limited::new(&mut body, limit as usize).collect()).await {
        Err(_) => {
            let error = Error::invalid("body", "the body did not arrive within listen.body_timeout_ms")
                .with_code("body_timeout");
            Err(Failed::new(family, error).status(StatusCode::REQUEST_TIMEOUT))
        }
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            let _ = tokio::time::timeout(wait, discard(body, most)).await;
            Err(too_large())
        }
        Ok(Err(error)) => Err(Failed::new(family, Error::invalid("body", format!("the body broke off: {error}")))),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}

/// Reads what is left of a body, within bounds, and keeps none of it.
async fn discard(mut body: Body, most: u64) {
    let mut left = most;
    while left > 0 {
        let Some(Ok(frame)) = body.frame().await else { return };
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
    }
}

/// The body as a record; the error names the field.
pub(in crate::listener) fn parse<T: DeserializeOwned>(family: Family, body: &[u8]) -> Result<T, Failed> {
    from_json("body", body).map_err(|error| Failed::new(family, error))
}
