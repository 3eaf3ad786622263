//! Dials an upstream: on the network of the operating system, or on the one that a test gives.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::pool::chain;
use crate::Result;
use crate::config::{UpstreamConfig, client_tls};
use crate::miner::network::{Network, Transport};

/// The way to connections to one upstream.
pub(super) enum Dial {
    /// The operating system's network, with TLS where the URL asks for it.
    System(HttpsConnector<HttpConnector>),
    /// The network of a test, without TLS.
    Given(Arc<dyn Network>),
}

/// A connection to an upstream.
#[allow(clippy::large_enum_variant, reason = "only tests have the small one, and a box would cost every read")]
pub(super) enum Stream {
    System(MaybeHttpsStream<TokioIo<TcpStream>>),
    Given(TokioIo<Box<dyn Transport>>),
}

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
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(client_tls(config.ca_file.as_deref(), "upstream.ca_file")?.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self::System(connector))
    }

    /// Connects to the host of that URL.
    ///
    /// # Errors
    /// The reason in words.
    pub(super) async fn connect(&self, origin: &Uri) -> Result<Stream, String> {
        match self {
            Self::System(connector) => match connector.clone().call(origin.clone()).await {
                Ok(stream) => Ok(Stream::System(stream)),
                Err(error) => Err(chain(error.as_ref())),
            },
            Self::Given(network) => {
                let (host, port) = (origin.host().unwrap_or_default(), origin.port_u16().unwrap_or(80));
                let connected = network.connect(host, port).await;
                connected.map(|stream| Stream::Given(TokioIo::new(stream))).map_err(|error| chain(&error))
            }
        }
    }
}

impl Read for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::System(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Given(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::System(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Given(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::System(stream) => Pin::new(stream).poll_flush(cx),
            Self::Given(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::System(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Given(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
