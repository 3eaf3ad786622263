//! Accepts connections, within bounds, until the listener is told to stop.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::auth::Auth;
use super::closing::Closing;
use super::connection::accept;
use super::door::Door;
use super::heads::Heads;
use super::peer::Connection;
use super::state::AppState;
use super::tls::Certificates;
use super::workers::Workers;
use crate::config::ListenConfig;
use crate::damper::Damper;
use crate::token::Token;
use crate::{Error, ErrorKind, Result, Router};

/// A bound listener. [`run`](Self::run) serves until its shutdown future is ready.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    /// The socket of the port for miners alone, if there is one.
    miners: Option<(TcpListener, SocketAddr)>,
    door: Arc<Door>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Listener {
    /// Binds the address of `config` for that router.
    ///
    /// # Errors
    /// `InvalidArgument` when other machines could connect and no token is configured, when a token has no
    /// value, or when the files of `listen.tls` cannot be used; `Conflict` when the address is in use.
    pub async fn bind(router: Router, config: ListenConfig) -> Result<Self> {
        Auth::check(&router, &config)?;
        let files = config.tls.clone();
        let certificates = tokio::task::spawn_blocking(move || Certificates::read(&files))
            .await
            .map_err(|e| Error::internal(format!("reading the certificates panicked: {e}")))??;
        let socket = bind(&config, config.port, "listen.port")?;
        let address = socket.local_addr().map_err(Error::internal)?;
        let miners = match router.config().miners.port {
            Some(port) if router.config().miners.enabled => {
                let socket = bind(&config, port.get(), "miners.port")?;
                let address = socket.local_addr().map_err(Error::internal)?;
                Some((socket, address))
            }
            _ => None,
        };
        let door = Door::new(router, config, certificates)?;
        Ok(Self { socket, address, miners, door })
    }

    /// The address on which the listener accepts connections.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL at which clients on this machine reach the listener.
    pub fn url(&self) -> String {
        self.door.gate().state().config.url_at(self.address)
    }

    /// The address on which miners alone may dial in, if `miners.port` is set.
    pub fn miner_addr(&self) -> Option<SocketAddr> {
        self.miners.as_ref().map(|(_, address)| *address)
    }

    /// The listener's certificates, if it uses TLS.
    pub fn certificates(&self) -> Option<Certificates> {
        self.door.certificates().cloned()
    }

    /// Lets hyper serve the busy routes too. Tests compare its answers with those of the native path.
    #[doc(hidden)]
    #[must_use]
    pub fn without_native_path(self) -> Self {
        self.door.change(|state| AppState { general: true, ..state });
        self
    }

    /// Accepts one more token with the scope `admin`, beside keys and configured tokens. The host program uses it for
    /// its own commands. Only the first call has an effect.
    pub fn accept_admin(&self, token: &Token) {
        self.door.gate().state().auth.accept_admin(token);
    }

    /// Whether programs on this machine may use `default-dev-token` now.
    pub fn accepts_dev_token(&self) -> bool {
        self.door.gate().state().auth.accepts_dev()
    }

    /// Describes every open surface and how it is protected, one line each.
    pub fn posture(&self) -> Vec<String> {
        let gate = self.door.gate();
        let config = &gate.state().config;
        let reach = if config.host.is_loopback() { "this machine only" } else { "every machine that can reach it" };
        let auth = &gate.state().auth;
        let tokens = match (auth.has_tokens(), auth.accepts_dev()) {
            _ if auth.accepts_anonymous() => {
                "tokens and keys; from this machine also without a token (listen.anonymous)"
            }
            (true, true) => "tokens and keys; default-dev-token from this machine",
            (true, false) => "tokens and keys",
            (false, true) => "default-dev-token, from this machine only",
            (false, false) => "nobody: no token is configured, create one with `cortensor-router key create`",
        };
        let word = |open: bool| if open { "without a token" } else { "with a token" };
        let cors = if config.cors.origins.is_empty() { "off".to_owned() } else { config.cors.origins.join(", ") };
        let console = if config.console { ", the console's files" } else { "" };
        vec![
            format!(
                "listens on {} ({reach}), {}",
                self.address,
                if config.tls.is_on() { "HTTPS" } else { "plain HTTP" }
            ),
            format!("/api and /v1: {tokens}"),
            format!(
                "/metrics: {}; /openapi.json: {}; /api/v1/status: {}",
                word(config.public_metrics),
                word(config.public_openapi),
                word(config.public_status)
            ),
            format!(
                "/healthz, /readyz, /health, /api/v1/ping, /api/v1/about, /.well-known/agent.json{console}: without a token; cross-origin requests: {cors}"
            ),
            self.miner_posture(),
            self.trial_posture(),
        ]
    }

    fn trial_posture(&self) -> String {
        let gate = self.door.gate();
        let trial = &gate.state().config.trial;
        if !trial.enabled {
            return "/api/v1/trial: off".to_owned();
        }
        format!(
            "/api/v1/trial: WITHOUT A TOKEN, {} requests of each address in {} seconds, in session {}",
            trial.requests, trial.window_secs, trial.session
        )
    }

    fn miner_posture(&self) -> String {
        let gate = self.door.gate();
        let state = gate.state();
        let (router, tls) = (state.router.config(), &state.config.tls);
        let miners = &router.miners;
        if !miners.enabled {
            return "/miner/v1: off".to_owned();
        }
        let reach = match (tls.is_on(), state.config.host.is_loopback(), miners.insecure) {
            (true, ..) if tls.client_ca.is_some() => "over TLS, with a certificate of listen.tls.client_ca",
            (true, ..) => "over TLS",
            (false, true, _) => "from this machine",
            (false, false, false) => "from this machine only: other machines need listen.tls",
            (false, false, true) => "IN THE CLEAR from every machine (miners.insecure)",
        };
        let port = self.miner_addr().map(|address| format!(", also on {address}")).unwrap_or_default();
        format!("/miner/v1: miners with a token of the scope miner or an enrolled key, {reach}{port}")
    }

    /// Serves until `shutdown` is ready. Then takes no new connections and lets running requests end, for at most
    /// `listen.drain_timeout_ms`. Requests that still run after that are answered with 503 `closed`; a stream gets that
    /// error as its last event. Miners that dialled in here get no new tasks meanwhile, finish those that they have,
    /// and are told to go.
    ///
    /// # Errors
    /// When the socket itself breaks.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let Self { socket, miners, door, .. } = self;
        let miners = miners.map(|(socket, _)| socket);
        let certificates = door.certificates().cloned();
        let state = door.gate().state().clone();
        let connections = Arc::new(Semaphore::new(state.config.max_connections));
        let peers = Arc::new(Peers::default());
        let heads = Heads::new(state.config.max_header_bytes, state.config.max_heads_bytes);
        let stop = state.stop.clone();
        let workers = Workers::start(state.config.threads.map_or(0, usize::from))?;
        let mut refusals = Damper::default();
        tokio::pin!(shutdown);
        loop {
            let permit = tokio::select! {
                () = &mut shutdown => break,
                permit = connections.clone().acquire_owned() => permit,
            };
            let Ok(permit) = permit else { break };
            let accepted = async {
                match &miners {
                    None => (socket.accept().await, false),
                    Some(miners) => tokio::select! {
                        accepted = socket.accept() => (accepted, false),
                        accepted = miners.accept() => (accepted, true),
                    },
                }
            };
            let (stream, peer, miners_only) = tokio::select! {
                () = &mut shutdown => break,
                (accepted, miners_only) = accepted => match accepted {
                    Ok((stream, peer)) => (stream, peer, miners_only),
                    Err(error) => {
                        // The process is out of file descriptors, or the connection was gone before it was accepted:
                        // wait a moment and go on.
                        if let Some(left_out) = refusals.pass(Instant::now()) {
                            tracing::warn!(%error, left_out, "a connection could not be accepted");
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                },
            };
            let config = door.config();
            let Some(place) = peers.clone().enter(peer.ip(), config.max_connections_per_peer) else { continue };
            let (door, stop, heads) = (door.clone(), stop.clone(), heads.clone());
            let closing = Closing::of_connection();
            let on = Connection { miners_only, closing, recall: Some(Arc::default()), ..Connection::plain(peer) };
            let certificates = certificates.clone();
            let token = stop.open.token();
            workers.serve(stream, move |stream| async move {
                accept(stream, on, certificates, &door, (&config, &heads), &stop).await;
                drop((permit, place, token));
            });
        }
        drop((socket, miners));
        let config = door.config();
        stop.end_all(&config).await;
        Ok(())
    }
}

fn bind(config: &ListenConfig, port: u16, setting: &str) -> Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let address = SocketAddr::new(config.host, port);
    let open = || -> std::io::Result<TcpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for connections of the last process. On Windows the flag has another meaning.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(config.backlog).unwrap_or(i32::MAX))?;
        TcpListener::from_std(socket.into())
    };
    open().map_err(|error| {
        let kind =
            if error.kind() == std::io::ErrorKind::AddrInUse { ErrorKind::Conflict } else { ErrorKind::Unavailable };
        Error::new(
            kind,
            format!("cannot listen on {address}: {error}; choose another address or port (listen.host, {setting})"),
        )
        .with_param(setting)
    })
}

/// Counts connections by peer.
#[derive(Default)]
struct Peers(Mutex<HashMap<IpAddr, usize>>);

/// The place of one connection in its peer's count, given back on drop. Peers on loopback are not counted.
struct Place(Option<(Arc<Peers>, IpAddr)>);

impl Peers {
    fn enter(self: Arc<Self>, peer: IpAddr, most: usize) -> Option<Place> {
        if peer.is_loopback() {
            return Some(Place(None));
        }
        {
            let mut peers = self.0.lock();
            let count = peers.entry(peer).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        Some(Place(Some((self, peer))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((peers, peer)) = &self.0 else { return };
        let mut peers = peers.0.lock();
        if let Some(count) = peers.get_mut(peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(peer);
            }
        }
    }
}
