//! The idle connections to one upstream, and the way to new ones.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::dial::Dial;
use super::endpoint::Endpoint;
use super::head::{Garbage, Head};
use super::link::{Link, NoAnswer};
use super::receiver::Bounds;
use super::request::Outgoing;
use crate::Result;
use crate::config::UpstreamConfig;
use crate::miner::home;

/// The time within which a connection that was closed while idle fails a new request. A connection that ends later
/// ended because of the request, which must then not be sent again.
const STALE: Duration = Duration::from_secs(1);

/// The number of shelves for idle connections, enough that two threads seldom share one.
const SHELVES: usize = 16;

/// The reason why no answer came.
#[derive(Debug)]
pub(super) enum SendError {
    /// The upstream could not be reached, or hung up before it answered.
    Unreachable(String),
    /// The answer is not HTTP.
    Garbage(String),
}

/// The idle connections to one upstream, and the connector for new ones.
pub(super) struct Pool {
    endpoint: Endpoint,
    connector: Dial,
    connect_timeout: Duration,
    /// A home keeps its connections on the shelf that its number decides.
    idle: [Shelf; SHELVES],
    max_idle: usize,
    /// The time after which an idle connection is closed.
    idle_timeout: Duration,
    bounds: Bounds,
}

/// Idle connections, the newest last. Each shelf has a line of the processor's cache for itself.
#[derive(Default)]
#[repr(align(64))]
struct Shelf(Mutex<Links>);

#[allow(clippy::vec_box, reason = "a connection comes and goes with each request, and its address alone is moved")]
type Links = Vec<Box<Link>>;

impl Pool {
    pub(super) fn new(config: &UpstreamConfig, endpoint: Endpoint, connector: Dial) -> Self {
        Self {
            endpoint,
            connector,
            connect_timeout: Duration::from_millis(config.connect_timeout_ms),
            idle: Default::default(),
            max_idle: config.max_concurrency as usize,
            idle_timeout: Duration::from_millis(config.idle_timeout_ms),
            bounds: Bounds {
                lines: config.max_answer_headers as usize,
                bytes: usize::try_from(config.max_answer_head_bytes).unwrap_or(usize::MAX),
            },
        }
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
        mut request: Outgoing,
        again: &(dyn Fn() -> bool + Sync),
    ) -> Result<(Box<Link>, Head), SendError> {
        if let Some(mut link) = self.take().await {
            let sent = Instant::now();
            match link.ask(request).await {
                Ok(head) => return Ok((link, head)),
                Err(error) => {
                    let hung_up = matches!(error, NoAnswer::HungUp(_)) && sent.elapsed() < STALE;
                    let (same, may_be_read) = link.into_request();
                    if may_be_read && !(hung_up && again()) {
                        return Err(error.into());
                    }
                    request = same;
                }
            }
        }
        let mut link = self.dial().await?;
        let head = link.ask(request).await?;
        Ok((link, head))
    }

    /// Keeps a connection for the next request, if it may be used again.
    pub(super) fn put(&self, mut link: Box<Link>) {
        if !link.is_done() {
            return;
        }
        link.idle_since = Instant::now();
        let mut idle = self.shelf(link.home).lock();
        if idle.len() < self.max_idle {
            idle.push(link);
        }
    }

    /// Drops connections that were idle for too long, or that the upstream has closed.
    pub(super) fn prune(&self) {
        let mut cx = Context::from_waker(Waker::noop());
        for Shelf(links) in &self.idle {
            let mut idle = links.lock();
            let is_old =
                |link: &mut Box<Link>| link.idle_since.elapsed() >= self.idle_timeout || !link.is_quiet(&mut cx);
            let closed: Links = idle.extract_if(.., is_old).collect();
            drop(idle);
            drop(closed);
        }
    }

    /// The number of idle connections.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.idle.iter().map(|Shelf(links)| links.lock().len()).sum()
    }

    fn shelf(&self, home: usize) -> &Mutex<Links> {
        &self.idle[home % SHELVES].0
    }

    async fn take(&self) -> Option<Box<Link>> {
        let home = home::number();
        loop {
            let mut link = {
                let mut idle = self.shelf(home).lock();
                let newest = idle.iter().rposition(|link| link.home == home)?;
                idle.remove(newest)
            };
            if poll_fn(|cx| Poll::Ready(link.is_quiet(cx))).await {
                return Some(link);
            }
        }
    }

    async fn dial(&self) -> Result<Box<Link>, SendError> {
        let dialled = self.connector.connect(&self.endpoint.origin);
        match tokio::time::timeout(self.connect_timeout, dialled).await {
            Ok(Ok(stream)) => Ok(Box::new(Link::new(stream, self.bounds))),
            Ok(Err(e)) => Err(SendError::Unreachable(format!("cannot connect: {e}"))),
            Err(_) => {
                let millis = self.connect_timeout.as_millis();
                Err(SendError::Unreachable(format!("cannot connect within connect_timeout_ms = {millis}")))
            }
        }
    }
}

impl From<NoAnswer> for SendError {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::HungUp(why) => Self::Unreachable(format!("it hung up before it answered: {why}")),
            NoAnswer::Garbage(Garbage(why)) => Self::Garbage(why.into_owned()),
        }
    }
}
