//! Connections to one upstream.
//!
//! A connection has no task of its own: the job that uses it drives it ([`Link`]). That saves two
//! switches of task for every frame, and it makes hanging up simple: a job that is dropped takes its
//! connection with it, so the upstream sees the end at once, before or after the headers.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tower_service::Service;

use super::endpoint::Endpoint;
use crate::Result;
use crate::config::{UpstreamConfig, client_tls};
use crate::miner::home;

/// A connection that was closed while it was idle shows it within this time. A connection that ends later ended
/// because of the request, which is then not sent again.
const STALE: Duration = Duration::from_secs(1);

/// The reason why no answer came.
#[derive(Debug)]
pub(super) enum SendError {
    /// It could not be reached, or hung up before it answered.
    Unreachable(String),
    /// The answer is not HTTP.
    Garbage(String),
}

/// A request that can be sent again if it was not read.
pub(super) type MakeRequest<'a> = &'a (dyn Fn(&Endpoint) -> Request<Full<Bytes>> + Sync);

/// One connection, driven by its present user.
pub(super) struct Link {
    sender: http1::SendRequest<Full<Bytes>>,
    /// The connection; `None` once it is over.
    connection: Option<http1::Connection<MaybeHttpsStream<TokioIo<TcpStream>>, Full<Bytes>>>,
    /// The home that made it.
    home: usize,
    idle_since: Instant,
}

impl Link {
    /// Runs the connection until the future, which waits for it, is ready.
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
            // Dropping it fails everything that still waits for it.
            self.connection = None;
        }
    }

    /// The next frame of a body that came over this connection.
    pub(super) async fn frame(&mut self, body: &mut Incoming) -> Option<hyper::Result<Frame<Bytes>>> {
        self.drive(poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx))).await
    }

    /// Whether another request can go over it.
    fn is_usable(&mut self, cx: &mut Context<'_>) -> bool {
        self.poll_connection(cx);
        self.connection.is_some() && self.sender.is_ready()
    }
}

/// The idle connections to one upstream, and the means to make more.
pub(super) struct Pool {
    endpoint: Endpoint,
    connector: HttpsConnector<HttpConnector>,
    connect_timeout: Duration,
    idle: Mutex<Idle>,
    max_idle: usize,
    /// The time that a connection may lie idle before it is closed.
    idle_timeout: Duration,
    /// The most lines in the head of an answer.
    max_headers: usize,
}

/// Idle connections by the [`home`] they were made at, whose runtime drives them.
///
/// [`home`]: crate::miner::home
type Idle = BTreeMap<usize, Vec<Box<Link>>>;

impl Pool {
    pub(super) fn new(config: &UpstreamConfig, endpoint: Endpoint) -> Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let idle_timeout = Duration::from_millis(config.idle_timeout_ms);
        http.set_keepalive(Some(idle_timeout.max(Duration::from_secs(1))));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_tls(config.ca_file.as_deref(), "upstream.ca_file")?.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self {
            endpoint,
            connector,
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            idle: Mutex::default(),
            max_idle: config.max_concurrency as usize,
            idle_timeout,
            max_headers: config.max_answer_headers as usize,
        })
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a request and waits for the head of its answer. Dropping the future hangs up.
    /// A connection that was idle may just have been closed by the other side. A request that meets this is sent
    /// again, once, over a new connection: at once if it was surely not read, and otherwise if `again` allows it,
    /// because a server that crashed over the request looks just like that.
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

    /// Keeps a connection whose answer was read to its end for the next request.
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

    /// Closes connections that were idle for too long or were closed by the other side.
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
        let dialled = self.connector.clone().call(self.endpoint.origin.clone());
        let stream = match tokio::time::timeout(self.connect_timeout, dialled).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(e)) => return Err(SendError::Unreachable(format!("cannot connect: {}", chain(e.as_ref())))),
            Err(_) => {
                let millis = self.connect_timeout.as_millis();
                return Err(SendError::Unreachable(format!("cannot connect within connect_timeout_ms = {millis}")));
            }
        };
        // One buffer holds a request, and writev is not used: std's `write` to a closed socket raises no SIGPIPE.
        // `writev` would, and kill a host in C that leaves the signal alone.
        let (sender, connection) = http1::Builder::new()
            .writev(false)
            .max_headers(self.max_headers)
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

/// The coding of an answer's body, if it has one although none was asked for (`Accept-Encoding: identity`).
pub(super) fn coding_of(headers: &http::HeaderMap) -> Option<String> {
    let coding = headers.get(http::header::CONTENT_ENCODING)?.as_bytes();
    let coding = String::from_utf8_lossy(coding).trim().to_ascii_lowercase();
    // `utf-8` is a charset in the wrong place, which old servers send.
    (!matches!(coding.as_str(), "" | "identity" | "none" | "utf-8")).then_some(coding)
}

/// An error together with its causes, which hyper keeps apart.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
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
