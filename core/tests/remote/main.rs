//! Miners that dial in, over real sockets: the router's listener, `MinerClient`, and a miner by hand that breaks rules.

#![cfg(all(feature = "listener", feature = "miner-client"))]
#![allow(clippy::unwrap_used)] // a test fails by panicking

mod bounds;
mod by_hand;
mod client;
mod proxy;
mod resume;
mod server;
mod tls;
mod trust;
