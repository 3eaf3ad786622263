//! The network on which a miner, an upstream or another router is dialled. A test on a simulated network gives another.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection below TLS.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for T {}

/// A connection that is being made.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send + 'a>>;

/// A connection that comes in, with the address from which it comes.
pub type Coming<'a> = Pin<Box<dyn Future<Output = io::Result<(Box<dyn Transport>, IpAddr)>> + Send + 'a>>;

/// A door that is being opened.
pub type Opening<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Door>>> + Send + 'a>>;

/// The place at which connections of others come in.
pub trait Door: Send {
    /// The port under which others reach it.
    fn port(&self) -> u16;

    /// Waits for the next connection.
    fn accept(&mut self) -> Coming<'_>;
}

/// The network on which connections are made.
pub trait Network: Send + Sync + 'static {
    /// Connects to a host.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a>;

    /// Opens a door for others; port 0: any free one. A network on which nobody listens has none.
    fn listen<'a>(&'a self, _host: &'a str, _port: u16) -> Opening<'a> {
        Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
    }
}

/// The network of the operating system.
#[cfg(any(feature = "miner-client", feature = "postgres"))]
#[derive(Debug, Clone, Copy)]
pub(crate) struct System;

#[cfg(any(feature = "miner-client", feature = "postgres"))]
mod system {
    use tokio::net::{TcpListener, TcpStream};

    use super::{Coming, Connecting, Door, Network, Opening, System, Transport, io};

    fn ready(stream: TcpStream) -> io::Result<Box<dyn Transport>> {
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }

    impl Network for System {
        fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
            Box::pin(async move { ready(TcpStream::connect((host, port)).await?) })
        }

        fn listen<'a>(&'a self, host: &'a str, port: u16) -> Opening<'a> {
            Box::pin(async move {
                let listener = TcpListener::bind((host, port)).await?;
                let port = listener.local_addr()?.port();
                Ok(Box::new(Listening { listener, port }) as Box<dyn Door>)
            })
        }
    }

    struct Listening {
        listener: TcpListener,
        port: u16,
    }

    impl Door for Listening {
        fn port(&self) -> u16 {
            self.port
        }

        fn accept(&mut self) -> Coming<'_> {
            Box::pin(async move {
                let (stream, from) = self.listener.accept().await?;
                Ok((ready(stream)?, from.ip()))
            })
        }
    }
}
