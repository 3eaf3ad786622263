//! Connections to one upstream.
//!
//! A connection has no task of its own: the job that uses it drives it ([`Link`]). This saves two task switches for
//! every frame. It also makes cancellation simple: dropping a job drops its connection, so the upstream sees the end at
//! once, before or after the headers.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::dial::{Dial, Stream};
use super::endpoint::Endpoint;
use crate::Result;
use crate::config::UpstreamConfig;
use crate::miner::home;
use crate::miner::network::Network;

/// The time within which a connection that was closed while idle fails a new request. A connection that ends later
/// ended because of the request, which must then not be sent again.
const STALE: Duration = Duration::from_secs(1);

/// The reason why no answer came.
#[derive(Debug)]
pub(super) enum SendError {
    /// The upstream could not be reached, or hung up before it answered.
    Unreachable(String),
    /// The answer is not HTTP.
    Garbage(String),
}

/// Makes a request. It is called twice if the request is sent again.
pub(super) type MakeRequest<'a> = &'a (dyn Fn(&Endpoint) -> Request<Full<Bytes>> + Sync);

/// One connection, which is driven by the job that uses it.
pub(super) struct Link {
    sender: http1::SendRequest<Full<Bytes>>,
    /// The connection; `None` after it has ended.
    connection: Option<http1::Connection<Stream, Full<Bytes>>>,
    /// The number of the home that made the connection.
    home: usize,
    idle_since: Instant,
}

impl Link {
    /// Drives the connection until a future that depends on it is ready.
    async fn drive<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(out) = future.as_mut().poll(cx) {
                return Poll::Ready(out);
            }
            self.poll_connection(cx);
            future.as_mut().poll(cx)
        })
        .await
    }

    fn poll_connection(&mut self, cx: &mut Context<'_>) {
        let Some(connection) = &mut self.connection else { return };
        if let Poll::Ready(end) = Pin::new(connection).poll(cx) {
            if let Err(e) = end {
                tracing::trace!(error = %e, "an upstream's connection broke");
            }
            // Dropping the connection fails all futures that depend on it.
            self.connection = None;
        }
    }

    /// The next frame of a response body of this connection.
    pub(super) async fn frame(&mut self, body: &mut Incoming) -> Option<hyper::Result<Frame<Bytes>>> {
        self.drive(poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx))).await
    }

    /// Whether the connection can take another request.
    fn is_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.poll_connection(cx);
        self.connection.is_some() && self.sender.is_ready()
    }
}

/// The idle connections to one upstream, and the connector for new ones.
pub(super) struct Pool {
    endpoint: Endpoint,
    connector: Dial,
    connect_timeout: Duration,
    idle: Mutex<Idle>,
    max_idle: usize,
    /// The time after which an idle connection is closed.
    idle_timeout: Duration,
    /// The maximum number of header lines of an answer.
    max_headers: usize,
}

/// Idle connections by the number of the [`home`] that made them. Only that home's runtime can drive them.
///
/// [`home`]: crate::miner::home
type Idle = BTreeMap<usize, Vec<Box<Link>>>;

