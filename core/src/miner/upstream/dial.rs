//! Dials an upstream: on the network of the operating system, or on the one that a test gives.

use std::io;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tower_service::Service as _;

use super::chain::chain;
use crate::Result;
use crate::config::{UpstreamConfig, client_tls};
use crate::miner::network::{Network, Transport};
use crate::reach::bare;
#[cfg(feature = "listener")]
use crate::reach::{Reach, port_of};

/// The way to connections to one upstream.
pub(super) enum Dial {
    /// The operating system's network, with TLS where the URL asks for it.
    System(HttpConnector, TlsConnector),
    /// The operating system's network, as far as a rule of addresses lets it.
    #[cfg(feature = "listener")]
    Within(Arc<Reach>, TlsConnector),
    /// The port of this machine on which a server listens that the router has started; 0: it does not run.
    Started(Arc<AtomicU16>),
    /// The network of a test, without TLS.
    Given(Arc<dyn Network>),
}

/// A connection to an upstream.
pub(super) enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
    Given(Box<dyn Transport>),
}

/// A socket without vectored writes: on a closed socket, `writev` would raise SIGPIPE, which kills a host in C that does
/// not ignore the signal. The standard library's `write` raises none.
pub(super) struct Socket(TcpStream);

impl Dial {
    pub(super) fn new(config: &UpstreamConfig, network: Option<Arc<dyn Network>>) -> Result<Self> {
        if let Some(network) = network {
            return Ok(Self::Given(network));
        }
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        let idle_timeout = Duration::from_millis(config.idle_timeout_ms);
        http.set_keepalive(Some(idle_timeout.max(Duration::from_secs(1))));
        let tls = client_tls(config.ca_file.as_deref(), "upstream.ca_file")?.with_no_client_auth();
        Ok(Self::System(http, TlsConnector::from(Arc::new(tls))))
    }

    /// Reaches the addresses that the rule allows.
    #[cfg(feature = "listener")]
    pub(super) fn within(config: &UpstreamConfig, reach: Arc<Reach>) -> Result<Self> {
        let tls = client_tls(config.ca_file.as_deref(), "upstream.ca_file")?.with_no_client_auth();
        Ok(Self::Within(reach, TlsConnector::from(Arc::new(tls))))
    }

    /// Connects to the host of that URL.
    ///
    /// # Errors
    /// The reason in words.
    pub(super) async fn connect(&self, origin: &Uri) -> Result<Stream, String> {
        let host = origin.host().unwrap_or_default();
        match self {
            Self::System(connector, tls) => {
                let socket = connector.clone().call(origin.clone()).await.map_err(|error| chain(&error))?;
                secured(Socket(socket.into_inner()), origin, tls).await
            }
            #[cfg(feature = "listener")]
            Self::Within(reach, tls) => {
                let socket = reach.connect(host, port_of(origin)).await.map_err(|error| chain(&error))?;
                secured(Socket(socket), origin, tls).await
            }
            Self::Started(port) => {
                let port = port.load(Ordering::Relaxed);
                if port == 0 {
                    return Err("it does not run".to_owned());
                }
                let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| chain(&error))?;
                socket.set_nodelay(true).map_err(|error| chain(&error))?;
                Ok(Stream::Plain(Socket(socket)))
            }
            Self::Given(network) => {
                let connected = network.connect(host, origin.port_u16().unwrap_or(80)).await;
                connected.map(Stream::Given).map_err(|error| chain(&error))
            }
        }
    }
}

/// Does the TLS handshake if the URL asks for it.
async fn secured(socket: Socket, origin: &Uri, tls: &TlsConnector) -> Result<Stream, String> {
    if origin.scheme_str() != Some("https") {
        return Ok(Stream::Plain(socket));
    }
    let host = origin.host().unwrap_or_default();
    let name = ServerName::try_from(bare(host).to_owned()).map_err(|error| chain(&error))?;
    let stream = tls.connect(name, socket).await.map_err(|error| chain(&error))?;
    Ok(Stream::Tls(Box::new(stream)))
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Given(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Given(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Given(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Given(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}
