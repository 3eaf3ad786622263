//! Reads a request's body within its bounds of bytes and time.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::time::error::Elapsed;

use super::marks::{Marked, Marks};
use super::reply::{Failed, Family};
use super::state::AppState;
use crate::model::{from_json, is_deeper};
use crate::router::{Held, Memory};
use crate::{Error, ErrorKind};

/// Reads the whole body.
pub(in crate::listener) async fn read(
    state: &AppState,
    family: Family,
    head: Marked<'_>,
    mut body: Body,
) -> Result<Bytes, Failed> {
    let wait = Duration::from_millis(state.config.body_timeout_ms);
    // A client that is still sending when the connection closes would see the reset instead of the refusal, so its body
    // is read and thrown away first.
    let most = state.config.max_discarded_bytes;
    let headers = head.headers;
    if let Some(error) = refused_media(head) {
        // A client that sent `Expect` waits for permission and has sent nothing yet.
        if !headers.contains_key(header::EXPECT) {
            let _ = tokio::time::timeout(wait, discard(body, most)).await;
        }
        return Err(
            Failed::new(family, error.with_code("unsupported_media_type")).status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        );
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
    if http_body::Body::size_hint(&body).lower() > limit {
        if !headers.contains_key(header::EXPECT) {
            let _ = tokio::time::timeout(wait, discard(body, most)).await;
        }
        return Err(too_large());
    }
    match within(wait, gather(&mut body, limit, state.router.memory())).await {
        Err(_) => {
            let error = Error::invalid("body", "the body did not arrive within listen.body_timeout_ms")
                .with_code("body_timeout");
            Err(Failed::new(family, error).status(StatusCode::REQUEST_TIMEOUT))
        }
        Ok(Err(Stop::TooLarge)) => {
            let _ = tokio::time::timeout(wait, discard(body, most)).await;
            Err(too_large())
        }
        Ok(Err(Stop::NoMemory)) => {
            let _ = tokio::time::timeout(wait, discard(body, most)).await;
            Err(Failed::new(family, Memory::full()))
        }
        Ok(Err(Stop::Broken(error))) => {
            Err(Failed::new(family, Error::invalid("body", format!("the body broke off: {error}"))))
        }
        Ok(Ok(body)) => {
            let deepest = state.router.config().limits.max_json_depth;
            if is_deeper(&body, deepest) {
                let words = format!("the body is nested deeper than {deepest} levels (limits.max_json_depth)");
                return Err(Failed::new(family, Error::invalid("body", words).with_code("json_too_deep")));
            }
            Ok(body)
        }
    }
}

/// Waits for a future, but no longer than `wait`. A future that is ready at once needs no timer.
pub(in crate::listener) async fn within<T>(wait: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    let mut future = pin!(future);
    match poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => tokio::time::timeout(wait, future).await,
    }
}

/// The error for a body that is not JSON, or that is compressed; `None` if the headers allow it.
fn refused_media(head: Marked<'_>) -> Option<Error> {
    let headers = head.headers;
    if let Some(refusal) = head.marks.has(Marks::CODING).then(|| refused_coding(headers)).flatten() {
        return Some(refusal);
    }
    let kind = headers.get(header::CONTENT_TYPE)?;
    if kind == "application/json" {
        return None;
    }
    let kind = kind.to_str().ok()?;
    let kind = kind.split(';').next().unwrap_or_default().trim();
    // Scripts that forget the header send `text/plain` or a form.
    let taken = kind.is_empty()
        || kind.len().checked_sub(4).is_some_and(|at| kind.as_bytes()[at..].eq_ignore_ascii_case(b"json"))
        || kind.eq_ignore_ascii_case("text/plain")
        || kind.eq_ignore_ascii_case("application/x-www-form-urlencoded");
    (!taken).then(|| {
        Error::invalid("Content-Type", format!("the body must be application/json, not {}", kind.to_ascii_lowercase()))
    })
}

/// The error for a body that is compressed.
fn refused_coding(headers: &HeaderMap) -> Option<Error> {
    let codings =
        headers.get_all(header::CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    for coding in codings.map(<[u8]>::trim_ascii) {
        if !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity") {
            let coding = coding.escape_ascii();
            let words =
                format!("a body with the Content-Encoding {coding} is not taken: send it as it is, uncompressed");
            return Some(Error::invalid("Content-Encoding", words));
        }
    }
    None
}

/// The reason why a body is not read further.
enum Stop {
    TooLarge,
    NoMemory,
    Broken(axum::Error),
}

/// A body together with its share of the router's memory bound. Dropping the last part of the body gives the share
/// back.
struct Counted {
    bytes: BytesMut,
    held: Held,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body of at most `limit` bytes. Bytes count against the memory bound when they arrive, not when they are
/// announced.
async fn gather(body: &mut Body, limit: u64, memory: &Arc<Memory>) -> Result<Bytes, Stop> {
    let mut first = Bytes::new();
    let mut rest: Option<Counted> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(Stop::Broken)?.into_data() else { continue };
        let before = rest.as_ref().map_or(first.len(), |rest| rest.bytes.len());
        if (before + data.len()) as u64 > limit {
            return Err(Stop::TooLarge);
        }
        if !memory.has_room(data.len() as u64) {
            return Err(Stop::NoMemory);
        }
        if before == 0 {
            // In the usual case the body comes in one piece, which is in the buffer of its connection.
            first = data;
            continue;
        }
        let rest = rest.get_or_insert_with(|| {
            let mut bytes = BytesMut::with_capacity(first.len() + data.len());
            bytes.extend_from_slice(&first);
            Counted { bytes, held: memory.hold(0) }
        });
        rest.bytes.extend_from_slice(&data);
        rest.held.set(rest.bytes.capacity() as u64);
    }
    Ok(rest.map_or(first, Bytes::from_owner))
}

/// Reads at most `most` further bytes of a body and throws them away.
async fn discard(mut body: Body, most: u64) {
    let mut left = most;
    while left > 0 {
        let Some(Ok(frame)) = body.frame().await else { return };
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
    }
}

/// Reads the body into a record. The error names the field.
pub(in crate::listener) fn parse<T: DeserializeOwned>(family: Family, body: &[u8]) -> Result<T, Failed> {
    from_json("body", body).map_err(|error| Failed::new(family, error))
}
