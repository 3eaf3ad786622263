//! The connection that a request came on, as the checks of a request see it.

use std::net::SocketAddr;

use super::closing::Closing;

/// The connection that a request came on.
#[derive(Debug, Clone)]
pub(in crate::listener) struct Connection {
    /// The address of the other end.
    pub(in crate::listener) peer: SocketAddr,
    /// The keying material of a TLS connection (RFC 9266); `None`: it is plain.
    pub(in crate::listener) channel: Option<[u8; 32]>,
    /// Whether the other end showed a certificate of `listen.tls.client_ca`.
    pub(in crate::listener) certified: bool,
    /// Whether it came in by the port for miners alone.
    pub(in crate::listener) miners_only: bool,
    /// Whether it must end now.
    pub(in crate::listener) closing: Closing,
}

impl Connection {
    /// A plain connection of that peer.
    pub(in crate::listener) fn plain(peer: SocketAddr) -> Self {
        Self { peer, channel: None, certified: false, miners_only: false, closing: Closing::default() }
    }
}
