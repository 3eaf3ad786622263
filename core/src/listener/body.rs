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

/// A body that is read once.
pub(in crate::listener) trait Source: Send {
    /// The bytes that the body has at least.
    fn announced(&self) -> u64;

    /// Reads the whole body, of at most `limit` bytes. Bytes count against the memory bound when they arrive, not when
    /// they are announced.
    ///
    /// # Errors
    /// The reason why the body is not read further.
    fn gather(&mut self, limit: u64, memory: &Arc<Memory>) -> impl Future<Output = Result<Bytes, Stop>> + Send;

    /// Reads at most `most` further bytes of the body and throws them away.
    fn discard(&mut self, most: u64) -> impl Future<Output = ()> + Send;
}

/// Reads the whole body, which is JSON.
pub(in crate::listener) async fn read(
    state: &AppState,
    family: Family,
    head: Marked<'_>,
    body: impl Source,
) -> Result<Bytes, Failed> {
    let Bounds { limit, deepest } = Bounds::of(state);
    let body = gather(state, family, head, body, limit, refused_media(head)).await?;
    shallow(family, &body, deepest).map(|()| body)
}

/// Reads the whole body of one of OpenAI's routes, which is a form, unless it is refused before.
pub(in crate::listener) async fn read_form(
    state: &AppState,
    head: Marked<'_>,
    body: impl Source,
    refusal: Option<&Error>,
) -> Result<Bytes, Failed> {
    let limit = Limit { bytes: state.router.settings().limits.max_upload_bytes, name: "limits.max_upload_bytes" };
    let coding = head.marks.has(Marks::CODING).then(|| refused_coding(head.headers)).flatten();
    gather(state, Family::OpenAi, head, body, limit, coding.or_else(|| refusal.cloned())).await
}

/// The most bytes of a body, and the setting that says so.
#[derive(Clone, Copy)]
struct Limit {
    bytes: u64,
    name: &'static str,
}

/// The bounds of a body of JSON.
struct Bounds {
    limit: Limit,
    /// The most levels of its nesting.
    deepest: usize,
}

impl Bounds {
    fn of(state: &AppState) -> Self {
        let limits = &state.router.settings().limits;
        let limit = Limit { bytes: limits.max_request_bytes, name: "limits.max_request_bytes" };
        Self { limit, deepest: limits.max_json_depth }
    }
}

/// Reads the whole body within its bounds, or throws it away if it is refused.
async fn gather(
    state: &AppState,
    family: Family,
    head: Marked<'_>,
    mut body: impl Source,
    limit: Limit,
    refusal: Option<Error>,
) -> Result<Bytes, Failed> {
    let wait = Duration::from_millis(state.config.body_timeout_ms);
    // A client that is still sending when the connection closes would see the reset instead of the refusal, so its body
    // is read and thrown away first.
    let most = state.config.max_discarded_bytes;
    let headers = head.headers;
    let is_too_large = || (body.announced() > limit.bytes).then(|| too_large(family, limit));
    if let Some(refused) = refusal.map(|error| unsupported(family, error)).or_else(is_too_large) {
        // A client that sent `Expect` waits for permission and has sent nothing yet.
        if !headers.contains_key(header::EXPECT) {
            let _ = tokio::time::timeout(wait, body.discard(most)).await;
        }
        return Err(refused);
    }
    let read = within(wait, body.gather(limit.bytes, state.router.memory())).await;
    let error = match read {
        Err(_) => {
            let error = Error::invalid("body", "the body did not arrive within listen.body_timeout_ms")
                .with_code("body_timeout");
            return Err(Failed::new(family, error).status(StatusCode::REQUEST_TIMEOUT));
        }
        Ok(Ok(body)) => return Ok(body),
        Ok(Err(Stop::Broken(why))) => {
            return Err(Failed::new(family, Error::invalid("body", format!("the body broke off: {why}"))));
        }
        Ok(Err(Stop::TooLarge)) => too_large(family, limit),
        Ok(Err(Stop::NoMemory)) => Failed::new(family, Memory::full()),
    };
    let _ = tokio::time::timeout(wait, body.discard(most)).await;
    Err(error)
}

