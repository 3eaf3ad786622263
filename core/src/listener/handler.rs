//! The routes without a socket, for hosts that have a server of their own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use tokio::sync::Semaphore;

use super::auth::Auth;
use super::gate::{Connection, Gate};
use super::machine::Machine;
use super::state::AppState;
use super::traffic::Traffic;
use crate::config::ListenConfig;
use crate::{Result, Router};

/// Answers requests as a [`Listener`](super::Listener) would, for programs that have a server of their own. Cheap to clone.
///
/// ```
/// use cortensor_router::{Config, Router, listener::Handler};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cortensor_router::Result<()> {
/// let router = Router::open(Config { echo: true, ..Config::default() }).await?;
/// let handler = Handler::new(router.clone(), router.config().listen.clone())?;
/// let request = http::Request::get("/healthz").body(Default::default()).unwrap();
/// let answer = handler.handle(request, ([127, 0, 0, 1], 40_000).into()).await;
/// assert_eq!(answer.status(), 200);
/// router.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Handler {
    gate: Gate,
}

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
    pub fn new(router: Router, config: ListenConfig) -> Result<Self> {
        let auth = Auth::new(&router, &config)?;
        Ok(Self { gate: Gate::new(state(router, config, auth)) })
    }

    /// Answers one request of the sender `peer`. Dropping the future or the answer's body means that the client hung up.
    pub async fn handle(&self, request: http::Request<Body>, peer: SocketAddr) -> http::Response<Body> {
        match self.gate.handle(request, &Connection::plain(peer)).await {
            Ok(response) => response,
            Err(never) => absurd(never),
        }
    }
}

fn absurd(never: Infallible) -> ! {
    match never {}
}

/// What all requests of one listener or handler share.
pub(super) fn state(router: Router, config: ListenConfig, auth: Auth) -> AppState {
    let traffic = Arc::new(Traffic::new(router.metrics()));
    let handshakes = Arc::new(Semaphore::new(router.config().miners.max_handshakes));
    AppState {
        router,
        config: Arc::new(config),
        auth: Arc::new(auth),
        machine: Arc::new(Machine::new()),
        traffic,
        handshakes,
    }
}