impl Pool {
    pub(super) fn new(config: &UpstreamConfig, endpoint: Endpoint, network: Option<Arc<dyn Network>>) -> Result<Self> {
        Ok(Self {
            endpoint,
            connector: Dial::new(config, network)?,
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            idle: Mutex::default(),
            max_idle: config.max_concurrency as usize,
            idle_timeout: Duration::from_millis(config.idle_timeout_ms),
            max_headers: config.max_answer_headers as usize,
        })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request and waits for the head of its answer. Dropping the future closes the connection.
    ///
    /// The upstream may have just closed a connection that was idle. If so, the request is sent again, once, over a new
    /// connection. This needs the consent of `again`, unless the upstream has certainly not read the request: a server
    /// that crashed because of the request looks the same.
    pub(super) async fn send(
        &self,
        make: MakeRequest<'_>,
        again: &(dyn Fn() -> bool + Sync),
    ) -> Result<(Box<Link>, Response<Incoming>), SendError> {
        if let Some(mut link) = self.take().await {
            let sent = Instant::now();
            let answer = link.sender.try_send_request(make(&self.endpoint));
            match link.drive(answer).await {
                Ok(response) => return Ok((link, response)),
                Err(e) => {
                    let hung_up = !e.error().is_parse() && sent.elapsed() < STALE;
                    if e.message().is_none() && !(hung_up && again()) {
                        return Err(SendError::of(e.error()));
                    }
                }
            }
        }
        let mut link = self.dial().await?;
        let answer = link.sender.try_send_request(make(&self.endpoint));
        match link.drive(answer).await {
            Ok(response) => Ok((link, response)),
            Err(e) => Err(SendError::of(e.error())),
        }
    }

    /// Keeps a connection for the next request. Its last answer must have been read to the end.
    pub(super) async fn put(&self, mut link: Box<Link>) {
        if !poll_fn(|cx| Poll::Ready(link.is_usable(cx))).await {
            return;
        }
        link.idle_since = Instant::now();
        let mut idle = self.idle.lock();
        let idle = idle.entry(link.home).or_default();
        if idle.len() < self.max_idle {
            idle.push(link);
        }
    }

    /// Drops connections that were idle for too long, or that the upstream has closed.
    pub(super) fn prune(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        let closed: Vec<Box<Link>> =
            {
                let mut idle = self.idle.lock();
                let mut closed = Vec::new();
                idle.retain(|_, links| {
                    closed.extend(links.extract_if(.., |link| {
                        link.idle_since.elapsed() >= self.idle_timeout || !link.is_usable(&mut cx)
                    }));
                    !links.is_empty()
                });
                closed
            };
        drop(closed);
    }

    /// The number of idle connections.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.idle.lock().values().map(Vec::len).sum()
    }

    async fn take(&self) -> Option<Box<Link>> {
        loop {
            let mut link = self.idle.lock().get_mut(&home::number())?.pop()?;
            if poll_fn(|cx| Poll::Ready(link.is_usable(cx))).await {
                return Some(link);
            }
        }
    }

    async fn dial(&self) -> Result<Box<Link>, SendError> {
        let dialled = self.connector.connect(&self.endpoint.origin);
        let stream = match tokio::time::timeout(self.connect_timeout, dialled).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) => return Err(SendError::Unreachable(format!("cannot connect: {e}"))),
            Err(_) => {
                let millis = self.connect_timeout.as_millis();
                return Err(SendError::Unreachable(format!("cannot connect within connect_timeout_ms = {millis}")));
            }
        };
        // `writev` is off: on a closed socket it would raise SIGPIPE, which kills a host in C that does not ignore the
        // signal. The standard library's `write` raises none.
        let (sender, connection) = http1::Builder::new()
            .writev(false)
            .max_headers(self.max_headers)
            // A client reads these (RFC 9112, sections 5.1 and 5.2), and no line that only passes ends an answer.
            .allow_obsolete_multiline_headers_in_responses(true)
            .allow_spaces_after_header_name_in_responses(true)
            .ignore_invalid_headers_in_responses(true)
            .handshake(stream)
            .await
            .map_err(|e| SendError::Unreachable(chain(&e)))?;
        let home = home::number();
        Ok(Box::new(Link { sender, connection: Some(connection), home, idle_since: Instant::now() }))
    }
}

impl SendError {
    fn of(error: &hyper::Error) -> Self {
        if error.is_parse() {
            Self::Garbage(format!("its answer is not HTTP: {}", chain(error)))
        } else {
            Self::Unreachable(format!("it hung up before it answered: {}", chain(error)))
        }
    }
}

/// The content coding of an answer, such as `gzip`. Requests ask for none (`Accept-Encoding: identity`), but some
/// servers ignore that.
pub(super) fn coding_of(headers: &http::HeaderMap) -> Option<String> {
    let coding = headers.get(http::header::CONTENT_ENCODING)?.as_bytes();
    let coding = String::from_utf8_lossy(coding).trim().to_ascii_lowercase();
    // Some old servers send the charset `utf-8` in this header.
    (!matches!(coding.as_str(), "" | "identity" | "none" | "utf-8")).then_some(coding)
}

/// The message of an error and of all its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