/// Checks a body that is there already, as [`read`] does.
///
/// # Errors
/// The refusal.
pub(in crate::listener) fn check(
    state: &AppState,
    family: Family,
    head: Marked<'_>,
    body: &[u8],
) -> Result<(), Failed> {
    if let Some(error) = refused_media(head) {
        return Err(unsupported(family, error));
    }
    let Bounds { limit, deepest } = Bounds::of(state);
    if body.len() as u64 > limit.bytes {
        return Err(too_large(family, limit));
    }
    if !state.router.memory().has_room(body.len() as u64) {
        return Err(Failed::new(family, Memory::full()));
    }
    shallow(family, body, deepest)
}

fn unsupported(family: Family, error: Error) -> Failed {
    Failed::new(family, error.with_code("unsupported_media_type")).status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

fn too_large(family: Family, limit: Limit) -> Failed {
    let words = format!("the body is larger than {} bytes ({})", limit.bytes, limit.name);
    Failed::new(family, Error::new(ErrorKind::TooLarge, words))
}

/// Refuses a body that is nested too deeply.
fn shallow(family: Family, body: &[u8], deepest: usize) -> Result<(), Failed> {
    if !is_deeper(body, deepest) {
        return Ok(());
    }
    let words = format!("the body is nested deeper than {deepest} levels (limits.max_json_depth)");
    Err(Failed::new(family, Error::invalid("body", words).with_code("json_too_deep")))
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
pub(in crate::listener) enum Stop {
    TooLarge,
    NoMemory,
    Broken(String),
}

/// A body together with its share of the router's memory bound. Dropping the last part of the body gives the share
/// back.
pub(in crate::listener) struct Counted {
    bytes: BytesMut,
    held: Held,
}

impl Counted {
    /// A body of which these bytes are there.
    pub(in crate::listener) fn new(first: &[u8], capacity: usize, memory: &Arc<Memory>) -> Self {
        let mut bytes = BytesMut::with_capacity(capacity.max(first.len()));
        bytes.extend_from_slice(first);
        let held = memory.hold(bytes.capacity() as u64);
        Self { bytes, held }
    }

    /// The buffer, to which bytes may be added.
    pub(in crate::listener) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// Counts the bytes that were added.
    pub(in crate::listener) fn count(&mut self) {
        self.held.set(self.bytes.capacity() as u64);
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Counted> for Bytes {
    fn from(counted: Counted) -> Self {
        Self::from_owner(counted)
    }
}

impl Source for Body {
    fn announced(&self) -> u64 {
        http_body::Body::size_hint(self).lower()
    }

    async fn gather(&mut self, limit: u64, memory: &Arc<Memory>) -> Result<Bytes, Stop> {
        let mut first = Bytes::new();
        let mut rest: Option<Counted> = None;
        while let Some(frame) = self.frame().await {
            let Ok(data) = frame.map_err(|error| Stop::Broken(error.to_string()))?.into_data() else { continue };
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
            let rest = rest.get_or_insert_with(|| Counted::new(&first, first.len() + data.len(), memory));
            rest.bytes.extend_from_slice(&data);
            rest.count();
        }
        Ok(rest.map_or(first, Bytes::from))
    }

    async fn discard(&mut self, most: u64) {
        let mut left = most;
        while left > 0 {
            let Some(Ok(frame)) = self.frame().await else { return };
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
    }
}

/// Reads the body into a record. The error names the field.
pub(in crate::listener) fn parse<T: DeserializeOwned>(family: Family, body: &[u8]) -> Result<T, Failed> {
    from_json("body", body).map_err(|error| Failed::new(family, error))
}
