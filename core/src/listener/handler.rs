//! The routes without a socket, for hosts that have a server of their own.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::auth::Auth;
use super::door::Door;
use super::machine::Machine;
use super::peer::Connection;
use super::state::AppState;
use super::stop::Stop;
use super::traffic::Traffic;
use super::trials::Trials;
use crate::config::ListenConfig;
use crate::{Error, Router};

/// Answers requests as a [`Listener`](super::Listener) would, for programs that have a server of their own. Cheap to
/// clone.
///
/// It is a [`Service`], which an axum program nests under a path of its choice. The service learns the peer of a
/// request from axum's [`ConnectInfo<SocketAddr>`](ConnectInfo), as `into_make_service_with_connect_info` leaves it; a
/// request without it counts as one from another machine, for which the development token is not valid.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::SocketAddr;
/// use cortensor_router::{Config, Router, listener::Handler};
///
/// let router = Router::open(Config::default().echo(true)).await?;
/// let handler = Handler::new(router.clone(), router.config().listen.clone())?;
/// // http://127.0.0.1:3000/ai/v1 is the base URL for OpenAI's clients.
/// let app: axum::Router = axum::Router::new().nest_service("/ai", handler);
/// let app = app.into_make_service_with_connect_info::<SocketAddr>();
/// // axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
/// # drop(app);
/// # router.close().await;
/// # Ok(())
/// # }
/// ```
///
/// A program without axum passes each request and its peer by hand:
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cortensor_router::listener::{Body, Handler};
/// use cortensor_router::{Config, Router};
///
/// let router = Router::open(Config::default()).await?;
/// let handler = Handler::new(router.clone(), router.config().listen.clone())?;
/// let request = http::Request::get("/healthz").body(Body::empty())?;
/// let response = handler.handle(request, "127.0.0.1:4711".parse()?).await;
/// assert_eq!(response.status(), 200);
/// # router.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Handler {
    door: Arc<Door>,
}

/// The peer of a request for which the host gave none: an address that is not on loopback.
const UNKNOWN_PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

impl Handler {
    /// The routes of that router, with the tokens and limits of `config`; its address and port are not used.
    ///
    /// # Errors
    /// `InvalidArgument` when a token of the configuration has no value.
    pub fn new(router: Router, config: ListenConfig) -> Result<Self, Error> {
        Ok(Self { door: Door::new(router, config, None)? })
    }

    /// Answers one request of the sender `peer`. Dropping the future or the answer's body means that the client hung
    /// up.
    pub async fn handle(&self, request: http::Request<Body>, peer: SocketAddr) -> http::Response<Body> {
        match self.door.gate().handle(request, &Connection::plain(peer)).await {
            Ok(response) => response,
            Err(never) => absurd(never),
        }
    }
}

impl<B> Service<http::Request<B>> for Handler
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let request = request.map(Body::new);
        let peer =
            request.extensions().get::<ConnectInfo<SocketAddr>>().map_or(UNKNOWN_PEER, |ConnectInfo(peer)| *peer);
        let gate = self.door.gate();
        Box::pin(async move { gate.handle(request, &Connection::plain(peer)).await })
    }
}

fn absurd(never: Infallible) -> ! {
    match never {}
}

/// Makes the state that all requests of one listener or handler share.
pub(super) fn state(router: Router, config: ListenConfig, auth: Auth) -> AppState {
    let traffic = Arc::new(Traffic::new(router.metrics()));
    let handshakes = Arc::new(Semaphore::new(router.config().miners.max_handshakes));
    let trials = Arc::new(Trials::new(&router, &config));
    AppState {
        router,
        #[cfg(feature = "mcp")]
        mcp: Arc::new(super::mcp::Sessions::new(&config)),
        config: Arc::new(config),
        auth: Arc::new(auth),
        machine: Arc::new(Machine::new()),
        traffic,
        trials,
        stop: Stop::default(),
        general: false,
        handshakes,
    }
}
