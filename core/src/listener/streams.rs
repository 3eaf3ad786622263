//! The listener without a socket of its own: it serves connections that are given to it. Tests on simulated networks use
//! it; everything behind the socket is the code that [`Listener`](super::Listener) runs.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::closing::Closing;
use super::connection::begin;
use super::door::Door;
use super::heads::Heads;
use super::peer::Connection;
use super::stop::Stop;
use super::tls::Certificates;
use super::wire::Socket;
use crate::config::ListenConfig;
use crate::{Result, Router};

/// Serves connections of any kind, with TLS if the configuration has a certificate. Cheap to clone.
#[derive(Clone)]
pub struct Streams {
    door: Arc<Door>,
    heads: Arc<Heads>,
    stop: Stop,
}

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").finish_non_exhaustive()
    }
}

impl Streams {
    /// The routes of that router, with the tokens and limits of `config`; its address and port are not used.
    ///
    /// # Errors
    /// `InvalidArgument` when a token of the configuration has no value, or a file of its TLS cannot be used.
    pub fn new(router: Router, config: ListenConfig) -> Result<Self> {
        let certificates = Certificates::read(&config.tls)?;
        let heads = Heads::new(config.max_header_bytes, config.max_heads_bytes);
        let door = Door::new(router, config, certificates)?;
        let stop = door.gate().state().stop.clone();
        Ok(Self { door, heads, stop })
    }

    /// Serves one connection to its end.
    pub async fn serve<S>(&self, stream: S, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let token = self.stop.open.token();
        let closing = Closing::of_connection();
        let on = Connection { closing, recall: Some(Arc::default()), ..Connection::plain(peer) };
        let config = self.door.config();
        let certificates = self.door.certificates().cloned();
        begin(Box::new(stream), on, certificates, &self.door, (&config, &self.heads), &self.stop).await;
        drop(token);
    }

    /// Ends all connections, as a listener does that was told to stop.
    pub async fn end_all(&self) {
        let config = self.door.config();
        self.stop.end_all(&config).await;
    }
}

/// A stream of the caller. Its reads and writes alone tell whether the other end has gone.
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket for Box<S> {
    fn has_failed(&self) -> bool {
        false
    }
}
