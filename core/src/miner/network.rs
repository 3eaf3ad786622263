//! The network on which a miner or an upstream is dialled. A test on a simulated network gives another.

use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection below TLS.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for T {}

/// A connection that is being made.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send + 'a>>;

/// The network on which connections are made.
pub trait Network: Send + Sync + 'static {
    /// Connects to a host.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a>;
}
