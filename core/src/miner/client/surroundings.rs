//! The network that a miner dials on, and the source of its random numbers. A test on a simulated network gives others.

use std::future::Future;
use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A connection to a router, below TLS.
pub trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for T {}

/// A connection that is being made.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Transport>>> + Send + 'a>>;

/// The network that a miner dials on, and the source of its random numbers.
pub trait Surroundings: Send + Sync + 'static {
    /// Connects to a host.
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a>;

    /// A random number.
    fn chance(&self) -> u64;
}

/// The network and the randomness of the operating system.
#[derive(Debug, Clone, Copy)]
pub(super) struct System;

impl Surroundings for System {
    fn connect<'a>(&'a self, host: &'a str, port: u16) -> Connecting<'a> {
        Box::pin(async move {
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }

    /// If the system has no randomness, the number comes from the clock.
    fn chance(&self) -> u64 {
        let mut bytes = [0_u8; 8];
        if getrandom::fill(&mut bytes).is_err() {
            return std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |d| u64::from(d.subsec_nanos()));
        }
        u64::from_le_bytes(bytes)
    }
}
