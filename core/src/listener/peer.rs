//! The connection that a request came on, as the checks of a request see it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::closing::Closing;
use super::recall::Recall;

/// The connection that a request came on.
#[derive(Clone)]
pub(in crate::listener) struct Connection {
    /// The address of the other end.
    pub(in crate::listener) peer: SocketAddr,
    /// The keying material of a TLS connection (RFC 9266); `None` for a plain connection.
    pub(in crate::listener) channel: Option<[u8; 32]>,
    /// Whether the other end showed a certificate that `listen.tls.client_ca` signed.
    pub(in crate::listener) certified: bool,
    /// Whether the connection came in by the port for miners alone.
    pub(in crate::listener) miners_only: bool,
    /// Whether the connection must end now.
    pub(in crate::listener) closing: Closing,
    /// The memory of the connection's callers; `None`: every request stands alone.
    pub(in crate::listener) recall: Option<Arc<Recall>>,
}

impl Connection {
    /// A plain connection from that peer.
    pub(in crate::listener) fn plain(peer: SocketAddr) -> Self {
        Self { peer, channel: None, certified: false, miners_only: false, closing: Closing::default(), recall: None }
    }
}
